"""`appliance replay`: rebuild a process from its journal, and compare what it says now with what it said then."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import click
import msgspec
from msgspec import Struct

from appliance.commands.journal import journal_of
from appliance.core.base import Core
from appliance.core.feed import FeedCore
from appliance.core.ports import Input
from appliance.core.streams import Writers
from appliance.core.turn import GATE, POISON, START
from appliance.data.feeds import BATCH
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain import topics, wire
from appliance.domain.messages import DATA_BOOT, Event, Now, local
from appliance.errors import JournalError, RefusedError, UsageError
from appliance.processes import core_of
from appliance.runs import RunSpec, read_spec
from appliance.shell import audit
from appliance.shell.paths import StatePaths

OFFERS = "source/files"

Market = Callable[[Core], Event | None]
"""The next market data a feed wants of its files, or None; what came of it is journalled, the data itself is not."""


class Said(Struct, frozen=True):
    """One recorded output: its row, where it stood, and its bytes."""

    n: int
    stream: str
    epoch: int
    seq: int
    payload: bytes


class Difference(Struct, frozen=True):
    """Where a replay parts from the record: row, position, in words, and both messages (empty: there is none)."""

    n: int
    position: str
    text: str
    recorded: bytes = b""
    replayed: bytes = b""


class Outcome(Struct):
    """What a replay came to: begun at row ``start``, ``compared`` outputs from row ``since`` on. ``forgotten`` were
    reproduced, but retention has taken what they would be compared with."""

    process: str
    since: int
    start: int
    inputs: int = 0
    compared: int = 0
    forgotten: int = 0
    difference: Difference | None = None


class Record:
    """What a process has said beyond a row, stream by stream, to be taken in order."""

    def __init__(self, connection: sqlite3.Connection, streams: tuple[str, ...], after: int) -> None:
        self._streams = {stream: _said(connection, stream, after) for stream in streams}
        self._heads = {stream: next(rows, None) for stream, rows in self._streams.items()}

    def next(self) -> Said | None:
        """What was said next, on whichever stream."""
        return min((head for head in self._heads.values() if head is not None), key=lambda said: said.n, default=None)

    def take(self, stream: str, seq: int) -> Said | None:
        """What was said as message ``seq`` of ``stream``; None when it is no longer, or was never, recorded."""
        head = self._heads[stream]
        if head is None or head.seq != seq:
            return None
        self._heads[stream] = next(self._streams[stream], None)
        return head


def _said(connection: sqlite3.Connection, stream: str, after: int) -> Iterator[Said]:
    select = "SELECT n, stream, epoch, seq, payload FROM output WHERE stream = ? AND n > ? ORDER BY n"
    return (Said(*row) for row in connection.execute(select, (stream, after)))


class Replay:
    """Runs a core through its journal. ``build`` makes it, ``resolve`` gives the payload of another's message."""

    def __init__(
        self,
        process: str,
        build: Callable[[Writers], Core],
        journal: sqlite3.Connection,
        resolve: Callable[[str], bytes],
        market: Market = lambda core: None,
    ) -> None:
        self._process = process
        self._build = build
        self._journal = journal
        self._resolve = resolve
        self._market = market
        self._streams = topics.streams_written_by(process)
        self._core: Core | None = None

    def run(self, since: int | None = None) -> Outcome:
        """From the last start at or before row ``since`` (default: the first start kept) to the journal's end."""
        start = _start(self._journal, self._process, since)
        self._core = None
        self._record = Record(self._journal, self._streams, start)
        self._outcome = outcome = Outcome(self._process, start if since is None else since, start)
        for n, entry in audit.inputs(self._journal, start - 1):
            outcome.inputs += 1
            if not self._step(n, entry):
                return outcome
        left = self._record.next()
        if left is not None:
            self._differ(left.n, _at(left), "was said, but the replay does not say it", left.payload)
        return outcome

    def _step(self, n: int, entry: Input) -> bool:
        """One input, and what follows from it. False at the first difference."""
        due = self._record.next()
        if due is not None and due.n < n:
            return self._differ(due.n, _at(due), "was said, but the replay does not say it", due.payload)
        try:
            produced = self._handle(n, entry)
        except (RefusedError, JournalError):
            raise
        except Exception as error:
            return self._differ(n, entry.position, f"the core raised {type(error).__name__}: {error}")
        return self._outcome.difference is None and all(self._compare(n, event) for event in produced if event.stream)

    # --- living it again -----------------------------------------------------------------------------------------

    def _handle(self, n: int, entry: Input) -> list[Event]:
        now = entry.now
        if entry.position == START:
            return self._begin(n, now)
        self._raise_epoch()
        core = cast(Core, self._core)
        produced: list[Event] = []
        while (offer := self._market(core)) is not None:
            produced += core.handle(offer, now)
        if entry.position == GATE:
            return produced + core.released(now)
        event = self._event(entry)
        if entry.position == POISON:
            return produced + core.poisoned(event, now)
        if entry.position == OFFERS:
            return produced  # the files have been read already
        return produced + core.handle(event, now)

    def _begin(self, n: int, now: Now) -> list[Event]:
        """The core's first moment, from the state the journal kept with it; on recorded data ours must be the same."""
        kept = audit.checkpoint(self._journal, n - 1)
        if kept is None or kept.n != n - 1:
            raise JournalError(f"row {n}: the state of this start is not in the journal", hint="begin at a later one")
        if self._core is not None and now.boot == DATA_BOOT:
            self._compare_state(n, self._core.snapshot(), kept.saved.rows)
        self._writers = Writers(self._streams, kept.saved.heads)
        self._core = self._build(self._writers)
        self._core.restore(kept.saved.rows)
        return self._core.started(now)

    def _raise_epoch(self) -> None:
        """An epoch is the protocol's, not the core's: when the next thing said was said in a later one, it is ours."""
        due = self._record.next()
        if due is not None:
            writer = self._writers[due.stream]
            if due.epoch > writer.epoch and due.seq == writer.last.seq + 1:
                self._writers.raise_epoch(due.epoch)

    def _event(self, entry: Input) -> Event:
        if not entry.payload:
            return wire.decode(self._resolve(entry.position))
        event = wire.decode(entry.payload, wire.LOCAL_MAX)
        return event if event.stream else msgspec.structs.replace(event, topic=entry.position)

    # --- comparing -----------------------------------------------------------------------------------------------

    def _compare(self, n: int, event: Event) -> bool:
        said = self._record.take(event.stream, event.seq)
        payload = wire.encode(event)
        if said is None:
            if self._is_forgotten(event):
                self._outcome.forgotten += 1
                return True
            return self._differ(n, event.position, "is said by the replay, but was not", b"", payload)
        if said.n < self._outcome.since:
            return True
        self._outcome.compared += 1
        return said.payload == payload or self._differ(
            said.n, event.position, "is not what was said", said.payload, payload
        )

    def _is_forgotten(self, event: Event) -> bool:
        row = self._journal.execute("SELECT seq FROM floor WHERE stream = ?", (event.stream,)).fetchone()
        return row is not None and event.seq <= row[0]

    def _compare_state(self, n: int, ours: dict[str, bytes], kept: dict[str, bytes]) -> None:
        for key in sorted({**ours, **kept}):
            mine, theirs = ours.get(key, b""), kept.get(key, b"")
            if mine != theirs and n > self._outcome.since:
                self._differ(n, START, f"the state differs in {key}", theirs, mine)
                return

    def _differ(self, n: int, position: str, text: str, recorded: bytes = b"", replayed: bytes = b"") -> bool:
        self._outcome.difference = Difference(n, position, text, recorded, replayed)
        return False


