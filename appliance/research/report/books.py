"""What the books say: costs, symbols and strategies, the trades that mattered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from appliance.core.books.entries import EntryKind, Trade
from appliance.core.record import plain
from appliance.domain.trading import ZERO, Side
from appliance.research.analysis import Slice
from appliance.research.formats import NONE, figure, money, number, signed, span
from appliance.research.report.html import Html, Piece, join, section, table, tag
from appliance.research.report.pictures import flow
from appliance.research.results.result import BacktestResult
from appliance.research.results.tables import trade_return, utc

ROWS_MAX, SLICES_MAX = 10, 50
"""Trades shown at either end; symbols or strategies shown."""


COLUMNS = (
    ("trades", "trades", "count"),
    ("win_rate", "won", "fraction"),
    ("realised", "profit", ""),
    ("profit_factor", "profit factor", "ratio"),
    ("best_trade", "best", ""),
    ("worst_trade", "worst", ""),
    ("average_holding", "held", "ns"),
    ("fills", "fills", "count"),
    ("traded", "traded", ""),
    ("fees", "fees", ""),
    ("other", "other", ""),
)
"""Fields of a slice of the account, what they are called, and their units; money without its own, for room."""


def by_symbol(result: BacktestResult) -> Html:
    """Each symbol, and each strategy."""
    lead = "USD. Closed trades, first in first out, net of their fees; other: dividends, borrow fees, interest."
    return section(
        "symbols", "Symbols and strategies", lead, _slices("symbol", result.symbols), tag("h3", "By strategy"),
        _slices("strategy", result.strategies),
    )  # fmt: skip


def _slices(kind: str, found: Sequence[Slice]) -> Html:
    shown = sorted(found, key=lambda one: (-one.realised, one.name))[:SLICES_MAX]
    head = (kind, *(title for _, title, _ in COLUMNS))
    more = f"{len(found) - len(shown)} that made less are left out." if len(found) > len(shown) else ""
    whole = table(head, [_slice_row(kind, one) for one in shown])
    return join(whole, tag("p", more, class_="lead") if more else "")


def _slice_row(kind: str, one: Slice) -> list[Piece]:
    cells = [_slice_cell(kind, one, name, getattr(one, name), unit) for name, _, unit in COLUMNS]
    return [tag("th", one.name or NONE, scope="row"), *cells]


def _slice_cell(kind: str, one: Slice, name: str, value: float | None, unit: str) -> Html:
    colour = signed(value) if name == "realised" and value else None
    marked = {f"data_{kind}": one.name, "data_figure": name, "data_value": repr(value)}
    return tag("td", figure(value, unit), class_=colour, **marked)


# --- costs -----------------------------------------------------------------------------------------------------------


def costs(result: BacktestResult) -> Html:
    """From what prices brought to what is left."""
    steps = cost_steps(result)
    traded = sum((abs(one.quantity) * one.price for one in result.entries if one.kind is EntryKind.FILL), ZERO)
    fees = sum((one.fee for one in result.entries), ZERO)
    per = f"; fees are {number(10_000 * fees / traded)} bp of {money(traded)} traded" if traded else ""
    lead = f"From what prices brought to what is left of it{per}."
    return section("costs", "Costs", lead, flow([(name, float(value), _amount(name, value)) for name, value in steps]))


BOOKED = {
    EntryKind.DIVIDEND: "dividends",
    EntryKind.SPLIT: "fractions of shares",
    EntryKind.BORROW: "borrowed shares",
    EntryKind.INTEREST: "interest",
}


def cost_steps(result: BacktestResult) -> list[tuple[str, Decimal]]:
    """Names and amounts (USD); the last is their sum: the change of equity."""
    fees = sum((one.fee for one in result.entries), ZERO)
    net = Decimal(result.summary["end_equity"]) - result.plan.cash
    other = [
        (name, sum((one.amount for one in result.entries if one.kind is kind), ZERO)) for kind, name in BOOKED.items()
    ]
    booked = [(name, amount) for name, amount in other if amount]
    gross = net + fees - sum((amount for _, amount in booked), ZERO)
    return [("prices", gross), *booked, ("fees", -fees), ("left", net)]


def _amount(name: str, value: Decimal) -> Html:
    return tag("span", money(value), data_cost=name, data_value=plain(value), class_=signed(value))


# --- trades ----------------------------------------------------------------------------------------------------------


def trades(result: BacktestResult) -> Html:
    """The best and the worst."""
    closed = sorted(result.trades, key=lambda one: -one.profit)
    if not closed:
        return section("trades", "Trades", "No trade was closed.")
    parts: list[Html] = []
    if len(closed) <= 2 * ROWS_MAX:
        parts = [_trades(closed)]
    else:
        parts = [tag("h3", f"The best {ROWS_MAX}"), _trades(closed[:ROWS_MAX]),
                 tag("h3", f"The worst {ROWS_MAX}"), _trades(closed[: -ROWS_MAX - 1 : -1])]  # fmt: skip
    lead = (
        f"{len(closed):,} closed trades; trades.csv has all. USD; best and worst: the largest gain and loss while held."
    )
    return section("trades", "Trades", lead, *parts)


def _trades(found: Iterable[Trade]) -> Html:
    head = (
        "symbol", "side", "shares", "entered (UTC)", "at", "left (UTC)", "at", "held", "profit", "return", "best",
        "worst",
    )  # fmt: skip
    return table(head, [list(_trade_row(one)) for one in found])


def _trade_row(one: Trade) -> Iterator[Piece]:
    yield one.symbol
    yield "long" if one.side is Side.BUY else "short"
    yield plain(one.quantity)
    yield _when(one.entry_time)
    yield number(one.entry_price)
    yield _when(one.exit_time)
    yield number(one.exit_price)
    yield span(one.exit_time - one.entry_time)
    yield tag("td", number(one.profit), class_=signed(one.profit))
    yield figure(trade_return(one), "fraction")
    yield figure(one.best, "")
    yield figure(one.worst, "")


def _when(time: int) -> str:
    return utc(time)[:16].replace("T", " ")
