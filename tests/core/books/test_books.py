"""A run's books: at every step cash and positions are the equity, exactly; trades by FIFO and by average agree."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.activities import activity_of, divided
from appliance.core.books.book import EVENT, MARKS_MAX, SESSION, Book
from appliance.core.books.entries import EntryKind, Mark
from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.core.models.commission import Percent
from appliance.core.wishes import Made, Silent, Wish, Wishes
from appliance.domain.market import Bar, CorporateAction, Dividend, QuoteBar, Session, Sessions, Split
from appliance.domain.messages import Event, EventType
from appliance.domain.trading import Activity, ActivityKind, Fill, Part, Side
from appliance.world.backtest import Backtest
from tests.core.make import bar
from tests.playbook import BEGIN, SECOND

D = Decimal
DAY = 86_400 * SECOND
OPENING = D(100_000)


def filled(quantity: int, price: str, time: int = BEGIN, fee: str = "1", strategy: str = "trend") -> Event:
    """Bought, or sold where the quantity is below 0."""
    side = Side.BUY if quantity > 0 else Side.SELL
    fill = Fill(f"{time}{quantity}", "trend-1-1", strategy, "SPY", side, D(abs(quantity)), D(price), D(fee), time)
    return Event(EventType.FILL, fill)


def happened(action: CorporateAction, book: Book) -> Event:
    held = {fifo.strategy: fifo.shares for fifo in book._lots.values() if fifo.symbol == action.symbol}
    activity = activity_of(action, sum(held.values(), D(0)))
    fields = {name: getattr(activity, name) for name in activity.__struct_fields__}
    return Event(EventType.ACTIVITY, Activity(**{**fields, "parts": divided(activity, held)}))


def noted(*events: Event) -> Book:
    book = Book(OPENING)
    for event in events:
        book.note(event)
    return book


# --- entries and trades -----------------------------------------------------------------------------------------------


def test_each_change_of_cash_is_an_entry_with_the_cash_after_it() -> None:
    book = noted(filled(10, "100"), filled(-4, "110", BEGIN + 1))
    assert [(entry.kind, entry.quantity, entry.amount, entry.cash) for entry in book.entries] == [
        (EntryKind.FILL, D(10), D(-1001), D(98_999)),
        (EntryKind.FILL, D(-4), D(439), D(99_438)),
    ]
    assert book.fees == 2
    assert book.positions == {"SPY": D(6)}


def test_what_was_bought_first_is_sold_first() -> None:
    book = noted(filled(10, "100"), filled(10, "120", BEGIN + 1), filled(-15, "130", BEGIN + 2, fee="3"))
    assert [
        (trade.quantity, trade.entry_price, trade.exit_price, trade.fees, trade.profit) for trade in book.trades
    ] == [(D(10), D(100), D(130), D(3), D(297)), (D(5), D(120), D(130), D("1.5"), D("48.5"))]
    assert book.trips == []


def test_a_fill_that_crosses_zero_closes_a_trade_and_opens_the_next() -> None:
    book = noted(filled(10, "100"), filled(-30, "110", BEGIN + 1, fee="3"), filled(20, "90", BEGIN + 2, fee="2"))
    first, second = book.trades
    assert (first.side, first.profit) == (Side.BUY, D(100) - 1 - 1)
    assert (second.side, second.quantity, second.profit) == (Side.SELL, D(20), D(400) - 2 - 2)
    assert [trip.profit for trip in book.trips] == [first.profit, second.profit]


def test_a_trade_knows_the_best_and_the_worst_price_while_it_was_held() -> None:
    book = noted(filled(10, "100"))
    book.price(bar(101, low=95.0, high=108.0))
    book.note(filled(-10, "103", BEGIN + 2))
    book.price(bar(101, low=1.0, high=999.0))
    (trade,) = book.trades
    assert (trade.best, trade.worst) == (D(80), D(-50))


def test_a_short_trade_is_worst_at_the_highest_price() -> None:
    book = noted(filled(-10, "100"))
    book.price(bar(101, low=95.0, high=108.0))
    book.note(filled(10, "97", BEGIN + 2))
    assert (book.trades[0].best, book.trades[0].worst) == (D(50), D(-80))


def test_the_price_at_the_decision_is_kept_with_the_fill() -> None:
    book = Book(OPENING, decided=lambda order_id: D(99) if order_id == "trend-1-1" else None)
    book.note(filled(1, "100"))
    assert book.entries[0].decided == D(99)


def test_a_split_makes_new_shares_of_lots_and_a_trade_of_the_fraction_that_is_paid_out() -> None:
    book = noted(filled(5, "30", fee="0"))
    book.note(happened(Split("SPY", BEGIN + 1, 3, 2, D(36)), book))
    assert book.positions == {"SPY": D(7)}
    (fraction,) = book.trades
    assert (fraction.quantity, fraction.exit_price, fraction.profit) == (D("0.5"), D(24), D(2))
    (entry,) = book.of(EntryKind.SPLIT)
    assert (entry.quantity, entry.amount) == (D(2), D(12))
    book.note(filled(-7, "24", BEGIN + 2, fee="0"))
    assert sum(trade.profit for trade in book.trades) == sum(trip.profit for trip in book.trips) == D(30)


def test_dividends_and_interest_are_entries_and_no_trades() -> None:
    book = noted(filled(10, "100", fee="0"))
    book.note(happened(Dividend("SPY", BEGIN, D("0.5")), book))
    interest = Activity("i", ActivityKind.INTEREST, "", BEGIN, D(-3), parts=(Part("trend", D(0), D(-3)),))
    book.note(Event(EventType.ACTIVITY, interest))
    book.note(Event(EventType.ACTIVITY, Activity("m", ActivityKind.MARGIN_CALL, "", BEGIN)))
    assert [entry.kind for entry in book.entries] == [EntryKind.FILL, EntryKind.DIVIDEND, EntryKind.INTEREST]
    assert (book.dividends, book.cash) == (D(5), OPENING - 1000 + 5 - 3)
    assert book.trades == []


steps = st.one_of(
    st.tuples(
        st.sampled_from(["a", "b"]), st.integers(-60, 60).filter(bool), st.decimals("0.01", "900", places=2),
        st.decimals("0", "9", places=2),
    ),
    st.builds(
        Split, st.just("SPY"), st.just(BEGIN), st.integers(1, 9), st.integers(1, 9),
        st.decimals("0.01", "900", places=2),
    ).filter(lambda split: split.new != split.old),
    st.builds(Dividend, st.just("SPY"), st.just(BEGIN), st.decimals("0.01", "5", places=2)),
)  # fmt: skip


@given(st.lists(steps, max_size=25), st.decimals("1", "900", places=2))
def test_cash_and_positions_are_the_equity_and_entries_the_cash_at_every_step(drawn: list[Any], price: Decimal) -> None:
    book = Book(OPENING)
    for number, step in enumerate(drawn):
        if isinstance(step, tuple):
            strategy, quantity, at, fee = step
            book.note(filled(quantity, str(at), BEGIN + number, str(fee), strategy))
        else:
            book.note(happened(step, book))
        assert book.cash == OPENING + sum((entry.amount for entry in book.entries), D(0))
        assert book.entries[-1:] == [] or book.entries[-1].cash == book.cash
        assert book.positions.get("SPY", D(0)) == sum((fifo.shares for fifo in book._lots.values()), D(0))
        assert book.equity({"SPY": price}) == book.cash + book.positions.get("SPY", D(0)) * price


@given(st.lists(steps, max_size=25))
def test_once_flat_fifo_average_and_cash_tell_the_same_profit(drawn: list[Any]) -> None:
    book = Book(OPENING)
    for number, step in enumerate(drawn):
        if isinstance(step, tuple):
            strategy, quantity, at, fee = step
            book.note(filled(quantity, str(at), BEGIN + number, str(fee), strategy))
        else:
            book.note(happened(step, book))
    for name in ("a", "b"):
        left = int(sum((fifo.shares for fifo in book._lots.values() if fifo.strategy == name), D(0)))
        if left:
            book.note(filled(-left, "50", BEGIN + 99, "1", name))
        by_fifo = sum((trade.profit for trade in book.trades if trade.strategy == name), D(0))
        by_average = sum((trip.profit for trip in book.trips if trip.strategy == name), D(0))
        in_cash = sum((e.amount for e in book.entries if e.strategy == name and e.kind is not EntryKind.DIVIDEND), D(0))
        assert by_fifo == by_average == in_cash
    assert book.held == {}


# --- marks ------------------------------------------------------------------------------------------------------------

DAYS = Sessions([Session(f"2023-11-{15 + n}", BEGIN + n * DAY, BEGIN + n * DAY + 3600 * SECOND) for n in range(5)])


def minute(day: int, number: int, close: float, **given: float) -> Bar:
    return bar(close, BEGIN + day * DAY + number * 60 * SECOND, **given)


def marked(book: Book, *bars: Bar) -> list[Mark]:
    for one in bars:
        if one.end > book.due:
            book.turn(one.end)
        book.price(one)
        book.through = one.end
    return book.marks


def test_a_session_is_marked_at_its_close_with_the_extremes_of_its_bars() -> None:
    book = Book(OPENING, DAYS, SESSION)
    book.turn(BEGIN)
    book.note(filled(10, "100", fee="0"))
    first, second = marked(
        book, minute(0, 1, 101, low=90, high=105), minute(0, 2, 102), minute(1, 0, 99), minute(1, 1, 98)
    )
    assert first == Mark(BEGIN + 3600 * SECOND, 100_020.0, 99_900.0, 100_050.0, 99_000.0, 1020.0, 0.0, 1.0, 0.01)
    assert (second.time, second.equity, second.lowest, second.highest) == (
        BEGIN + DAY + 120 * SECOND, 99_980.0, 99_980.0, 100_020.0,
    )  # fmt: skip


def test_a_bar_that_ends_with_the_session_is_in_its_mark() -> None:
    book = Book(OPENING, DAYS, SESSION)
    book.turn(BEGIN)
    book.note(filled(-10, "100", fee="0"))
    last = bar(103, BEGIN + 3540 * SECOND)
    marks = marked(book, last, minute(1, 0, 50))
    assert (marks[0].equity, marks[0].short) == (99_970.0, -1030.0)


def test_every_bar_is_marked_while_there_are_few_and_only_sessions_once_there_are_many() -> None:
    book = Book(OPENING, DAYS)
    for number in range(30):
        marked(book, minute(0, number, 100))
    assert len(book.marks) == 30
    book._marks = [Mark(BEGIN + n, 1.0, 0.5, 2.0, 1.0) for n in range(MARKS_MAX)]
    marks = marked(book, minute(1, 0, 100), minute(1, 1, 100), minute(2, 0, 100), minute(2, 1, 100))
    assert [mark.time for mark in marks] == [
        BEGIN + 30 * 60 * SECOND, BEGIN + DAY + 3600 * SECOND, BEGIN + 2 * DAY + 120 * SECOND,
    ]  # fmt: skip
    assert (marks[0].lowest, marks[0].highest) == (0.5, 100_000.0)


def test_a_mark_of_a_session_knows_how_long_something_was_held_in_it_and_how_much() -> None:
    book = Book(OPENING, DAYS, SESSION)
    book.turn(BEGIN + 1)
    for minutes, shares in ((6, 10), (15, -10), (30, -20), (33, 20), (57, 5)):
        book.note(filled(shares, "100", time=BEGIN + minutes * 60 * SECOND, fee="0"))
    first, second = marked(book, minute(1, 5, 100))
    assert first.held == pytest.approx((9 + 3 + 3) / 60)
    assert first.leverage == pytest.approx(0.02)
    assert (second.held, second.leverage) == (1.0, 0.0)


def test_what_was_marked_time_by_time_is_held_as_long_once_only_sessions_are_marked() -> None:
    held = [10.0 if 10 <= number < 25 else 0.0 for number in range(60)]
    book = Book(OPENING, DAYS)
    book._marks = [
        Mark(BEGIN + (1 + n) * 60 * SECOND, 100.0, 100.0, 100.0, 100.0, long) for n, long in enumerate(held)
    ] + [Mark(BEGIN + DAY + n * 60 * SECOND, 100.0, 100.0, 100.0, 100.0, 50.0) for n in range(1, 31)]
    book._thin(BEGIN + DAY + 31 * 60 * SECOND)
    marks = marked(book, minute(1, 31, 100), minute(2, 0, 100))
    assert [mark.held for mark in marks[:2]] == [0.25, 0.5]
    assert [mark.leverage for mark in marks[:2]] == [0.1, 0.5]


def test_a_quote_bar_is_worth_its_middle() -> None:
    book = Book(OPENING, mark_every=EVENT)
    book.note(filled(10, "100", fee="0"))
    quotes = QuoteBar("SPY", "1m", BEGIN, BEGIN + 60 * SECOND, 99, 101, 98, 100, 101, 103, 100, 102)
    book.turn(quotes.end)
    book.price(quotes)
    book.through = quotes.end
    assert (book.marks[-1].equity, book.marks[-1].lowest, book.marks[-1].highest) == (100_010.0, 99_990.0, 100_020.0)


# --- of a whole run ---------------------------------------------------------------------------------------------------


class Walker(Silent):
    """Wants what it is told for each bar."""

    def __init__(self, name: str, wants: list[int]) -> None:
        super().__init__(name, ("SPY",))
        self.wants = list(wants)

    def bar(self, bar: Bar, now: int) -> Wishes:
        return (Wish("SPY", D(self.wants.pop(0))),) if self.wants else ()


@settings(deadline=None)
@given(st.lists(st.integers(10, 90), min_size=2, max_size=20), st.lists(st.integers(-9, 9), max_size=15))
def test_the_books_of_a_run_are_those_of_its_venue_at_every_bar(closes: list[int], wants: list[int]) -> None:
    makers = [Made(name, lambda name=name: Walker(name, wants)) for name in ("a", "b")]  # type: ignore[misc]
    limits = rules(LimitValues(require_cash=False))
    found = Backtest("walk", makers, limits, OPENING, MarketModel(Percent(D("0.1"))), mark_every=EVENT)
    for number, close in enumerate(closes):
        one = bar(close, BEGIN + number * 60 * SECOND)
        found.run([one])
        held = found.paper.positions.get("SPY", D(0))
        assert found.book.cash == found.paper.cash
        assert found.book.positions.get("SPY", D(0)) == held
        assert found.book.equity({"SPY": D(close)}) == found.equity == found.paper.cash + held * close
        mark = found.book.marks[-1]
        assert mark.time == one.end
        assert mark.equity == pytest.approx(float(found.equity), rel=1e-12)
        assert mark.lowest <= mark.equity <= mark.highest
    assert len(found.book.entries) == found.record.fills