def _at(said: Said) -> str:
    return f"{said.stream}:{said.epoch}:{said.seq}"


def _start(journal: sqlite3.Connection, process: str, since: int | None) -> int:
    """The row of the start to begin at. Raises RefusedError when retention has taken it."""
    first, last = (
        journal.execute(f"SELECT {what}(n) FROM input WHERE position = ? AND n <= ?", (START, upto)).fetchone()[0]
        for what, upto in (("min", 2**62), ("max", 2**62 if since is None else since))
    )
    found = first if since is None else last
    if found is None:
        hint = f"the earliest is --from {first}" if first is not None else "it will have one when it has started again"
        raise RefusedError(f"{process}'s journal no longer holds a start at or before row {since or 0}", hint=hint)
    return int(found)


def row_of(journal: sqlite3.Connection, position: str) -> int:
    """The row of a position: a row number, one of the process's outputs, or an input. Raises UsageError."""
    last = journal.execute("SELECT n FROM chain").fetchone()[0]
    if position.isdecimal() and 0 < int(position) <= last:
        return int(position)
    stream, _, spot = position.partition(":")
    epoch, _, seq = spot.partition(":")
    for select, values in (
        ("SELECT n FROM output WHERE stream = ? AND epoch = ? AND seq = ?", (stream, epoch, seq)),
        ("SELECT n FROM input WHERE position = ? ORDER BY n LIMIT 1", (position,)),
    ):
        row = journal.execute(select, values).fetchone()
        if row is not None:
            return int(row[0])
    raise UsageError(
        f"position {position!r} is not in this journal",
        hint=f"give a row from 1 to {last}, or a position as 'appliance journal tail' shows them",
    )


