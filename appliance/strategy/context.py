"""What a strategy and its runner share: the time, positions, saved state, and what the author has asked for so far."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any

from appliance.core.activities import price_after
from appliance.core.models.sizing import Sizer
from appliance.core.wishes import CancelWish, Wish
from appliance.domain.market import AlwaysOpen, Sessions, Split
from appliance.domain.trading import ZERO, Order
from appliance.domain.wire import sendable
from appliance.errors import StrategyError
from appliance.strategy.bars import BarWindow
from appliance.strategy.chance import Chance
from appliance.strategy.indicators import Indicator
from appliance.strategy.schedule import BEFORE_CLOSE, Schedule

LOG_LINES_MAX = 1_000
"""Log lines kept between two collections; the ones beyond are counted and dropped."""
LOG_LINE_LENGTH_MAX = 2_000
STATE_DEPTH_MAX = 20
WISHES_MAX = 1_000
"""Wishes of one call; a strategy that asks for more has lost its way."""


class Context:
    """The strategy's world: the runner writes it, the author sees it through ``self.now``, ``self.target``, …"""

    __slots__ = (
        "calendar", "cash", "chance", "dropped", "indicators", "lines", "now", "orders", "positions", "prices",
        "schedule", "sizer", "starting", "state", "symbols", "tickets", "timeframe", "windows", "wishes",
    )  # fmt: skip

    def __init__(self, seed: str = "", sessions: Sessions | None = None, before_close: int = BEFORE_CLOSE) -> None:
        self.now = 0
        self.starting = False
        self.symbols: tuple[str, ...] = ()
        self.timeframe = ""
        self.calendar = sessions if sessions is not None else AlwaysOpen()
        self.sizer = Sizer()
        self.cash = ZERO
        self.positions: dict[str, Decimal] = {}
        self.prices: dict[str, float] = {}
        self.orders: dict[str, Order] = {}
        self.state: dict[str, Any] = {}
        self.indicators: list[Indicator] = []
        self.windows: dict[tuple[str, str], BarWindow] = {}
        self.schedule = Schedule(sessions, before_close)
        self.chance = Chance(seed)
        self.tickets = 0
        self.wishes: list[Wish | CancelWish] = []
        self.lines: list[str] = []
        self.dropped = 0

    def wish(self, wish: Wish | CancelWish) -> None:
        """Keep one wish for the host. Raises StrategyError for more than ``WISHES_MAX`` in one call."""
        if len(self.wishes) >= WISHES_MAX:
            raise StrategyError(f"more than {WISHES_MAX} targets and orders in one call", hint="look for a loop")
        self.wishes.append(wish)

    @property
    def equity(self) -> Decimal:
        """USD: cash and positions at their last prices; a position without a price yet counts as nothing."""
        worth = self.cash
        for symbol, quantity in self.positions.items():
            if quantity and symbol in self.prices:
                worth += quantity * Decimal(repr(self.prices[symbol]))
        return worth

    def split(self, split: Split) -> None:
        """The last price of a symbol as it would have been quoted in new shares."""
        if split.symbol in self.prices:
            self.prices[split.symbol] = price_after(self.prices[split.symbol], split)

    def books(self) -> dict[str, Any]:
        """Cash and positions as plain data."""
        positions = {symbol: str(quantity) for symbol, quantity in self.positions.items()}
        return {"cash": str(self.cash), "positions": positions}

    def set_books(self, data: dict[str, Any]) -> None:
        """Take over what ``books`` gave."""
        self.cash = Decimal(data["cash"])
        self.positions = {symbol: Decimal(quantity) for symbol, quantity in data["positions"].items()}

    def log(self, text: str) -> None:
        """Keep one line for the host, bounded in length and number."""
        if len(self.lines) < LOG_LINES_MAX:
            self.lines.append(sendable(str(text), LOG_LINE_LENGTH_MAX))
        else:
            self.dropped += 1

    def take_lines(self) -> tuple[str, ...]:
        """The lines kept so far, and how many were dropped; both start again from nothing."""
        lines = tuple(self.lines)
        if self.dropped:
            lines += (f"… {self.dropped} more lines dropped: at most {LOG_LINES_MAX} are kept between two bars",)
        self.lines, self.dropped = [], 0
        return lines

    def check_symbol(self, call: str, symbol: str) -> None:
        """Refuse a symbol nobody feeds (while starting the symbols are not known yet)."""
        if not self.starting and symbol not in self.symbols:
            raise StrategyError(
                f"{call}: {symbol!r} is not a symbol of this strategy; it has {', '.join(self.symbols)}",
                hint="give it an indicator, or list it in the class: symbols = (...)",
            )


def plain(value: Any, path: str = "self.state", depth: int = 0) -> Any:
    """A copy of plain data. Raises StrategyError naming what would not come back from a restart as it was."""
    if value is None or type(value) is bool or (type(value) is str and _can_be_said(value)):
        return value
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    if type(value) is float and isfinite(value):
        return value
    if depth < STATE_DEPTH_MAX and type(value) is list:
        return [plain(one, f"{path}[{index}]", depth + 1) for index, one in enumerate(value)]
    if depth < STATE_DEPTH_MAX and type(value) is dict and all(type(key) is str and _can_be_said(key) for key in value):
        return {key: plain(one, f"{path}[{key!r}]", depth + 1) for key, one in value.items()}
    raise StrategyError(
        f"{path} = {_shown(value)} ({type(value).__name__}) cannot be saved",
        hint="use None, bool, int (64 bits), finite float, str, list, and dict with str keys",
    )


def _can_be_said(text: str) -> bool:
    """Whether UTF-8 has all its characters: half a surrogate pair is none."""
    return text.isascii() or text == sendable(text, len(text))


def _shown(value: Any) -> str:
    return sendable(f"{value!r:.80}", 80)
