"""The desk with the real validator: what is set aside is replaced, repetition is no alarm, what lasts is shown."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.feed import FeedCore
from appliance.data.live.agreement import Agreement
from appliance.data.live.desk import Desk, Todo
from appliance.data.live.punctuality import LATE
from appliance.data.live.reserve import GRACE, Reserve
from appliance.data.live.selection import Selection, Terms
from appliance.data.live.sequencer import PATIENCE, Key, Question, Sequencer
from appliance.data.live.staleness import Staleness
from appliance.data.live.standing import STUCK
from appliance.data.sources.base import Linked, Oddity, Told
from appliance.data.validation.validator import DataValidator
from appliance.domain.market import HOUR, MINUTE, SECOND, AlwaysOpen, Bar, PriceBand, Quote, Split, SymbolStatus
from appliance.domain.market import TradingStatus as Status
from appliance.domain.messages import Offer
from appliance.domain.operations import Notice, Severity, SourceState
from appliance.errors import SourceRefused
from tests.core.make import again, writers
from tests.data.live.stage import BARS_TOLD, BEGIN
from tests.playbook import Playbook

NAMES = ("first", "second")
MARKET = AlwaysOpen()


WILD = replace(BARS_TOLD[2], **dict.fromkeys(("open", "high", "low", "close"), 10_000.0))
"""Impossible after the bars before it."""


def _desk(lasts: dict[Key, int]) -> Desk:
    return Desk(
        Selection(NAMES, ["SPY"], lambda symbol, now: MARKET.at(now).open, random.Random(1),
                  dict.fromkeys(NAMES, Terms(mute=HOUR))),
        Sequencer(lambda symbol: MARKET, lasts),
        Reserve(),
        {name: Staleness(lambda symbol: MARKET, {}, BEGIN) for name in NAMES},
        Agreement(),
        DataValidator(lambda symbol: MARKET),
    )  # fmt: skip


class Talk:
    """A desk that two sources are connected to, and the feed's core behind it; times are seconds after the beginning.

    ``first`` is believed."""

    def __init__(self) -> None:
        self.desk = _desk({})
        self.core = FeedCore("feed", writers("feed"))
        self.play = Playbook(self.core, start=BEGIN)
        self.notices: list[Notice] = []
        self.views: list[SourceState | SymbolStatus] = []
        self.questions: list[Question] = []
        self.now = BEGIN
        self._link(BEGIN)

    def _link(self, now: int) -> None:
        self._follow(self.desk.tick(now))
        for name in NAMES:
            self._follow(self.desk.told(name, Linked(("SPY",)), now))

    def _follow(self, todo: Todo) -> Todo:
        self.notices += todo.notices
        self.views += todo.views
        self.questions += todo.questions
        self.play >> Offer(0, tuple(todo.events), notices=tuple(todo.notices), views=tuple(todo.views))
        return todo

    def says(self, name: str, *told: Told, at: float | None = None) -> Todo:
        """``name`` says these; by default when the bar ends."""
        todo = Todo()
        for one in told:
            end = one.end if isinstance(one, Bar) else self.now
            self.now = max(self.now, end if at is None else BEGIN + int(at * SECOND))
            heard = replace(one, source=name) if hasattr(one, "source") else one
            todo = self._follow(self.desk.told(name, heard, self.now))
        return todo

    def waits(self, nanoseconds: int) -> Todo:
        """Time passes, and is looked at."""
        self.now += nanoseconds
        return self._follow(self.desk.tick(self.now))

    def answers(self, question: Question, *bars: Bar) -> Todo:
        """History answers."""
        return self._follow(self.desk.answered(question, bars, "", self.now))

    def step(self, by: int) -> Todo:
        """Somebody has set the clock."""
        todo = self._follow(self.desk.stepped(by, self.now))
        for name in todo.end:
            self._follow(self.desk.ended(name, None, self.now))
        return todo

    def shown(self) -> list[bool]:
        """Whether the symbol was halted each time it was shown, since the last call."""
        found = [one.halted for one in self.views if isinstance(one, SymbolStatus)]
        self.views.clear()
        return found

    def again(self) -> None:
        """The feed is restarted."""
        self.desk = _desk(self.core.lasts())
        self._follow(self.desk.begin(self.now, self.core.statuses))
        self._link(self.now)

    def on(self, stream: str) -> list[Any]:
        """What the core has put on a stream since the last call, other streams forgotten."""
        found = [event.body for event in self.play.unread if event.stream == stream]
        self.play << ...
        return found

    def both(self) -> tuple[list[Bar], list[Bar]]:
        """Bars and revisions since the last call."""
        said = [(event.stream, event.body) for event in self.play.unread]
        self.play << ...
        bars, revisions = ([body for stream, body in said if stream == f"feed/{one}"] for one in ("bars", "revisions"))
        return bars, revisions

    def codes(self, start: str) -> list[tuple[str, bool]]:
        return [(one.code, one.holds) for one in self.notices if one.code.startswith(start)]


def ends(bars: Iterable[Bar]) -> list[int]:
    return [bar.end for bar in bars]


def broken(bar: Bar) -> Bar:
    """Impossible: the low is a cent, the close is not."""
    return replace(bar, low=0.01)


def test_a_bar_that_is_impossible_is_replaced_by_the_reserve_before_the_next() -> None:
    talk = Talk()
    talk.says("second", BARS_TOLD[0])
    talk.says("first", BARS_TOLD[0], broken(BARS_TOLD[1]))
    talk.says("second", BARS_TOLD[1])
    talk.waits(GRACE)
    talk.says("first", BARS_TOLD[2])
    published = talk.on("feed/bars")
    assert ends(published) == ends(BARS_TOLD[:3])
    assert [bar.source for bar in published] == ["first", "second", "first"]
    assert talk.codes("quarantine/") == [("quarantine/SPY/spike", True)]


def test_a_price_that_only_its_neighbours_make_impossible_is_replaced_by_the_reserve_too() -> None:
    talk = Talk()
    talk.says("second", *BARS_TOLD[:3])
    talk.says("first", *BARS_TOLD[:2], WILD, BARS_TOLD[3])
    published = talk.on("feed/bars")
    assert ends(published) == ends(BARS_TOLD[:4])
    assert published[2].close == BARS_TOLD[2].close
    assert talk.codes("quarantine/") == [("quarantine/SPY/impossible_jump", True)]


def test_a_bar_of_the_future_moves_nothing() -> None:
    talk = Talk()
    talk.says("first", BARS_TOLD[0])
    talk.says("first", BARS_TOLD[50], at=61)
    talk.says("first", *BARS_TOLD[1:3])
    assert ends(talk.on("feed/bars")) == ends(BARS_TOLD[:3])
    assert talk.codes("quarantine/") == [("quarantine/SPY/from_the_future", True)]


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0, 0.0])
def test_a_bar_without_a_price_never_meets_the_journal(price: float) -> None:
    talk = Talk()
    assert talk.says("first", replace(BARS_TOLD[0], open=price)).events == []
    assert talk.says("first", BARS_TOLD[0]).events == [replace(BARS_TOLD[0], source="first")]


def test_repeating_everything_after_a_reconnect_alarms_nobody() -> None:
    talk = Talk()
    talk.says("first", *BARS_TOLD[:20])
    talk.says("first", *BARS_TOLD[5:20], *BARS_TOLD[5:22])
    assert ends(talk.on("feed/bars")) == ends(BARS_TOLD[:22])
    assert talk.codes("quarantine/") == talk.codes("odd/") == []
    assert talk.desk.quarantined == 0


def test_a_hole_that_history_answers_reaches_the_validator_in_order() -> None:
    talk = Talk()
    talk.says("first", *BARS_TOLD[:3])
    (question,) = talk.says("first", BARS_TOLD[5]).questions
    todo = talk.desk.answered(question, (BARS_TOLD[4], BARS_TOLD[3]), "", talk.now)
    assert ends(todo.events) == ends(BARS_TOLD[3:6])  # type: ignore[arg-type]
    assert talk.codes("") == []


def test_a_revision_passes_the_validator_with_its_number_and_so_does_a_hole_that_is_filled_late() -> None:
    talk = Talk()
    talk.says("first", *BARS_TOLD[:3])
    better = replace(BARS_TOLD[1], volume=5.0)
    talk.says("first", better)
    (question,) = talk.says("first", BARS_TOLD[5]).questions
    talk.waits(PATIENCE)
    late = talk.desk.answered(question, BARS_TOLD[3:5], "", talk.now).events
    assert talk.on("feed/revisions") == [replace(better, revision=1, source="first")]
    assert [(bar.end, bar.revision) for bar in late] == [(bar.end, 1) for bar in BARS_TOLD[3:5]]  # type: ignore[union-attr]
    assert talk.codes("quarantine/") == []
    assert talk.codes("hole/") == [("hole/SPY/1m", True)]


def test_a_split_that_history_knows_explains_its_price() -> None:
    talk = Talk()
    talk.says("first", *BARS_TOLD[:3])
    todo = talk.desk.learned([Split("SPY", BARS_TOLD[3].start, 10, 1)], "", talk.now)
    assert todo == Todo()
    cheap = replace(
        BARS_TOLD[3], **{name: getattr(BARS_TOLD[3], name) / 10 for name in ("open", "high", "low", "close")}
    )
    talk.says("first", cheap)
    assert ends(talk.on("feed/bars")) == ends(BARS_TOLD[:4])


def test_a_thousand_oddities_and_quarantines_a_minute_are_four_notices() -> None:
    talk = Talk()
    for second in range(59):
        for _ in range(10):
            talk.says("first", Oddity("not understood"), broken(BARS_TOLD[0]), at=60 + second)
        talk.waits(0)
    assert [holds for _, holds in talk.codes("source_odd/") + talk.codes("quarantine/")] == [True, True]
    talk.waits(MINUTE)
    assert talk.codes("source_odd/")[-1:] == [("source_odd/first", False)]
    assert talk.codes("quarantine/")[-1:] == [("quarantine/SPY/spike", False)]


def test_an_oddity_names_its_source_once() -> None:
    talk = Talk()
    for said in ("first: no field", "no field"):
        (notice,) = talk.desk.told("first", Oddity(said), talk.now).notices or [None]
        assert notice is None or notice.text == "first: no field"


def test_what_a_source_lacks_is_told_with_each_name_once() -> None:
    talk = Talk()
    todo = talk.desk.told("first", Linked((), {"SPY": "first: SPY: no such security"}), talk.now)
    assert [one.text for one in todo.notices] == ["first does not tell SPY (SPY: no such security)"]


def test_a_source_that_does_not_end_is_told_and_not_connected_again_beside_itself() -> None:
    talk = Talk()
    talk.says("first", BARS_TOLD[0])
    assert talk.waits(HOUR).end == ["first", "second"]
    opened = [name for _ in range(60) for name in talk.waits(STUCK).connect]
    assert opened == []
    assert talk.codes("source_stuck/first") == [("source_stuck/first", True)]
    talk._follow(talk.desk.ended("first", None, talk.now))
    opened = [name for _ in range(60) for name in talk.waits(STUCK).connect]
    assert opened[:1] == ["first"]
    assert ("source_stuck/first", False) in talk.codes("source_stuck/first")


def test_bars_that_stay_away_are_told_until_they_come() -> None:
    talk = Talk()
    talk.says("first", *BARS_TOLD[:2])
    talk.waits(MINUTE + 31 * SECOND)
    assert talk.codes("silent/") == [("silent/bar_missing", True)]
    talk.says("first", *BARS_TOLD[2:4], at=4 * 60 + 1)
    talk.waits(SECOND)
    assert talk.codes("silent/") == [("silent/bar_missing", True), ("silent/bar_missing", False)]


def test_a_quote_of_the_reserve_is_compared_and_never_told() -> None:
    talk = Talk()
    ours, theirs = Quote("SPY", BEGIN, 99.99, 100.01), Quote("SPY", BEGIN - HOUR, 90.0, 90.02)
    for second in range(8):
        assert talk.says("first", replace(ours, time=BEGIN + second * SECOND), at=second).events
        assert talk.says("second", theirs, at=second).events == []
    assert talk.codes("quotes_disagree/") == [("quotes_disagree/SPY/first/second", True)]
    assert talk.codes("quarantine/") == []


def test_bars_that_cannot_be_kept_are_told_and_traded_on() -> None:
    talk = Talk()
    for why in ("disk full", "disk full", "", ""):
        talk._follow(talk.desk.unkept(why, talk.now))
    assert talk.codes("history_store") == [("history_store", True), ("history_store", False)]


def test_symbols_a_source_does_not_tell_are_one_notice_until_it_tells_them() -> None:
    talk = Talk()
    lacking = {f"S{number:03}": "not in the plan" for number in range(200)}
    talk.says("first", Linked(("SPY",), lacking), at=1)
    talk.says("first", Linked(("SPY",), lacking), at=2)
    (notice,) = [one for one in talk.notices if one.code == "source_lacks/first"]
    assert notice.text == "first does not tell 200 symbols (S000, S001, S002, …) (S000: not in the plan)"
    talk.says("first", Linked(("SPY",)), at=3)
    assert talk.codes("source_lacks/") == [("source_lacks/first", True), ("source_lacks/first", False)]


def test_data_that_come_late_are_a_warning() -> None:
    talk = Talk()
    for number in range(100):
        talk.says("first", Quote("SPY", BEGIN + number, 99.99, 100.01, received=BEGIN + 5 * SECOND), at=5)
    (notice,) = [one for one in talk.notices if one.code == "odd/SPY/clock_skew_inhibits"]
    assert notice.severity is Severity.WARNING
    assert talk.codes("quarantine/") == []


WAYS: dict[str, Callable[[Bar], list[Bar]]] = {
    "well": lambda bar: [bar],
    "twice": lambda bar: [bar, bar],
    "not": lambda bar: [],
    "broken": lambda bar: [broken(bar)],
    "wild": lambda bar: [replace(bar, **dict.fromkeys(("open", "high", "low", "close"), 10_000.0))],
    "of tomorrow": lambda bar: [replace(bar, start=bar.start + 1_440 * MINUTE, end=bar.end + 1_440 * MINUTE)],
}
"""How a source may tell a bar."""
ONE_WELL = st.tuples(st.sampled_from(["well", "twice"]), st.sampled_from([*WAYS])).flatmap(st.permutations)
"""A way for each of two sources, of which one is good."""


@settings(max_examples=60, deadline=None)
@given(ways=st.lists(ONE_WELL, min_size=1, max_size=25), seconds=st.integers(0, 5))
def test_while_one_of_two_tells_a_bar_well_it_is_heard_and_no_nonsense_is(ways: list[list[str]], seconds: int) -> None:
    talk = Talk()
    told = BARS_TOLD[: len(ways) + 3]
    talk.says("first", *told[:3])
    for bar, both in zip(told[3:], ways, strict=True):
        for name, way in zip(NAMES, both, strict=True):
            talk.says(name, *WAYS[way](bar), at=(bar.end - BEGIN) / SECOND)
            talk.waits(seconds * SECOND)
    for _ in range(3):
        talk.waits(PATIENCE)
    published, revised = talk.both()
    assert ends(published) == sorted(set(ends(published)))
    assert sorted({*ends(published), *ends(revised)}) == ends(told)
    truth = {bar.end: bar.close for bar in told}
    assert [bar.close for bar in (*published, *revised)] == [truth[bar.end] for bar in (*published, *revised)]


# --- what people see --------------------------------------------------------------------------------------------------


def test_how_a_source_does_is_shown_when_it_changes_and_at_most_each_second() -> None:
    talk = Talk()
    talk.waits(SECOND)
    first = {view.source: view for view in talk.views if isinstance(view, SourceState)}["first"]
    assert (first.state, first.tells, first.lacks, first.heard) == ("live", 1, 0, BEGIN)
    talk.views.clear()
    for _ in range(50):
        talk.waits(SECOND // 10)
    assert talk.views == []
    talk._follow(talk.desk.ended("first", SourceRefused("no subscription"), talk.now))
    for _ in range(10):
        talk.waits(SECOND // 10)
    shown = [(view.source, view.state, view.tells) for view in talk.views if isinstance(view, SourceState)]
    assert shown == [("first", "refused", 0), ("second", "live", 1)]
    assert next(view.why for view in talk.views if isinstance(view, SourceState)) == "no subscription"


def test_what_nobody_asked_for_is_told_to_the_owner_and_to_nobody_else() -> None:
    talk = Talk()
    talk.says("first", BARS_TOLD[0], replace(BARS_TOLD[1], symbol="spy"), Quote("QQQ", BEGIN + 1, 99.0, 99.1))
    talk.waits(2 * GRACE)
    assert ends(talk.on("feed/bars")) == ends(BARS_TOLD[:1])
    assert talk.codes("source_odd/") == [("source_odd/first", True)]


def test_an_answer_about_another_symbol_fills_no_hole() -> None:
    talk = Talk()
    talk.says("first", BARS_TOLD[0], BARS_TOLD[2])
    (asked,) = talk.questions
    talk.answers(asked, replace(BARS_TOLD[1], symbol="QQQ"), replace(BARS_TOLD[1], timeframe="5m"))
    assert ends(talk.on("feed/bars")) == ends([BARS_TOLD[0], BARS_TOLD[2]])


@pytest.mark.parametrize("again", [False, True])
def test_a_halt_whose_end_nobody_told_is_over_once_it_is_traded_again(again: bool) -> None:
    talk = Talk()
    talk.says("first", BARS_TOLD[0])
    talk.says("first", Status("SPY", BARS_TOLD[1].start + 1, True, "2", "news"), BARS_TOLD[1])
    talk.waits(SECOND)
    assert talk.shown() == [True]
    if again:
        talk.again()
    talk.says("first", BARS_TOLD[2])
    talk.waits(SECOND)
    assert talk.shown() == [False]


def test_of_a_reason_without_end_the_beginning_is_shown() -> None:
    talk = Talk()
    talk.says("first", Status("SPY", BEGIN + 1, True, "2" * 10**6, "news" * 10**6))
    talk.waits(SECOND)
    (status,) = [one for one in talk.views if isinstance(one, SymbolStatus)]
    assert (status.halted, len(status.code), len(status.reason)) == (True, 120, 120)


def test_a_halt_of_the_future_is_none() -> None:
    talk = Talk()
    talk.says("first", Status("SPY", BEGIN + 100 * HOUR, True, "2", "news"), Status("SPY", BEGIN, False, "3", ""))
    talk.waits(SECOND)
    assert talk.codes("quarantine/") == [("quarantine/SPY/from_the_future", True)]
    assert True not in talk.shown()


def test_a_halt_and_a_band_are_one_view_of_the_symbol_that_survives_a_restart_of_the_feed() -> None:
    talk = Talk()
    halt = Status("SPY", BEGIN + 5, True, "LUDP", "Volatility Trading Pause")
    talk.says("second", halt, PriceBand("SPY", BEGIN + 6, 95.0, 105.0), replace(halt, time=BEGIN, halted=False))
    talk.waits(SECOND)
    shown = [view for view in talk.views if isinstance(view, SymbolStatus)]
    expected = SymbolStatus(
        "SPY", True, BEGIN + 5, "LUDP", "Volatility Trading Pause", 95.0, 105.0, BEGIN + 6, "second"
    )
    assert shown == [expected]
    after = again(talk.core, FeedCore("feed", writers("feed")))
    views = {event.topic: event.body for event in after.views(talk.play.now)}
    assert views["view/status/SPY"] == expected
    assert {"view/source/first", "view/source/second"} <= set(views)


def test_a_source_name_or_symbol_with_a_slash_is_one_level_of_its_topic() -> None:
    core = FeedCore("feed", writers("feed"))
    with Playbook(core) as play:
        play >> Offer(0, (), views=(SymbolStatus("BTC/USDT"), SourceState("my/own", "live")))
        play << "view/status/BTC-USDT" << "view/source/my-own"


def test_a_source_that_lags_is_replaced_and_returned_to_when_it_has_been_prompt_for_long() -> None:
    talk = Talk()
    for number, bar in enumerate(BARS_TOLD[:20]):
        slow = 2 <= number < 8
        talk.says("second", bar)
        if not slow:
            talk.says("first", bar)
        talk.waits(GRACE)
        talk.waits(LATE)
        if slow:
            talk.says("first", bar)
    published = talk.on("feed/bars")
    assert ends(published) == ends(BARS_TOLD[:20])
    assert [bar.source for bar in published] == ["first"] * 2 + ["second"] * 10 + ["first"] * 8
    assert talk.codes("failover/") == [("failover/first", True), ("failover/first", False)]


def test_changing_over_asks_history_nothing_where_the_reserve_knows_everything() -> None:
    talk = Talk()
    talk.says("second", *BARS_TOLD[:2])
    talk.says("first", *BARS_TOLD[:2])
    for number, bar in enumerate(BARS_TOLD[2:20]):  # a minute in half a second
        talk.says("second", bar, at=1_500 + number / 2)
        talk.waits(0)
    assert talk.desk.selection.active == {"SPY": "second"}
    assert ends(talk.on("feed/bars")) == ends(BARS_TOLD[:20])
    assert talk.questions == []


def test_a_bar_that_the_reserve_knows_too_late_is_a_revision() -> None:
    talk = Talk()
    talk.says("first", *BARS_TOLD[:2], WILD, *BARS_TOLD[3:5])
    talk.says("second", BARS_TOLD[2])
    talk.waits(GRACE)
    assert [(bar.end, bar.revision) for bar in talk.on("feed/revisions")] == [(BARS_TOLD[2].end, 1)]


@pytest.mark.parametrize("by", [-1000 * HOUR, -HOUR, HOUR, 1000 * HOUR])
def test_a_clock_that_is_set_delays_nothing(by: int) -> None:
    talk = Talk()
    talk.says("first", BARS_TOLD[0], BARS_TOLD[2])
    talk.now += by
    assert talk.step(by).end == ["first", "second"]
    connected = [name for _ in range(3) for name in talk.waits(SECOND).connect]
    assert connected == ["first", "second"]
    talk.waits(PATIENCE)
    assert ends(talk.on("feed/bars")) == ends([BARS_TOLD[0], BARS_TOLD[2]]) or by < 0  # else of the future by now
    assert ("clock_set", True) in talk.codes("clock")
    talk.waits(2 * MINUTE)
    assert ("clock_set", False) in talk.codes("clock")
