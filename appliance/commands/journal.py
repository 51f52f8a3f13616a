"""`appliance journal`: look into what a process wrote down, whether it runs (in a copy it makes) or is stopped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from appliance.domain.market import SECOND
from appliance.domain.operations import Verb
from appliance.errors import EnvironmentFault, JournalError, UsageError
from appliance.shell import audit
from appliance.shell.locks import Lock, holder
from appliance.shell.paths import StatePaths
from appliance.shell.window import Window

COPY_S = 30.0
"""A long journal takes its time to be copied (seconds)."""
MS = 1_000_000
WIDTH = 160
"""Characters of a message that a readable line shows."""
OWNERS = {"paper": "gateway"}
"""Journals that live in another process: who to stop."""


@contextmanager
def journal_of(paths: StatePaths, process: str) -> Iterator[sqlite3.Connection]:
    """A process's journal to read: the file itself, under its lock, when it is stopped, else a copy it makes for us.

    Raises UsageError when there is none of that name, EnvironmentFault when it runs and cannot be asked, JournalError
    when it cannot be read.
    """
    _check_known(paths, process)
    copy = _copied(paths, process) if _runs(paths, process) else None
    try:
        if copy is None:
            with Lock(paths.lock(process)), _reading(paths.journal(process)) as connection:
                yield connection
        else:
            with _reading(copy) as connection:
                yield connection
    finally:
        if copy is not None:
            copy.unlink(missing_ok=True)


def _runs(paths: StatePaths, process: str) -> bool:
    """Whether it runs, or will in a moment: a lock we took would keep a process of a running box from coming back."""
    return any(holder(paths.lock(name)) is not None for name in (process, "appliance"))


def _check_known(paths: StatePaths, process: str) -> None:
    known = sorted(path.stem for path in paths.journal("x").parent.glob("*.db"))
    if process in known:
        return
    if not known:
        raise UsageError(f"{paths.root}: there are no journals", hint="name the state directory with --state DIR")
    near = get_close_matches(process, known, n=1)
    hint = f"did you mean {near[0]}? there are {', '.join(known)}" if near else f"there are {', '.join(known)}"
    raise UsageError(f"{paths.root}: no journal of {process!r}", hint=hint)


def _copied(paths: StatePaths, process: str) -> Path | None:
    """Ask the process for a copy; its path, or None when the process is down for good."""
    if process in OWNERS:
        raise UsageError(
            f"{process} runs inside {OWNERS[process]}, which copies its own journal only",
            hint=f"stop the appliance to look at {process}'s, or look at {OWNERS[process]}'s",
        )
    try:
        with Window(paths, hears=()) as window:
            return Path(window.done(window.command(Verb.SNAPSHOT, target=process, seconds=COPY_S)).text)
    except EnvironmentFault:
        if holder(paths.lock(process)) is not None:
            raise
        return None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(audit.opened(path)) as connection:
        try:
            yield connection
        except sqlite3.Error as error:
            raise JournalError(
                f"{path}: cannot be read: {error}", hint="'appliance journal verify' tells what still can"
            ) from error


# --- commands --------------------------------------------------------------------------------------------------------


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="JSON on standard output"),
        click.option(
            "--state", type=click.Path(path_type=Path), default=Path("state"), show_default=True, help="state directory"
        ),
        click.argument("process"),
    ):
        command = option(command)
    return command


@click.group(no_args_is_help=False)
def journal() -> None:
    """Look into the journal of a PROCESS: feed, guard, gateway, monitor, paper or host@NAME.

    A running process is asked for a copy; a stopped one's file is read under its lock. Nothing is changed.

    \b
      appliance journal tail guard
      appliance journal verify gateway --state state --json
    """


@journal.command()
@_common
@click.option("--lines", type=click.IntRange(1), default=20, show_default=True, help="how many")
def tail(process: str, state: Path, as_json: bool, lines: int) -> None:
    """Print the last inputs (in) and outputs (out) of PROCESS, oldest first: row, when, position, what.

    With --json one object a line: n, kind, time, position, message. Inputs that are other processes' messages are
    kept by their position.
    """
    with journal_of(StatePaths(state), process) as connection:
        found = audit.tail(connection, lines)
    for line in found:
        click.echo(json.dumps(_plain(line)) if as_json else _readable(line))


def _plain(line: audit.Line) -> dict[str, Any]:
    message = json.loads(line.payload) if line.payload else None
    return {"n": line.n, "kind": line.kind, "time": line.time, "position": line.position, "message": message}


def _readable(line: audit.Line) -> str:
    at = line.time
    text = ""
    if line.payload:
        message = json.loads(line.payload)
        at = at or message["ts"]
        text = f"{message['type']} {json.dumps(message['body'], ensure_ascii=False)}"
    shown = text if len(text) <= WIDTH else f"{text[:WIDTH]}…"
    return f"{line.n:>8} {line.kind:<3} {_when(at):<23} {line.position or '(own)'} {shown}".rstrip()


def _when(at: int) -> str:
    """A time (ns UTC) for people; ``-`` where a process has not been told the data's yet."""
    if not at:
        return "-"
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{at % SECOND // MS:03d}"


@journal.command()
@_common
def verify(process: str, state: Path, as_json: bool) -> None:
    """Recompute the chain of hashes over PROCESS's whole journal. Exit code 1 when a row was changed or is missing."""
    with journal_of(StatePaths(state), process) as connection:
        report = audit.verify(connection)
        set_aside = len(audit.dead_letters(connection))
    if as_json:
        told = {"process": process, "ok": report.ok, "rows": report.rows, "first": report.first, "last": report.last}
        click.echo(json.dumps({**told, "pruned": report.pruned, "dead_letters": set_aside, "faults": report.faults}))
    else:
        click.echo(_verdict(process, report, set_aside))
    if not report.ok:
        click.get_current_context().exit(1)


def _verdict(process: str, report: audit.Report, set_aside: int) -> str:
    pruned = f", {report.pruned:,} pruned" if report.pruned else ""
    aside = f", {set_aside:,} messages set aside" if set_aside else ""
    head = f"{process}: {report.rows:,} rows, {report.first:,} to {report.last:,}{pruned}{aside}"
    if report.ok:
        return f"{head}; the chain is whole"
    faults = "\n".join(f"  {fault}" for fault in report.faults)
    return f"{head}; the chain is BROKEN:\n{faults}\nsomebody, or the disk, changed the file: keep a copy of it"
