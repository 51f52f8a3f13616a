"""The shipped feed process with one live source over a real WebSocket: source, conduit, desk and its judge, core, bus.

``python -m tests.bench.data_feed STATE URL SYMBOL,SYMBOL``; what it has taken so far is in ``taken.json`` of the state.
"""

from __future__ import annotations

import gc
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from appliance import processes
from appliance.core.ports import Clock
from appliance.core.turn import Turn
from appliance.data.live.agreement import Agreement
from appliance.data.live.desk import Desk
from appliance.data.live.feed import LiveFeed
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Selection
from appliance.data.live.sequencer import Key, Sequencer
from appliance.data.live.staleness import Staleness
from appliance.data.sources.base import Kind, Stop, Tell, Told
from appliance.data.sources.mapping import QuoteFields, Times, TradeFields
from appliance.data.sources.websocket import WebSocketSource
from appliance.data.sources.websocket_options import Message
from appliance.data.validation.validator import DataValidator
from appliance.data.validation.verdicts import Judged
from appliance.domain.market import SECOND, AlwaysOpen, Heard, Quote, Trade
from appliance.runs import read_spec
from appliance.shell import logs
from appliance.shell.paths import StatePaths
from tests.standins.binance import binance

TAKEN = "taken.json"
COUNTED = ("connections", "quotes", "trades", "judged_trades", "size", "set_aside", "rounds", "blocks")
KINDS = (Kind.QUOTES, Kind.TRADES)
MARKET = AlwaysOpen()
COUNT_EVERY = 4
"""Of the times it says what it has taken: a full collection costs a few ms."""


def options_of(url: str):  # type: ignore[no-untyped-def]
    """Binance's streams, with times in ns, quotes' too."""
    described = binance(url)
    kept = {name: described.subscribe[name] for name in ("quotes", "trades")}
    messages = (
        Message({"e": "aggTrade"}, TradeFields("p", "q", "T", "s")),
        Message({"u": "*", "b": "*", "a": "*"}, QuoteFields("b", "a", "B", "A", "T", "s")),
    )
    return replace(described, subscribe=kept, messages=messages, symbols={}, times=Times("ns"))


class Counted:
    """A source that counts what it tells: in its own thread, before anything conflates."""

    def __init__(self, source: WebSocketSource, taken: dict[str, float]) -> None:
        self.name, self.traits = source.name, source.traits
        self._source, self._taken = source, taken

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """See ``LiveSource.run``."""
        taken = self._taken
        taken["connections"] += 1

        def counting(told: Told) -> None:
            if isinstance(told, Quote):
                taken["quotes"] += 1
            elif isinstance(told, Trade):
                taken["trades"] += 1
            tell(told)

        self._source.run(symbols, kinds, counting, stop)


class Judge(DataValidator):
    """The shipped one, which counts what it judges."""

    def __init__(self, taken: dict[str, float]) -> None:
        super().__init__(lambda symbol: MARKET)
        self._taken = taken

    def check(self, event: Heard, now: int) -> Judged:
        """See ``DataValidator.check``."""
        found = super().check(event, now)
        self._taken["set_aside"] += found.event is None
        if isinstance(event, Trade):
            self._taken["judged_trades"] += 1
            self._taken["size"] += event.size
        return found


class Counting(LiveFeed):
    """The live feed, whose judge counts trades after the conduit; twice a second it says what it has taken."""

    def __init__(self, url: str, symbols: Sequence[str], clock: Clock, file: Path) -> None:
        self.taken = dict.fromkeys(COUNTED, 0.0)
        self._file, self._say_at, self._said = file, 0, -1
        source = Counted(WebSocketSource(options_of(url)), self.taken)
        super().__init__([source], [], symbols, KINDS, self._desk_of(source.name, symbols), clock)

    def poll(self, turn: Turn) -> None:
        """Offer what has happened since the last round."""
        super().poll(turn)
        self.taken["rounds"] += 1
        now = self._clock.ticks()
        if now >= self._say_at:
            self._say_at = now + SECOND // 2
            self._said += 1
            if self._said % COUNT_EVERY == 0:
                gc.collect()  # it empties the lists of free tuples, which fill up to some MB and no further
                self.taken["blocks"] = sys.getallocatedblocks()
            draft = self._file.with_suffix(".tmp")
            draft.write_text(json.dumps(self.taken))
            draft.replace(self._file)

    def _desk_of(self, name: str, symbols: Sequence[str]):  # type: ignore[no-untyped-def]
        def make(lasts: dict[Key, int]) -> Desk:
            return Desk(
                Selection([name], symbols, lambda symbol, now: MARKET.at(now).open, random.Random(1)),
                Sequencer(lambda symbol: MARKET, lasts),
                Reserve(),
                {name: Staleness(lambda symbol: MARKET, {}, 0)},
                Agreement(),
                Judge(self.taken),
            )

        return make


def main(state: str, url: str, symbols: str) -> int:
    """Run the feed of the box in ``state``."""
    paths = StatePaths(Path(state))
    logs.setup("feed", "info")
    made = lambda paths, spec, clock: Counting(url, symbols.split(","), clock, paths.root / TAKEN)  # noqa: E731
    processes._feed = made
    return processes.engine_of("feed", paths, read_spec(paths)).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