class Publishers:
    """Messages of other processes, from their journals, opened when the first is asked for."""

    def __init__(self, paths: StatePaths, stack: ExitStack) -> None:
        self._paths = paths
        self._stack = stack
        self._open: dict[str, sqlite3.Connection] = {}

    def resolve(self, position: str) -> bytes:
        """The payload at ``stream:epoch:seq``. Raises RefusedError when its publisher no longer has it."""
        stream, epoch, seq = position.rsplit(":", 2)
        publisher = topics.publisher_of(stream)
        if publisher not in self._open:
            self._open[publisher] = self._stack.enter_context(journal_of(self._paths, publisher))
        select = "SELECT payload FROM output WHERE stream = ? AND epoch = ? AND seq = ?"
        row = self._open[publisher].execute(select, (stream, epoch, seq)).fetchone()
        if row is None:
            raise RefusedError(
                f"{position} was an input, and {publisher}'s journal no longer holds it", hint="begin later: --from ROW"
            )
        return cast(bytes, row[0])


def market_of(spec: RunSpec, process: str) -> Market:
    """What the feed read of its files; no other process has any."""
    if process != "feed" or not spec.files:
        return lambda core: None
    options = msgspec.structs.replace(spec.options or FileOptions(), sessions=spec.calendar)
    source = FileSource(spec.files, options)

    def offer(core: Core) -> Event | None:
        feed = cast(FeedCore, core)
        if not feed.hungry:
            return None
        if source.position != feed.wanted:
            source.seek(feed.wanted)
        return local(source.batch(BATCH), topic=OFFERS)

    return offer


@click.command()
@click.argument("process")
@click.option(
    "--state", type=click.Path(path_type=Path), default=Path("state"), show_default=True, help="state directory"
)
@click.option("--from", "since", metavar="POSITION", help="compare from this row or stream:epoch:seq on")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
def replay(process: str, state: Path, since: str | None, as_json: bool) -> None:
    """Rebuild PROCESS from its journal, feed it what it was fed, and compare what it says, byte for byte.

    It begins at the last start at or before the position (default: the first one kept). Works beside a running
    appliance, on copies the processes make. Exit code 1 at the first difference.

    \b
      appliance replay guard
      appliance replay host@sma_cross --from host/sma_cross/intents:1:5
    """
    paths = StatePaths(state)
    with ExitStack() as stack:
        own = stack.enter_context(
            journal_of(paths, process)
        )  # before the others', so that theirs hold all it refers to
        spec = read_spec(paths)
        row = None if since is None else row_of(own, since)
        publishers = Publishers(paths, stack)
        run = Replay(process, core_of(process, spec), own, publishers.resolve, market_of(spec, process))
        outcome = run.run(row)
    click.echo(json.dumps(_plain(outcome)) if as_json else _readable(outcome))
    if outcome.difference is not None:
        click.get_current_context().exit(1)


def _plain(outcome: Outcome) -> dict[str, Any]:
    difference = outcome.difference
    told = {
        "process": outcome.process,
        "from": outcome.since,
        "start": outcome.start,
        "inputs": outcome.inputs,
        "compared": outcome.compared,
        "forgotten": outcome.forgotten,
        "identical": difference is None,
        "difference": None,
    }
    if difference is not None:
        both = {"recorded": _message(difference.recorded), "replayed": _message(difference.replayed)}
        told["difference"] = {"n": difference.n, "position": difference.position, "text": difference.text, **both}
    return told


def _message(payload: bytes) -> Any:
    return json.loads(payload) if payload else None


def _readable(outcome: Outcome) -> str:
    head = (
        f"{outcome.process}: from row {outcome.since:,} (start at {outcome.start:,}): {outcome.inputs:,} inputs, "
        f"{outcome.compared:,} outputs compared"
    )
    if outcome.forgotten:
        head += f", {outcome.forgotten:,} more whose record is pruned"
    difference = outcome.difference
    if difference is None:
        return f"{head}: identical"
    return (
        f"{head}, then row {difference.n:,}, {difference.position}: {difference.text}\n"
        f"  recorded  {difference.recorded.decode() or '-'}\n"
        f"  replayed  {difference.replayed.decode() or '-'}"
    )
