"""Hand-made books of a run: fills, closed trades, marks, and a whole result of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from appliance.core.books.entries import Entry, EntryKind, Mark, Trade
from appliance.data.options import FileOptions
from appliance.domain.market import DAY, Bar
from appliance.domain.trading import Side
from appliance.research.analysis import Curves, Drawdown
from appliance.research.metrics.slices import by_symbol
from appliance.research.results.evidence import Finding
from appliance.research.results.inputs import Inputs
from appliance.research.results.result import BacktestResult, Parameter
from appliance.research.results.running import Plan
from appliance.research.results.tape import Tape
from appliance.runs import StrategySpec

NOON = 1_380_902_400_000_000_000
"""2013-10-04 16:00 UTC, noon in New York: a Friday."""
CASH = Decimal(1_000)


def trade(profit: float | str, symbol: str = "SPY", day: int = 0, strategy: str = "mine") -> Trade:
    """10 shares bought at 100 on a day and sold on the next, for so much."""
    won = Decimal(str(profit))
    return Trade(
        symbol, strategy, Side.BUY, Decimal(10), NOON + day * DAY, Decimal(100), NOON + (day + 1) * DAY,
        Decimal(100) + (won + 2) / 10, Decimal(2), won,
    )  # fmt: skip


def fill(quantity: int = 10, price: str = "100", fee: str = "1", symbol: str = "SPY", day: int = 0) -> Entry:
    """So many shares bought (negative: sold) at that price."""
    amount = -quantity * Decimal(price) - Decimal(fee)
    return Entry(
        NOON + day * DAY, EntryKind.FILL, symbol, Decimal(quantity), Decimal(price), Decimal(fee), amount,
        CASH + amount, f"order-{day}", "mine", Decimal(price),
    )  # fmt: skip


def booked(kind: EntryKind, amount: str) -> Entry:
    """Cash that came or went without a fill."""
    zero = Decimal(0)
    return Entry(NOON, kind, "SPY", zero, zero, zero, Decimal(amount), CASH)


def marks(*equities: float, every: int = DAY) -> tuple[Mark, ...]:
    """What the account was worth, one mark a day."""
    return tuple(Mark(NOON + at * every, value, value, value, value) for at, value in enumerate(equities))


def bar(day: int = 0, price: float = 100.0, volume: float = 1_000.0, symbol: str = "SPY") -> Bar:
    """A bar of a day."""
    start = NOON + (day - 1) * DAY
    return Bar(symbol, "1d", start, start + DAY, price, price, price, price, volume)


def result(**given: Any) -> BacktestResult:
    """A result of ten days and two trades; what is ``given`` is put in the place of the rest."""
    tape = Tape(NOON, NOON + 9 * DAY)
    tape.note([bar(day, 100.0 + day) for day in range(10)], ())
    spec = StrategySpec("mine", "mine.py", params={"fast": "5"})
    parts: dict[str, Any] = {
        "name": "mine",
        "plan": Plan(spec, ("bars.csv",), FileOptions(symbols=("SPY",), session="all"), CASH),
        "inputs": Inputs("aa", "bb", {"bars.csv": "cc"}, "", "dd", {"appliance": "0.1.0"}),
        "parameters": (Parameter("fast", "5", "a whole number from 2 to 9", "bars", 2, 9),),
        "data": {
            "symbols": ["SPY"], "benchmark": "SPY", "first": NOON, "last": NOON + 9 * DAY, "events": 10, "files": [],
            "missing": 0, "gaps": [], "bad_rows": 0, "unadjusted": [],
        },
        "summary": {"bars": 10, "fills": 4, "trades": 2, "end_equity": "1009", "fees": "4"},
        "metrics": {"total_return": 0.009, "sharpe": None},
        "drawdowns": (Drawdown(NOON, NOON + DAY, NOON + 2 * DAY, -0.001),),
        "symbols": by_symbol(given.get("trades", ()), given.get("entries", ())),
        "strategies": (),
        "curves": Curves((0.01, -0.005), {(2013, 10): 0.009}, {2013: 0.009}),
        "findings": (Finding("few_trades", "serious", "Too few trades", "2 closed trades", "use more data"),),
        "orders": b'{"id":"1"}\n',
        "entries": [fill(day=1), fill(-10, "101", day=2), fill(day=3), fill(-10, "100.3", day=4)],
        "trades": (trade(8, day=1), trade(1, day=3)),
        "trips": (),
        "marks": marks(1000, 999, 1008, 1007, 1009, 1009, 1009, 1009, 1009, 1009),
        "tape": tape,
        "benchmark": "SPY",
    }  # fmt: skip
    return BacktestResult(**(parts | given))
