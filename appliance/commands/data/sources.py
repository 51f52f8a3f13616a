"""`appliance data sources`: where market data come from, in order of preference, and whether each answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.commands.data.asking import Calendars, json_option, settings_option, state_option
from appliance.commands.data.reaching import PARTS, credential, described, variable
from appliance.domain.market import DAY, SECOND
from appliance.errors import ApplianceError, SourceDown

if TYPE_CHECKING:
    from appliance.data.sources.base import HistorySource, LiveSource
    from appliance.data.sources.spec import SourceSpec
    from appliance.domain.market import Sessions
    from appliance.settings import Settings
    from appliance.shell.paths import StatePaths

PATIENCE = 10.0
"""Seconds a live source may take to connect."""
_NOTHING = "if it should have some: check how this source writes the symbol, and what its plan includes"


class Described(click.Command):
    """Its help page ends with what may be written in the settings."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of each kind of source."""
        from msgspec.structs import fields

        from appliance.data.sources.spec import OPTIONS
        from appliance.settings_market import Source

        common = ", ".join(Source.model_fields)
        kinds = [
            (kind, ", ".join(one.name for one in fields(options) if one.name not in Source.model_fields))
            for kind, options in OPTIONS.items()
        ]
        with formatter.section("Keys of [[sources]] in the settings"):
            formatter.write_dl([("every kind", common), *kinds])


@click.command(cls=Described, short_help="Where data come from, and who answers.")
@click.option("--check", is_flag=True, help="ask each of them for a few bars, or connect where it only tells live data")
@click.option("--symbol", default="", metavar="SYMBOL", help="to ask for  [default: the first of market.symbols]")
@settings_option
@state_option
@json_option
def sources(check: bool, symbol: str, settings_file: Path | None, state: Path, as_json: bool) -> int:
    """List the sources in the settings, the preferred one first: what each tells, how often it is asked, and whether
    its credential is there (it is never shown).

    Exit code 0; with --check 1 where one does not answer.

    \b
      appliance data sources --settings settings.toml
      appliance data sources --check --symbol SPY
    """
    from appliance.shell.paths import StatePaths

    settings, spec = described(settings_file)
    paths = StatePaths(state)
    sessions = Calendars(None, settings_file).exchange
    rows = [_row(settings, paths, source, sessions) for source in spec.sources]
    if check:
        asked = symbol or settings.market.symbols[0]
        for row, source in zip(rows, spec.sources, strict=True):
            row["check"] = _checked(settings, paths, source, asked, sessions)
    click.echo(json.dumps({"sources": rows}) if as_json else "\n".join(readable(rows)))
    return int(any(not row["check"]["answers"] for row in rows if check))


def _row(settings: Settings, paths: StatePaths, source: SourceSpec, sessions: Sessions) -> dict[str, Any]:
    """What is known of a source without asking it."""
    live, past = _made(source, {}, sessions)
    lacking = [part for part in source.needs if part not in credential(settings, paths, source)]
    return {
        "name": source.name, "kind": source.kind,
        "live": [kind.value for kind in live.traits.live] if live is not None else [],
        "history": list(past.traits.timeframes) if past is not None else [],
        "built": _longer(past, sessions) if past is not None else [],
        "timeframes": list(live.traits.timeframes) if live is not None else [],
        "actions": past is not None and past.traits.actions,
        "per_second": source.asks.per_second, "burst": source.asks.burst,
        "credential": "lacking" if lacking else "there" if source.needs else "not needed", "lacking": lacking,
    }  # fmt: skip


def _longer(source: HistorySource, sessions: Sessions) -> list[str]:
    """The timeframes that are built from those a source has."""
    from appliance.data.sources.built import BuiltHistory

    own = source.traits.timeframes
    return [name for name in BuiltHistory(source, lambda symbol: sessions).traits.timeframes if name not in own]


def _made(
    source: SourceSpec, parts: dict[str, str], sessions: Sessions
) -> tuple[LiveSource | None, HistorySource | None]:
    """The source for live data and that for past data, as far as it is used for them."""
    from appliance.data.sources.spec import history_of, live_of

    options = source.options(**parts)
    live = live_of(options) if source.live else None
    return live, history_of(options, sessions) if source.history else None


