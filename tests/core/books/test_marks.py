"""At which price a run's books mark what is held: at the last trade, or in the middle where there are only quotes."""

from __future__ import annotations

from appliance.core.books.book import EVENT, Book
from appliance.domain.market import Bar, MarketEvent, Quote, QuoteBar, Trade
from tests.core.books.test_books import OPENING, filled
from tests.playbook import BEGIN, SECOND

AT = BEGIN + SECOND
BAR = Bar("SPY", "1s", BEGIN, AT, 110.0, 110.0, 110.0, 110.0, 1.0)
TRADE = Trade("SPY", AT, 120.0, 1.0)
QUOTE_BAR = QuoteBar("SPY", "1s", BEGIN, AT, *[90.0] * 4, *[94.0] * 4)
QUOTE = Quote("SPY", AT, 80.0, 84.0)


def equity_after(*events: MarketEvent) -> float:
    """Ten shares bought at 100 USD for a fee of 1, and what they are worth after some events."""
    book = Book(OPENING, mark_every=EVENT)
    book.turn(BEGIN)
    book.note(filled(10, "100"))
    for event in events:
        book.turn(event.end if isinstance(event, Bar | QuoteBar) else event.time)
        book.price(event)
    book.turn(AT + SECOND)
    return book.marks[-1].equity - float(OPENING) + 1001.0


def test_what_has_trades_is_marked_at_the_last_of_them_whatever_is_quoted() -> None:
    assert equity_after(BAR, QUOTE_BAR, QUOTE) == 1100.0
    assert equity_after(TRADE, QUOTE) == 1200.0
    assert equity_after(QUOTE_BAR, BAR) == 1100.0


def test_what_is_only_quoted_is_marked_in_the_middle() -> None:
    assert equity_after(QUOTE_BAR) == 920.0
    assert equity_after(QUOTE_BAR, QUOTE) == 820.0
