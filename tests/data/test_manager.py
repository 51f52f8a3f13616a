"""One interface for market data: what is kept is not asked for again, who fails is replaced, who lies is refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.data.cache import DataCache
from appliance.data.calendars import CalendarOptions, calendar_of
from appliance.data.live.spec import LiveSpec
from appliance.data.manager import DataManager
from appliance.data.sources.base import Traits
from appliance.data.store import HistoryStore
from appliance.domain.market import DAY, MINUTE, AlwaysOpen, Bar, CorporateAction, Dividend, Session, Sessions, Split
from appliance.errors import DataError, SourceBusy, SourceDown, SourceRefused, UsageError

DAYS = 5
OPEN = 10_000 * DAY + 870 * MINUTE
LENGTH = 30
NOW = OPEN + DAYS * DAY
NEW_YORK = Sessions([Session(str(n), OPEN + n * DAY, OPEN + n * DAY + LENGTH * MINUTE) for n in range(DAYS)])


class Told:
    """A source of one-minute bars of a market in which every minute of a session is traded. ``fails`` after so many
    pages with ``error``; it notes what it is asked."""

    def __init__(self, name: str, actions: Sequence[CorporateAction] | None = None, page: int = 10) -> None:
        self.name = name
        self.traits = Traits(timeframes=("1m", "1d"), history=True, actions=actions is not None)
        self.asked: list[tuple[int, int]] = []
        self.error: DataError | None = None
        self.fails, self._page, self._actions = 0, page, tuple(actions or ())
        self.closed = False

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        self.asked.append((start, end))
        known = [self.bar(symbols[0], session.open + n * MINUTE) for session in NEW_YORK for n in range(LENGTH)]
        wanted = [bar for bar in known if start <= bar.start and bar.end <= end]
        for number, at in enumerate(range(0, len(wanted), self._page)):
            if self.error is not None and number >= self.fails:
                raise self.error
            yield tuple(wanted[at : at + self._page])
        if self.error is not None and self.fails * self._page >= len(wanted):
            raise self.error

    def bar(self, symbol: str, start: int) -> Bar:
        price = 100.0 + start // MINUTE % 7
        return Bar(symbol, "1m", start, start + MINUTE, price, price, price, price, 10.0, self.name)

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        if self.error is not None:
            raise self.error
        return tuple(one for one in self._actions if one.symbol in symbols and start <= one.time < end)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def store(tmp_path):
    store = HistoryStore(tmp_path / "history.db")
    yield store
    store.close()


def manager_of(*sources: Told, store: HistoryStore | None = None, now: int = NOW, **others) -> DataManager:
    hours = others.pop("hours", calendar_of(CalendarOptions(), NEW_YORK))
    return DataManager(LiveSpec((), ("SPY",)), sources, (), hours, store, now=lambda: now, **others)


def _asked(manager: DataManager, start: int = OPEN, end: int = NOW, way: str = "raw", source: str = ""):
    return next(manager.history(("SPY",), "1m", start, end, way, source))


def _fetch(manager: DataManager, start: int = OPEN, end: int = NOW) -> list[int]:
    return list(manager.fetch("SPY", "1m", start, end))


ALL = DAYS * LENGTH


def test_the_first_source_answers_and_the_next_one_where_it_does_not():
    first, second = Told("first"), Told("second")
    assert {bar.source for bar in _asked(manager_of(first, second))} == {"first"}
    assert second.asked == []
    first.error = SourceDown("hung up", source="first")
    assert {bar.source for bar in _asked(manager_of(first, second))} == {"second"}


def test_where_nobody_answers_everyones_reason_is_told_and_the_last_one_says_whether_to_try_again():
    first, second = Told("first"), Told("second")
    first.error = SourceRefused("no subscription", source="first", hint="pay")
    second.error = SourceBusy("too many requests", source="second", wait=7, hint="wait")
    with pytest.raises(SourceBusy) as told:
        _asked(manager_of(first, second))
    assert told.value.text == "first: no subscription; second: too many requests"
    assert (told.value.wait, told.value.hint) == (7, "wait")


def test_a_source_can_be_named_and_one_there_is_not_is_told_with_the_nearest():
    manager = manager_of(Told("alpaca"), Told("mine"))
    assert {bar.source for bar in _asked(manager, source="mine")} == {"mine"}
    with pytest.raises(UsageError) as told:
        _asked(manager, source="alpacca")
    assert "no source 'alpacca'" in told.value.text
    assert "did you mean 'alpaca'?" in told.value.hint


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        ({"timeframe": "7m"}, DataError, "no source has bars of '7m'"),
        ({"start": NOW + 1, "end": NOW + 2}, DataError, "begins in the future"),
        ({"start": NOW, "end": OPEN}, DataError, "is not before end"),
        ({"symbols": ()}, DataError, "asked for no symbol"),
        ({"adjusted": "both"}, UsageError, "adjusted 'both'"),
    ],
)
def test_a_question_without_sense_is_refused_before_anybody_is_asked(asked, error, text):
    source = Told("first")
    question = {"symbols": ("SPY",), "timeframe": "1m", "start": OPEN, "end": NOW, **asked}
    with pytest.raises(error, match=text) as told:
        next(manager_of(source).history(**question))
    assert told.value.hint
    assert source.asked == []


def test_what_was_fetched_is_kept_and_not_asked_for_again(store):
    source = Told("first")
    manager = manager_of(source, store=store)
    assert _fetch(manager)[-1] == ALL
    asked = len(source.asked)
    assert _fetch(manager, OPEN, OPEN + 2 * DAY) == []
    whole = _asked(manager, OPEN, OPEN + 3 * DAY)
    assert len(source.asked) == asked
    assert whole == _asked(manager_of(source), OPEN, OPEN + 3 * DAY)


def test_a_fetch_that_is_cut_off_goes_on_where_it_was(store):
    source = Told("first")
    source.error, source.fails = SourceDown("hung up", source="first"), 3
    manager = manager_of(source, store=store)
    with pytest.raises(SourceDown):
        deque(manager.fetch("SPY", "1m", OPEN, NOW), 0)
    source.error = None
    assert _fetch(manager)[-1] == ALL - 30
    assert source.asked == [(OPEN, NOW), (OPEN + LENGTH * MINUTE, NOW)]


def test_where_one_source_fails_in_the_middle_the_next_goes_on_from_there(store):
    first, second = Told("first"), Told("second")
    first.error, first.fails = SourceDown("hung up", source="first"), 2
    assert _fetch(manager_of(first, second, store=store))[-1] == ALL
    found = [bar.source for page in store.bars("SPY", "1m", OPEN, NOW) for bar in page]
    assert found == ["first"] * 20 + ["second"] * (ALL - 20)
    assert second.asked == [(OPEN + 20 * MINUTE, NOW)]


def test_what_is_still_being_traded_is_asked_for_again(store):
    source = Told("first")
    during = OPEN + DAY + 10 * MINUTE + MINUTE // 2
    _fetch(manager_of(source, store=store, now=during), OPEN, during)
    assert store.lacking("SPY", "1m", OPEN, during)[-1][1] == during
    assert _fetch(manager_of(source, store=store))[-1] == ALL - LENGTH - 10
    assert len(_asked(manager_of(store=store), OPEN, OPEN + 3 * DAY)) == 3 * LENGTH


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5 * 24 * 120), st.integers(1, 5 * 24 * 120)), min_size=1, max_size=6))
def test_whatever_was_fetched_before_a_range_is_answered_as_its_source_answers_it(tmp_path_factory, ranges):
    folder = tmp_path_factory.mktemp("store")
    store, half = HistoryStore(folder / "history.db"), MINUTE // 2
    for first, length in ranges:
        start, end = OPEN - DAY // 2 + first * half, OPEN - DAY // 2 + (first + length) * half
        if start < NOW:
            manager = manager_of(Told("first"), store=store)
            deque(manager.fetch("SPY", "1m", start, end), 0)
            assert _asked(manager, start, end) == _asked(manager_of(Told("first")), start, end)
    store.close()


SPLIT = Split("SPY", OPEN + 2 * DAY - MINUTE, 2, 1)
PAID = Dividend("SPY", OPEN + 3 * DAY - MINUTE, Decimal(1))


def test_adjusted_bars_follow_what_the_source_that_knows_says_of_splits_and_dividends(store):
    plain, knowing = Told("plain"), Told("knowing", [SPLIT, PAID])
    manager = manager_of(plain, knowing, store=store)
    raw, split, both = (_asked(manager, way=way) for way in ("raw", "split", "all"))
    cut = 2 * LENGTH
    assert [bar.close for bar in split] == [bar.close / (2 if n < cut else 1) for n, bar in enumerate(raw)]
    last = raw[3 * LENGTH - 1].close
    assert both[0].close == pytest.approx(split[0].close * (1 - 1 / last))
    assert both[-1] == raw[-1]
    assert store.actions(["SPY"], 0, NOW) == (SPLIT, PAID)
    assert manager.splits("SPY") == (SPLIT,)


def test_without_anybody_who_knows_the_splits_only_raw_bars_are_given():
    manager = manager_of(Told("plain"))
    assert len(_asked(manager)) == ALL
    with pytest.raises(DataError, match="nobody knows the splits and dividends of SPY: no source tells them"):
        _asked(manager, way="split")


def test_a_source_that_knows_splits_and_is_down_is_no_source_without_splits(store):
    store.add_actions([SPLIT])
    knowing = Told("knowing", [SPLIT])
    knowing.error = SourceDown("hung up", source="knowing")
    with pytest.raises(DataError, match="nobody knows the splits and dividends of SPY: knowing: hung up"):
        manager_of(knowing, Told("plain"), store=store).actions(("SPY",), 0, NOW)
    assert manager_of(Told("plain"), store=store).actions(("SPY",), 0, NOW) == (SPLIT,)


def test_a_market_that_never_closes_has_no_splits():
    hours = calendar_of(CalendarOptions(symbols={"SPY": "always"}), NEW_YORK)
    manager = manager_of(Told("plain"), hours=hours)
    assert isinstance(hours("SPY"), AlwaysOpen)
    assert _asked(manager, way="split") == _asked(manager)


def test_bars_that_a_source_has_adjusted_for_unknown_splits_are_never_taken_for_raw(store):
    manager = manager_of(Told("ib"), store=store, rescaled=["ib"])
    with pytest.raises(DataError, match="ib tells bars adjusted for splits, and no source of this box knows"):
        _asked(manager)
    with pytest.raises(DataError, match="ib tells bars adjusted") as told:
        deque(manager.fetch("SPY", "1m", OPEN, NOW), 0)
    assert told.value.hint.endswith("add a source that knows the splits (kind alpaca)")
    assert (manager.keeps("1m"), manager_of(Told("raw")).keeps("1m")) == (False, True)
    assert len(_asked(manager, way="split")) == ALL
    assert {bar.source for bar in _asked(manager_of(Told("ib"), Told("raw"), rescaled=["ib"]))} == {"raw"}


def test_a_box_without_sources_still_gives_what_it_keeps(store):
    _fetch(manager_of(Told("first"), store=store))
    alone = manager_of(store=store)
    assert len(_asked(alone, OPEN, OPEN + DAY)) == LENGTH
    with pytest.raises(DataError, match="no source has bars of '1m'"):
        _asked(alone)


def test_what_a_source_told_is_remembered_with_its_splits(tmp_path):
    source = Told("knowing", [SPLIT])
    hours = calendar_of(CalendarOptions(), NEW_YORK)
    manager = manager_of(source, cache=DataCache(tmp_path / "cache.db", hours, lambda: NOW))
    until = OPEN + 3 * DAY
    first = _asked(manager, end=until, way="split")
    asked = len(source.asked)
    assert asked
    assert _asked(manager, end=until, way="split") == first
    assert len(source.asked) == asked
    assert first == _asked(manager_of(Told("knowing", [SPLIT])), end=until, way="split")
    manager.close()


def test_bars_a_source_has_adjusted_are_remembered_as_such(tmp_path):
    hours = calendar_of(CalendarOptions(), NEW_YORK)
    cache = DataCache(tmp_path / "cache.db", hours, lambda: NOW)
    until = OPEN + 3 * DAY
    adjusted = _asked(manager_of(Told("ib"), cache=cache, rescaled=["ib"]), end=until, way="split")
    raw = Told("ib")
    assert _asked(manager_of(raw, cache=cache), end=until) == adjusted
    assert raw.asked, "as raw bars they were not known"
    cache.close()


def test_closing_leaves_every_source(store):
    source = Told("first")
    manager_of(source, store=store).close()
    assert source.closed
