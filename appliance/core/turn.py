"""The one turn every process runs: dedupe → handle → commit → publish; cursors, gaps, replay.

Pure: clock, wire and store are given. What is published has been committed before; what raises is undone by going
back to the last commit, tried once more alone, and then set aside.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Sequence

from appliance.core.base import Core
from appliance.core.intake import Intake
from appliance.core.peers import Peers
from appliance.core.ports import Clock, Commit, DeadLetter, Input, Publish, Store
from appliance.core.quiet import Quiet, as_input
from appliance.core.serve import Server
from appliance.core.streams import Reader, Writers
from appliance.domain import topics, wire
from appliance.domain.messages import DATA_BOOT, Ask, Event, EventType, Now, local
from appliance.domain.operations import Heartbeat, ProcessState, Progress, Spot, Wakeup

SECOND = 1_000_000_000
PATIENCE = SECOND
"""Ask again for a replay after this many ns without it."""
BATCH_MAX = 64
"""Messages handled in one transaction."""
START = "start"
"""The journal's mark for a core's first moment after a start or a restore."""
GATE = "gate"
"""The journal's mark for the moment the gate opened."""
POISON = "poison"
"""The journal's mark for a message that was set aside; it comes whole."""
INBOX_MAX = 4096
"""Local messages waiting to be handled; beyond, the source of them is not read."""

QUIET = (EventType.TICKS, EventType.OFFER, EventType.VENUE_LOOK)
"""Journalled only where something lasting came of them: quotes, and looks that change nothing, would fill the card."""
SURROUNDINGS = (EventType.PEER, EventType.INHIBIT, EventType.LATCH_FILE, EventType.VENUE_LINK)
"""Conditions that are told once, when they change: a core that was restored has to be told again."""
ORDER_STREAMS = ("host/<name>/intents", "guard/decisions", "gateway/orders")


