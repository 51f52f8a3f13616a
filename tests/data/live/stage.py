"""Two scripted sources, history and the feed's core in simulated time; the first source fails as it is told."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from functools import partial

from msgspec.structs import replace

from appliance.core.feed import BARS, FeedCore
from appliance.core.streams import Writers
from appliance.data.live.agreement import Agreement
from appliance.data.live.desk import Desk, Todo
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Selection, Switch, Terms
from appliance.data.live.sequencer import Question, Sequencer
from appliance.data.live.staleness import Staleness
from appliance.data.sources.base import Linked, Oddity, Told
from appliance.data.validation.validator import DataValidator
from appliance.domain import topics
from appliance.domain.market import MINUTE, SECOND, AlwaysOpen, Bar
from appliance.domain.messages import Event, Now, Offer, local
from appliance.domain.operations import Notice
from appliance.errors import SourceDown, SourceError, SourceRefused

BEGIN = 1_700_000_040 * SECOND
COUNT = 60
ROUND = 10
TERMS = Terms(mute=90 * SECOND, hold=120 * SECOND)
NAMES = ("first", "second")


def truth(symbol: str, count: int = COUNT) -> tuple[Bar, ...]:
    """What is traded of a symbol: a random walk, jumpy enough that strategies trade."""
    chance, price = random.Random(symbol), 100.0
    bars = []
    for number in range(count):
        first, price = price, round(max(price * (1 + chance.gauss(0, 0.002)), 5.0), 2)
        high, low = round(max(first, price) + 0.02, 2), round(min(first, price) - 0.02, 2)
        start = BEGIN + number * MINUTE
        bars.append(Bar(symbol, "1m", start, start + MINUTE, first, high, low, price, 1000.0 + number))
    return tuple(bars)


BARS_TOLD = truth("SPY")


class Stage:
    """Time, two sources, history and the core. The first source is broken from bar ``at`` for ``length`` bars; ``hear``
    takes each event of the core with its time."""

    def __init__(
        self, fault: str, at: int, length: int = 5, history: bool = True, told: Sequence[tuple[Bar, ...]] = (BARS_TOLD,)
    ) -> None:
        self.fault, self.broken = fault, range(at, at + length)
        self.history, self.bars_told = history, told
        self.symbols = [bars[0].symbol for bars in told]
        self.hear: Callable[[Event, Now], object] = lambda event, now: None
        self.offer: Callable[[Offer, int], object] = lambda offer, now: None
        self.open = set[str]()
        self.queue: list[tuple[int, int, Callable[[int], None]]] = []
        self.number = 0
        self.core = FeedCore("feed", Writers(topics.streams_written_by("feed"), {}))
        market = AlwaysOpen()
        self.selection = Selection(
            NAMES, self.symbols, lambda symbol, now: market.at(now).open, random.Random(7), dict.fromkeys(NAMES, TERMS)
        )
        self.desk = Desk(
            self.selection,
            Sequencer(lambda symbol: market),
            Reserve(),
            {name: Staleness(lambda symbol: market, {}, BEGIN) for name in NAMES},
            Agreement(),
            DataValidator(lambda symbol: market),
        )
        self.published: list[Bar] = []
        self.latest = 0
        self.switches: list[Switch] = []
        self.holes: list[str] = []
        self.notices: list[Notice] = []

    def at(self, time: int, call: Callable[[int], None]) -> None:
        self.number += 1
        heapq.heappush(self.queue, (time, self.number, call))

    def run(self) -> list[Bar]:
        """Play it all."""
        for second in range(0, len(self.bars_told[0]) * 60 + 30, ROUND):
            self.at(BEGIN + second * SECOND, lambda now: self.follow(self.desk.tick(now), now))
        for number, bars in enumerate(zip(*self.bars_told, strict=True)):
            for bar in bars:
                self.tell(number, bar)
        while self.queue:
            time, _, call = heapq.heappop(self.queue)
            call(time)
        return self.published

    def tell(self, number: int, bar: Bar) -> None:
        self.at(bar.end + SECOND // 2, lambda now: self.say("second", replace(bar, source="second"), now))
        mine = replace(bar, source="first")
        time = bar.end + SECOND // 10
        if number in self.broken:
            getattr(self, f"do_{self.fault}")(number, mine, time)
        else:
            self.at(time, lambda now: self.say("first", mine, now))

    # --- faults: what the first source does with a bar ------------------------------------------------------------

    def do_mute(self, number: int, bar: Bar, time: int) -> None:
        """Connected, silent."""

    def do_gap(self, number: int, bar: Bar, time: int) -> None:
        """Every other bar is left out."""
        if number % 2:
            self.at(time, lambda now: self.say("first", bar, now))

    def do_hang_up(self, number: int, bar: Bar, time: int) -> None:
        self.at(time, lambda now: self.drop("first", SourceDown("hung up"), now))

    def do_refused(self, number: int, bar: Bar, time: int) -> None:
        self.at(time, lambda now: self.drop("first", SourceRefused("no subscription"), now))

    def do_slow(self, number: int, bar: Bar, time: int) -> None:
        self.at(time + 45 * SECOND, lambda now: self.say("first", bar, now))

    def do_wrong_order(self, number: int, bar: Bar, time: int) -> None:
        later = time + (MINUTE + SECOND if number % 2 else 0)
        self.at(later, lambda now: self.say("first", bar, now))

    def do_duplicate(self, number: int, bar: Bar, time: int) -> None:
        for step in range(3):
            self.at(time + step * SECOND, lambda now: self.say("first", bar, now))

    def do_malformed(self, number: int, bar: Bar, time: int) -> None:
        self.at(time, lambda now: self.say("first", Oddity("not understood: {{{"), now))

    # --- what the outer parts do ----------------------------------------------------------------------------------

    def say(self, name: str, told: Told, now: int) -> None:
        if name in self.open:
            self.follow(self.desk.told(name, told, now), now)

    def drop(self, name: str, error: SourceError | None, now: int) -> None:
        if name in self.open:
            self.open.discard(name)
            self.follow(self.desk.ended(name, error, now), now)

    def link(self, name: str, now: int) -> None:
        self.open.add(name)
        self.follow(self.desk.told(name, Linked(tuple(self.symbols)), now), now)

    def answer(self, question: Question, now: int) -> None:
        mine = self.bars_told[self.symbols.index(question.symbol)]
        bars = tuple(bar for bar in mine if question.start <= bar.start and bar.end <= question.end)
        self.follow(self.desk.answered(question, bars if self.history else None, "down", now), now)

    def follow(self, todo: Todo, now: int) -> None:
        self.switches += todo.switches
        self.notices += todo.notices
        self.holes += [notice.text for notice in todo.notices if notice.code.startswith("hole/")]
        for name in todo.end:
            self.at(now, partial(self.drop, name, None))
        for name in todo.connect:
            self.at(now + SECOND // 5, partial(self.link, name))
        for question in todo.questions:
            self.at(now + SECOND // 5, partial(self.answer, question))
        if not (todo.events or todo.notices or todo.views):
            return
        offer = Offer(0, tuple(todo.events), notices=tuple(todo.notices), views=tuple(todo.views))
        self.offer(offer, now)
        time = Now(now, "boot", now)
        for event in self.core.handle(local(offer), time):
            self.hear(event, time)
            if event.stream == BARS:
                self.published.append(event.body)
                self.latest = max(self.latest, now - event.body.end)


def ends(bars: list[Bar]) -> list[int]:
    return [bar.end for bar in bars]


FAULTS = ("mute", "gap", "hang_up", "refused", "slow", "wrong_order", "duplicate", "malformed")
