"""`appliance status`: what runs and how it is, also when Mosquitto does not answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from msgspec import to_builtins

from appliance.core.record import plain
from appliance.domain.market import SymbolStatus
from appliance.domain.messages import Event, EventType, OpenOrder, VenueState
from appliance.domain.operations import Heartbeat, ProcessState, SourceState
from appliance.domain.trading import Account, Position
from appliance.errors import ApplianceError, EnvironmentFault
from appliance.shell.paths import StatePaths
from appliance.shell.window import Window

WAIT_S = 1.0
SECOND = 1_000_000_000
HEARS = (
    "view/source/<source>", "view/status/<symbol>", "view/venue", "view/foreign", "view/position/<symbol>",
    "view/account", "view/latch",
)  # fmt: skip
"""In this order, since Mosquitto tells what it kept in the order of the subscriptions: whoever has heard the latch has
heard every position, and of every source and halt."""


@click.command()
@click.option(
    "--state", type=click.Path(path_type=Path), default=Path("state"), show_default=True, help="state directory"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
def status(state: Path, as_json: bool) -> None:
    """Show the box's processes, latch, account and positions; of live market data the sources and what is halted.

    The pids come from the supervisor's own file, so they are right even when Mosquitto is dead.
    """
    told = look(StatePaths(state))
    if as_json:
        click.echo(json.dumps(told))
        return
    click.echo(f"{told['state']}{_latch_line(told)}")
    for row in told["processes"]:
        age = "" if row["age_s"] is None else f"heard {row['age_s']:.1f} s ago"
        click.echo(f"  {row['name']:16} {row['state']:11} pid {row['pid'] or '-':<8} {age}")
    for line in (*_venue_lines(told), *map(_source_line, told["sources"]), *map(_halt_line, told["halted"])):
        click.echo(f"  {line}")
    if told["account"]:
        held = ", ".join(f"{symbol} {quantity}" for symbol, quantity in told["positions"].items()) or "nothing"
        click.echo(f"  cash {told['account']['cash']} USD, holding {held}")


def look(paths: StatePaths) -> dict[str, Any]:
    """What can be known now: the supervisor's file, and what Mosquitto has kept, if it answers within a second.

    Raises EnvironmentFault when no box was ever started in this directory.
    """
    try:
        kept = json.loads(paths.processes.read_bytes())
    except (OSError, ValueError):
        raise EnvironmentFault(
            f"{paths.root}: no appliance was started here", hint="name its state directory with --state DIR"
        ) from None
    seen = _Seen()
    try:
        window = Window(paths, hears=HEARS)
        window.events = seen.note  # before it connects: what is retained comes with the connection
        with window:
            others = len(kept["processes"]) - 1  # Mosquitto has no heartbeat
            window.until(lambda: len(window.beats) >= others and seen.complete(), WAIT_S)
            beats = window.beats
    except ApplianceError:
        beats = {}
    rows = [_row(child, beats.get(child["name"])) for child in kept["processes"]]
    return {"state": _overall(rows, kept), "processes": rows, **seen.told()}


class _Seen:
    """The views as they come in."""

    def __init__(self) -> None:
        self.account: Account | None = None
        self.positions: dict[str, Position] = {}
        self.latch: Any = None
        self.sources: dict[str, SourceState] = {}
        self.statuses: dict[str, SymbolStatus] = {}
        self.venue: VenueState | None = None
        self.foreign: tuple[OpenOrder, ...] = ()

    def note(self, event: Event) -> None:
        if event.type is EventType.ACCOUNT:
            self.account = event.body
        elif event.type is EventType.POSITION:
            self.positions[event.body.symbol] = event.body
        elif event.type is EventType.LATCH:
            self.latch = event.body
        elif event.type is EventType.SOURCE_STATE:
            self.sources[event.body.source] = event.body
        elif event.type is EventType.SYMBOL_STATUS:
            self.statuses[event.body.symbol] = event.body
        elif event.type is EventType.VENUE_STATE:
            self.venue = event.body
        elif event.type is EventType.FOREIGN:
            self.foreign = event.body.orders

    def complete(self) -> bool:
        """Whether all has been heard: see HEARS."""
        return self.account is not None and self.latch is not None

    def told(self) -> dict[str, Any]:
        latch = self.latch
        return {
            "latch": None
            if latch is None
            else {
                "state": latch.state.value,
                "generation": latch.generation,
                "why": latch.why,
                "by": latch.by,
                "blocked": latch.blocked,
            },
            "account": None if self.account is None else {"cash": plain(self.account.cash)},
            "venue": None if self.venue is None else to_builtins(self.venue),
            "foreign": [to_builtins(one) for one in self.foreign],
            "sources": [to_builtins(one) for _, one in sorted(self.sources.items())],
            "halted": [to_builtins(one) for _, one in sorted(self.statuses.items()) if one.halted],
            "positions": {s: plain(p.quantity) for s, p in sorted(self.positions.items()) if p.quantity},
        }


def _row(child: dict[str, Any], beat: Heartbeat | None) -> dict[str, Any]:
    pid = child["pid"] if _alive(child["pid"]) else None
    state, since = child["state"], child.get("started") or 0
    if beat is not None and pid == beat.pid:
        state = beat.state.value
    elif pid is None and state in ("ready", "starting"):
        state = ProcessState.LOST.value
    since = beat.at if beat is not None and pid == beat.pid else since
    age = None if pid is None or not since else round((time.time_ns() - since) / SECOND, 3)
    return {"name": child["name"], "pid": pid, "state": state, "age_s": age, "restarts": child.get("restarts", 0)}


def _venue_lines(told: dict[str, Any]) -> Iterator[str]:
    """``broker  waiting_2fa  for 12 s: log in``, and the orders at our account that are not ours."""
    venue = told["venue"]
    if venue is not None:
        since = f"for {(time.time_ns() - venue['since']) / SECOND:.0f} s" if venue["since"] else ""
        why = f"{venue['code']} {venue['text']}".strip()
        told_of = "" if venue["state"] == "ready" else ": ".join(filter(None, (since, why)))
        yield f"{'broker':16} {venue['state']:11} {told_of}".rstrip()
    for one in told["foreign"]:
        name = one["order_id"] or one["venue_id"]
        yield f"{one['symbol']:16} not ours    {one['side']} {one['quantity']}, order {name}"


def _source_line(one: dict[str, Any]) -> str:
    """``alpaca  live  tells 2 symbols``; of one that is not well why, when it was heard, and when it is tried again."""
    now = time.time_ns()
    tells = f"tells {one['tells']} symbol{'s' if one['tells'] != 1 else ''}"
    told = tells if one["tells"] else "in reserve" if one["state"] == "live" else one["why"]
    if told and one["state"] == "connecting":
        told = f"again, after: {told}"
    silent = one["heard"] and one["state"] != "live"  # that a live one is heard is told every ten seconds only
    heard = f", heard {(now - one['heard']) / SECOND:.1f} s ago" if silent else ""
    again = f", tried again in {(one['due'] - now) / SECOND:.0f} s" if one["due"] > now else ""
    told = told or ("ended" if one["heard"] else "not heard yet")
    return f"{one['source']:16} {one['state']:11} {told}{heard}{again}"


def _halt_line(one: dict[str, Any]) -> str:
    return f"{one['symbol']:16} halted      {one['code']} {one['reason']}".rstrip()


def _alive(pid: int | None) -> bool:
    """Whether a process still runs; one that ended and that nobody has buried yet does not."""
    if not pid:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _overall(rows: list[dict[str, Any]], kept: dict[str, Any]) -> str:
    if not _alive(kept.get("supervisor")) and not any(row["pid"] for row in rows):
        return "stopped"
    return "ready" if all(row["state"] == "ready" for row in rows) else "degraded"


def _latch_line(told: dict[str, Any]) -> str:
    latch = told["latch"]
    if latch is None or latch["state"] == "active":
        return ", active" if latch else ""
    return f", {latch['state'].upper()} by {latch['by']}: {latch['why']} (generation {latch['generation']})"