class Turn:
    """One process's protocol state around its core.

    ``gate`` names a stream to be consumed to its publisher's head, and the publisher to be recovered, before anything
    else is handled after a start (host and guard: ``gateway/orders``). ``reads`` are the streams consumed.
    ``consumer`` is the name answers are sent to, where that is not the process. A ``companion`` is a second turn in
    the same process (the paper venue) whose progress is ours.
    """

    def __init__(
        self,
        process: str,
        build: Callable[[Writers], Core],
        store: Store,
        publish: Publish,
        clock: Clock,
        reads: tuple[str, ...],
        gate: str = "",
        lockstep: bool = False,
        consumer: str = "",
        dated: bool = False,
    ) -> None:
        self.process, self._dated = process, dated
        self._build, self._store, self._publish = build, store, publish
        self._clock = clock
        self._lockstep = lockstep
        self._consumer = consumer or process
        self.inbox: deque[Event] = deque()
        self.counters: dict[str, int] = {}
        self.intake = Intake(reads, gate, self._count)
        self.peers = Peers(process, reads)
        self.companion: Turn | None = None
        self._started = False
        self._quiet = Quiet()
        self._around: dict[str, Event] = {}
        self._load()

    # --- start and restore ----------------------------------------------------------------------------------------

    def _load(self) -> None:
        saved = self._store.load()
        self._clock.resume(saved.time)
        self._writers = Writers(topics.streams_written_by(self.process), saved.heads)
        self.core = self._build(self._writers)
        self.core.restore(saved.rows)
        self._server = Server(self.process, self._store, self._writers, self.core)
        self._boot = saved.boot
        self.counters = {**saved.counters, **self.counters}
        self.intake.restore(saved.cursors)

    @property
    def readers(self) -> dict[str, Reader]:
        """The readers by stream."""
        return self.intake.readers

    @property
    def gate_open(self) -> bool:
        """Whether all streams are handled, and not only the gate's."""
        return self.intake.gate_open

    def start(self) -> None:
        """Begin: a new boot, where ``dated`` the first too, raises the epoch; the core says what it has to say first,
        peers are asked for heads."""
        now = self._clock.now(None)
        if now.boot != self._boot:
            if self._boot or self._dated:
                self._raise_epoch(0)
            self._boot = now.boot
        for event in [event for event in self.inbox if event.type is EventType.DEATH]:
            self.inbox.remove(event)
            self._handle_alone(event)  # before a strategy may kill us again at its start
        self._begin(now)
        self._started = True
        self.connected()

    def _begin(self, now: Now) -> None:
        """A core's first moment, marked in the journal together with its whole state: replays start here."""
        checkpoint = self.core.snapshot()
        self._commit([], self.core.started(now), now, [Input(now, START)], checkpoint=checkpoint)

    def _reload(self) -> None:
        """Throw the core away and go back to the last commit."""
        self._load()
        now = self._clock.now(None)
        self._begin(now)
        if self.gate_open:
            self._commit([], self.core.released(now), now, [Input(now, GATE)])

    def connected(self) -> None:
        """The wire is up (again): tell where we stand, ask where the others stand."""
        for publisher in self.peers.publishers:
            self._say(f"ask/{publisher}", Ask(self._consumer))
        for view in self.core.views(self._clock.now(None)):
            self._publish(view, wire.encode(view))
        self.report()

    def _raise_epoch(self, seen: int) -> None:
        old = max((writer.epoch for writer in self._writers.values()), default=1)
        now = self._clock.now(None)
        seconds = 0 if now.boot == DATA_BOOT else now.time // SECOND
        self._writers.raise_epoch(max(old + 1, seen + 1, seconds))
        self._store.commit(Commit(sync=True, heads=self._writers.heads(), boot=now.boot))
        self._count("epochs_raised")

    # --- what comes in --------------------------------------------------------------------------------------------

    def accept(self, event: Event) -> None:
        """Take one message from the wire or from our own surroundings; handling is left to ``run``."""
        if event.stream:
            self.intake.offer(event)
        elif event.type is EventType.ASK:
            self._answer(event.body)
        elif event.type is EventType.REPLAYED:
            self.intake.replayed(event.body)
        elif event.type is EventType.COMPACTED:
            self.inbox.extend(e for e in self.intake.compacted(event.body) if self.core.understands(e.type))
        elif event.type is EventType.HEARTBEAT:
            self._accept_heartbeat(event.body)
        elif event.type is EventType.PROGRESS:
            self._accept_progress(event.body, fresh=event.topic.startswith("replay/"))
        elif self.core.understands(event.type):
            self._queue(event)

    def _queue(self, event: Event) -> None:
        if event.type in SURROUNDINGS:
            self._around[_about(event)] = event
        self.inbox.append(event)

    def _accept_heartbeat(self, beat: Heartbeat) -> None:
        if beat.process == self.process:
            return
        for peer in self.peers.heard(beat, self._clock.ticks()):
            self._tell(peer)
        if beat.state is not ProcessState.LOST:  # a will tells of the time it was made
            self._accept_progress(beat.progress, fresh=False)

    def _tell(self, peer: object) -> None:
        event = self.core.peer(peer)  # type: ignore[arg-type]
        if event is not None and not self._lockstep:
            self._queue(event)

    def _accept_progress(self, progress: Progress, fresh: bool) -> None:
        self.intake.heads(progress, fresh)
        self.peers.progressed(progress)
        seen = self._writers.beyond(progress.cursors)
        if seen and self._started:
            self._raise_epoch(seen)
        event = self.core.observe(progress)
        if event is not None:
            self.inbox.append(event)

    def _answer(self, ask: Ask) -> None:
        if not ask.stream:
            self._say(f"replay/{ask.consumer}", self.progress())
            return
        seen = self._writers.beyond({ask.stream: ask.after})
        if seen:
            self._raise_epoch(seen)
        for body in self._server.answer(ask):
            self._say(f"replay/{ask.consumer}", body)

    # --- one turn -------------------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Handle one batch in one transaction. False when there was nothing to do.

        Raises JournalError when the commit fails, MemoryError: the caller must end the process.
        """
        batch = self._collect()
        if not batch:
            return False
        try:
            self._handle(batch)
        except _CoreFailed:
            self._reload()
            for event in [*self._around.values(), *batch]:
                self._handle_alone(event)
        self.report()
        return True

    def report(self) -> None:
        """In lockstep, tell the feed where we stand."""
        if self._lockstep:
            self._say(f"progress/{self.process}", self.progress())

    def _collect(self) -> list[Event]:
        count = min(len(self.inbox), BATCH_MAX) if self._check_gate() else 0
        batch = [self.inbox.popleft() for _ in range(count)]
        # A core may change its mind about a stream with every message it handles, so it is asked before each.
        return batch + self.intake.collect(self.core.accepts, BATCH_MAX - len(batch))

    def _check_gate(self) -> bool:
        if not self.gate_open and self.intake.gate_reached():
            self.intake.gate_open = True
            now = self._clock.now(None)
            self._commit([], self.core.released(now), now, [Input(now, GATE)])
        return self.gate_open

    def _handle(self, batch: list[Event]) -> None:
        outputs: list[Event] = []
        inputs: list[Input] = []
        now = self._clock.now(None)
        for event in batch:
            now = self._clock.now(event)
            try:
                produced = self.core.handle(event, now)
            except MemoryError:
                raise  # nothing is wrong with the message: this ends the process
            except Exception as error:
                raise _CoreFailed from error
            outputs += produced
            lasting = any(output.stream for output in produced)
            if event.type in QUIET and not lasting:
                self._quiet.note(event, now)
                continue
            if lasting:
                inputs += self._quiet.drain()
            inputs.append(as_input(event, now))
        self._commit(batch, outputs, now, inputs)

    def _handle_alone(self, event: Event) -> None:
        try:
            self._handle([event])
        except _CoreFailed as failure:
            cause = failure.__cause__
            self._reload()
            self._quarantine(event, "".join(traceback.format_exception(cause)))
            self._around.pop(_about(event), None)
            self.inbox.extendleft(reversed(self._around.values()))
        else:
            self._count("rescued")

    def _quarantine(self, event: Event, error: str) -> None:
        now = self._clock.now(event)
        payload = wire.encode(event, wire.LOCAL_MAX)
        letter = DeadLetter(event.position if event.stream else event.topic, payload, error, now.time)
        self._count("dead_letters")
        if event.stream and topics.pattern_of(event.stream) in ORDER_STREAMS:
            self._count("poisoned")
        self._commit([event], self.core.poisoned(event, now), now, [Input(now, POISON, payload)], [letter])

    def _commit(
        self,
        batch: list[Event],
        outputs: list[Event],
        now: Now,
        inputs: Sequence[Input] = (),
        dead: Sequence[DeadLetter] = (),
        checkpoint: dict[str, bytes] | None = None,
    ) -> None:
        """One transaction, then publish. A start is synced too: which boot it began in must not be forgotten."""
        try:
            encoded = [(event, wire.encode(event)) for event in outputs]
            rows = self.core.changes()
        except MemoryError:
            raise
        except Exception as error:  # what cannot be written is undone like what raised
            raise _CoreFailed from error
        cursors = {event.stream: event.spot for event in batch if event.stream}
        self.intake.jump(cursors)
        commit = Commit(
            sync=checkpoint is not None or any(self._synced(event) for event in outputs),
            cursors=cursors,
            rows=rows,
            outputs=[pair for pair in encoded if pair[0].stream],
            inputs=list(inputs),
            heads=self._writers.heads(),
            counters=self.counters,
            dead_letters=list(dead),
            boot=now.boot,
            time=now.time,
            checkpoint=checkpoint,
        )
        if cursors or inputs or dead or commit.rows or commit.outputs:
            self._store.commit(commit)
        for event, payload in sorted(encoded, key=_urgency):
            self._publish(event, payload)

    def _synced(self, event: Event) -> bool:
        return topics.synced(event.stream, event.type) if event.stream else event.type in self.core.sync

    # --- time and signs of life -----------------------------------------------------------------------------------

    def tend(self) -> None:
        """Look after what time brings: wake-ups, gaps to ask for again, peers that fell silent, pruning."""
        ticks = self._clock.ticks()
        if not self._lockstep:
            deadline = self.core.deadline()
            now = self._clock.now(None)
            waiting = any(event.type is EventType.WAKEUP for event in self.inbox)
            if deadline is not None and now.ticks >= deadline and self.gate_open and not waiting:
                self.inbox.append(local(Wakeup(), now.time))
        for name, reader in self.readers.items():
            if reader.wants(ticks, PATIENCE):
                self._say(f"ask/{topics.publisher_of(name)}", Ask(self._consumer, name, reader.cursor))
        if not self.gate_open and self.intake.gate_head is None and self.peers.patience_over(ticks, PATIENCE):
            self._say(f"ask/{topics.publisher_of(self.intake.gate)}", Ask(self._consumer))
        for peer in self.peers.silent(ticks):
            self._tell(peer)

    def prune(self, retain: int) -> None:
        """Forget produced messages every live consumer has, but keep the last ``retain`` of each stream."""
        for writer in self._writers.values():
            low = self.peers.lowest_cursor(writer.stream) or writer.last
            if low.seq - retain > 0:
                self._store.prune(writer.stream, Spot(low.epoch, low.seq - retain))

    def progress(self) -> Progress:
        """Where we stand: cursors of what is committed, heads, and what is still in flight."""
        cursors = self.intake.cursors()
        pending = len(self.inbox)
        if self.companion is not None:
            cursors |= self.companion.progress().cursors
            pending += len(self.companion.inbox)
        return Progress(
            process=self.process,
            cursors=cursors,
            heads=self._writers.heads(),
            deadline=self.core.deadline(),
            unresolved=self.core.unresolved() + pending,
            held=self.core.held(),
            recovered=self.gate_open and self.core.recovered(),
            poisoned=self.counters.get("poisoned", 0),
        )

    def caught_up(self) -> bool:
        """Whether we are past the gate, recovered, and short of nothing that we know exists."""
        return self.gate_open and self.core.recovered() and not self.intake.behind()

    def depth(self) -> dict[str, int]:
        """Queue lengths: local messages, and messages held beyond a gap, by stream."""
        queues = {name: len(reader.held) for name, reader in self.readers.items() if reader.held}
        return {"inbox": len(self.inbox), **queues}

    def _count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def _say(self, topic: str, body: object) -> None:
        event = local(body, topic=topic)  # type: ignore[arg-type]
        self._publish(event, wire.encode(event))


class _CoreFailed(Exception):
    """The core raised; the cause says what."""


def _urgency(pair: tuple[Event, bytes]) -> int:
    """An order leaves before the news of it, and the news before the views; each stream keeps its order."""
    event = pair[0]
    return 1 if event.stream else 0 if event.topic.startswith("venue/") else 2


def _about(event: Event) -> str:
    """What a condition is about: its type, and the process or code it names; there is one link, whatever its code."""
    code = "" if event.type is EventType.VENUE_LINK else getattr(event.body, "code", "")
    return f"{event.type.value}/{getattr(event.body, 'process', code)}"
