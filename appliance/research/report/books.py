"""What the books say: costs, symbols and strategies, the trades that mattered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from appliance.core.books import Entry, EntryKind, Trade
from appliance.core.record import plain
from appliance.domain.trading import ZERO, Side
from appliance.research.formats import NONE, figure, money, number, percent, signed, span
from appliance.research.report.html import Html, Piece, join, section, table, tag
from appliance.research.report.pictures import flow
from appliance.research.result import BacktestResult
from appliance.research.tables import trade_return, utc

ROWS_MAX = 10
"""Trades shown at either end; groups shown at most are five times as many."""


class Group(Struct, frozen=True):
    """What one symbol or strategy did. Money USD; ``profit`` is of closed trades, net of their fees."""

    name: str
    fills: int
    traded: Decimal
    fees: Decimal
    trades: int
    won: int
    profit: Decimal
    best: Decimal | None
    worst: Decimal | None


def groups(entries: Iterable[Entry], trades: Iterable[Trade], key: Callable[[Entry | Trade], str]) -> list[Group]:
    """One group a name, those that made most first."""
    fills: dict[str, list[Entry]] = {}
    closed: dict[str, list[Trade]] = {}
    for entry in entries:
        if entry.kind is EntryKind.FILL:
            fills.setdefault(key(entry), []).append(entry)
    for trade in trades:
        closed.setdefault(key(trade), []).append(trade)
    found = [_group(name, fills.get(name, []), closed.get(name, [])) for name in dict.fromkeys([*fills, *closed])]
    return sorted(found, key=lambda one: (-one.profit, one.name))


def _group(name: str, fills: list[Entry], trades: list[Trade]) -> Group:
    profits = [trade.profit for trade in trades]
    return Group(
        name=name,
        fills=len(fills),
        traded=sum((abs(one.quantity) * one.price for one in fills), ZERO),
        fees=sum((one.fee for one in fills), ZERO),
        trades=len(trades),
        won=sum(profit > 0 for profit in profits),
        profit=sum(profits, ZERO),
        best=max(profits, default=None),
        worst=min(profits, default=None),
    )


def by_symbol(result: BacktestResult) -> Html:
    """Each symbol, and each strategy."""
    lead = "Closed trades, first in first out, net of their fees."
    symbols = groups(result.entries, result.trades, lambda one: one.symbol)
    strategies = groups(result.entries, result.trades, lambda one: one.strategy)
    return section("symbols", "Symbols and strategies", lead, _groups("symbol", symbols), tag("h3", "By strategy"),
                   _groups("strategy", strategies))  # fmt: skip


def _groups(kind: str, found: Sequence[Group]) -> Html:
    head = (kind, "trades", "won", "profit", "best", "worst", "fills", "traded", "fees")
    rows = [_group_row(kind, one) for one in found[: 5 * ROWS_MAX]]
    more = f"{len(found) - len(rows)} more are in trades.csv." if len(found) > len(rows) else ""
    return join(table(head, rows), tag("p", more, class_="lead") if more else "")


def _group_row(kind: str, one: Group) -> list[Piece]:
    def cell(name: str, value: Decimal | int | None, text: str) -> Html:
        marked = {f"data_{kind}": one.name, "data_figure": name, "data_value": _exact(value)}
        return tag("td", text, class_=signed(value) if name == "profit" and value else None, **marked)

    return [
        tag("th", one.name or NONE, scope="row"),
        cell("trades", one.trades, f"{one.trades:,}"),
        cell("won", one.won, percent(one.won / one.trades, 1) if one.trades else NONE),
        cell("profit", one.profit, money(one.profit)),
        cell("best", one.best, figure(one.best, "USD")),
        cell("worst", one.worst, figure(one.worst, "USD")),
        cell("fills", one.fills, f"{one.fills:,}"),
        cell("traded", one.traded, money(one.traded)),
        cell("fees", one.fees, money(one.fees)),
    ]


def _exact(value: Decimal | int | None) -> str:
    return "" if value is None else plain(value) if isinstance(value, Decimal) else str(value)


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
    lead = f"{len(closed):,} closed trades; trades.csv has all. Best and worst: the largest gain and loss while held."
    return section("trades", "Trades", lead, *parts)


def _trades(found: Iterable[Trade]) -> Html:
    head = (
        "symbol",
        "side",
        "shares",
        "entered (UTC)",
        "at",
        "left (UTC)",
        "at",
        "held",
        "profit",
        "return",
        "best",
        "worst",
    )
    return table(head, [list(_trade_row(one)) for one in found])


def _trade_row(one: Trade) -> Iterator[Piece]:
    yield one.symbol
    yield "long" if one.side is Side.BUY else "short"
    yield plain(one.quantity)
    yield _when(one.entry_time)
    yield number(one.entry_price, 4)
    yield _when(one.exit_time)
    yield number(one.exit_price, 4)
    yield span(one.exit_time - one.entry_time)
    yield tag("td", money(one.profit), class_=signed(one.profit))
    yield figure(trade_return(one), "fraction")
    yield figure(one.best, "USD")
    yield figure(one.worst, "USD")


def _when(time: int) -> str:
    return utc(time)[:16].replace("T", " ")