def _checked(
    settings: Settings, paths: StatePaths, source: SourceSpec, symbol: str, sessions: Sessions
) -> dict[str, Any]:
    """Ask it once, without patience: whether it answers, how long that took (ms), and what it said."""
    parts = credential(settings, paths, source)
    lacking = [part for part in source.needs if part not in parts]
    if lacking:
        said, hint = f"not asked: it has no {' and no '.join(lacking)}", f"set {_variables(source.name, lacking)}"
        return {"answers": False, "ms": None, "said": said, "hint": hint}
    live, past = _made(source, {part: parts.get(part, "") for part in PARTS}, sessions)
    began = time.monotonic()
    try:
        if past is not None:
            said = _asked(past, symbol, sessions)
        else:
            said = _connected(live, symbol) if live is not None else "unused"
        answers, hint = True, _NOTHING if said.startswith("0 ") else ""
    except ApplianceError as error:
        wait = getattr(error, "wait", 0)
        said, answers = error.text, False
        hint = error.hint or (f"try again in {wait / SECOND:g} s" if wait else "")
    return {"answers": answers, "ms": round(1000 * (time.monotonic() - began)), "said": said, "hint": hint}


def _asked(source: HistorySource, symbol: str, sessions: Sessions) -> str:
    """Ask for the last day, or an hour of it, that is surely over."""
    frames = source.traits.timeframes
    timeframe = "1d" if "1d" in frames else frames[0]
    session = sessions.previous(time.time_ns() - DAY)
    if session is None:
        return "no session to ask for"
    try:
        page = next(iter(source.bars((symbol,), timeframe, session.open, session.close)), ())
    finally:
        source.close()
    return f"{len(page)} {timeframe} bars of {symbol} on {session.date}"


def _connected(source: LiveSource, symbol: str) -> str:
    """Connect and subscribe, and leave at once. Raises SourceError."""
    from appliance.data.sources.base import Linked, Told

    stop, heard, failed = threading.Event(), list[Linked](), list[Exception]()

    def tell(told: Told) -> None:
        if isinstance(told, Linked):
            heard.append(told)
            stop.set()

    def run() -> None:
        try:
            source.run((symbol,), source.traits.live, tell, stop)
        except Exception as error:
            failed.append(error)
        stop.set()

    thread = threading.Thread(target=run, name=f"check-{source.name}", daemon=True)
    thread.start()
    stop.wait(PATIENCE)
    stop.set()
    thread.join(2.0)
    if heard:
        return f"connected, {symbol} subscribed" if symbol in heard[0].symbols else f"connected, without {symbol}"
    raise _failure(source.name, failed)


def _failure(name: str, failed: Sequence[Exception]) -> Exception:
    return failed[0] if failed else SourceDown(f"no answer within {PATIENCE:g} s", source=name)


def readable(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A block a source."""
    for number, row in enumerate(rows, start=1):
        yield f"{number}. {row['name']} ({row['kind']})"
        if row["live"]:
            yield f"   live: {', '.join(row['live'])}; bars of {', '.join(row['timeframes'])}"
        if row["history"]:
            actions = "; splits and dividends" if row["actions"] else ""
            built = f"; built from them: {', '.join(row['built'])}" if row["built"] else ""
            yield f"   past: bars of {', '.join(row['history'])}{built}{actions}"
        yield f"   asked at most {row['per_second']:g} times a second, {row['burst']} at once"
        yield f"   credential: {row['credential']}{_missing(row)}"
        if "check" in row:
            yield f"   {_answer(row['check'])}"
            if row["check"]["hint"] and not row["lacking"]:
                yield f"   hint: {row['check']['hint']}"


def _missing(row: dict[str, Any]) -> str:
    lacking = row["lacking"]
    return f": {' and '.join(lacking)} (set {_variables(row['name'], lacking)})" if lacking else ""


def _variables(name: str, parts: Sequence[str]) -> str:
    return " and ".join(variable(name, part) for part in parts)


def _answer(check: dict[str, Any]) -> str:
    if check["answers"]:
        return f"answers in {check['ms']} ms: {check['said']}"
    took = "" if check["ms"] is None else f" ({check['ms']} ms)"
    return f"DOES NOT ANSWER{took}: {check['said']}"
