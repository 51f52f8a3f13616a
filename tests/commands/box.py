"""A whole box in one thread: the shipped turns, cores and journals of a recorded run, their messages passed by hand."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from appliance.core.feed import FeedCore
from appliance.core.models import MarketModel
from appliance.core.turn import Turn
from appliance.data.feeds import FileFeed
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain import topics, wire
from appliance.domain.messages import Event
from appliance.processes import core_of, reads_of
from appliance.runs import RunSpec, StrategySpec, write_spec
from appliance.shell.clock import DataClock
from appliance.shell.journal import Journal
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from appliance.venues.paper import PAPER, PaperVenue

HOST = "host@trend"
PROCESSES = ("feed", "gateway", "guard", HOST, "monitor")
ROUNDS_MAX = 20_000
ROUND = 10_000_000
"""How long a round takes on this box's machine (ns)."""


class Box:
    """The processes of one recorded run. ``run`` lets them work; ``kill`` takes one away and starts it again."""

    def __init__(
        self,
        paths: StatePaths,
        data: Path,
        strategy: str,
        market: MarketModel = MarketModel(),  # noqa: B008 - frozen
        **params: str,
    ) -> None:
        paths.prepare()
        self.paths = paths
        self.spec = RunSpec(
            box="test",
            strategies=(StrategySpec("trend", strategy, params=params),),
            cash=Decimal(100_000),
            model=market,
            files=(str(data),),
            options=FileOptions(session="all", bar_stamp="start"),
            speed="max",
        )
        write_spec(paths, self.spec)
        self.turns: dict[str, Turn] = {}
        self._stores: dict[str, list[Journal]] = {}
        self._hooks: dict[str, FileFeed | PaperVenue] = {}
        self._wire: deque[Event] = deque()
        self.said: dict[tuple[str, int, int], Event] = {}
        """What was said on streams, each message once."""
        self._rounds = 0
        for process in PROCESSES:
            self._start(process)

    def _ticks(self) -> int:
        return self._rounds * ROUND

    def _start(self, process: str) -> None:
        clock = DataClock(machine=self._ticks)
        store = self._journal(process)
        self._stores[process] = [store]
        gate = "gateway/orders" if topics.kind_of(process) in ("host", "guard") else ""
        reads = reads_of(process, self.spec)
        turn = Turn(process, core_of(process, self.spec), store, self._publish, clock, reads, gate, lockstep=True)
        self.turns[process] = turn
        if process == "feed":
            source = FileSource(self.spec.files, self.spec.options or FileOptions())
            self._hooks[process] = FileFeed(source, "max", self._ticks)
        elif process == "gateway":
            paper = self._journal(PAPER)
            self._stores[process].append(paper)
            venue = PaperVenue(core_of(PAPER, self.spec), paper, clock, turn.accept, self._publish, True)  # type: ignore[arg-type]
            turn.companion = venue.turn
            venue.turn.start()
            self._hooks[process] = venue
        turn.start()

    def _journal(self, process: str) -> Journal:
        return Journal(self.paths.journal(process), process, Lock(self.paths.lock(process)))

    def _publish(self, event: Event, payload: bytes) -> None:
        if event.topic == "venue/requests":
            venue = self._hooks["gateway"]
            assert isinstance(venue, PaperVenue)
            venue.request(event)
        else:
            self._wire.append(replace(wire.decode(payload), topic=event.topic))
            self.said.setdefault((event.stream, event.epoch, event.seq), event)

    # --- letting it work -----------------------------------------------------------------------------------------

    def run(self, rounds: int = 0) -> Box:
        """Work for so many rounds, or until the data has ended and everybody has settled."""
        until = self._rounds + (rounds or ROUNDS_MAX)
        while self._rounds < until and not self.done:
            self._round()
        assert rounds or self.done, "the box does not come to an end"
        return self

    @property
    def done(self) -> bool:
        """Whether the data has ended and nothing is on its way."""
        core = self.turns["feed"].core
        assert isinstance(core, FeedCore)
        return core.done and not self._wire and all(turn.caught_up() for turn in self.turns.values())

    def _round(self) -> None:
        self._rounds += 1
        while self._wire:
            self._deliver(self._wire.popleft())
        for process, turn in self.turns.items():
            hook = self._hooks.get(process)
            if hook is not None:
                hook.poll(turn)
            while turn.run():
                pass
            turn.tend()

    def _deliver(self, event: Event) -> None:
        for process, turn in self.turns.items():
            if event.topic.startswith(("ask/", "replay/")) and not event.topic.endswith(f"/{process}"):
                continue
            hook = self._hooks.get(process)
            if isinstance(hook, PaperVenue):
                hook.hear(event)
            turn.accept(event)

    def kill(self, process: str) -> None:
        """What it has not committed is gone; what it published may still arrive."""
        for store in self._stores.pop(process):
            store.close()
        self._start(process)

    def close(self) -> Box:
        """Stop everything: the journals are left to be read."""
        for stores in self._stores.values():
            for store in stores:
                store.close()
        return self
