"""The bridge between one strategy and its host's core: calls in, wishes out, plain data for the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from appliance.core.wishes import Wish
from appliance.domain.market import Bar, Quote
from appliance.domain.trading import Fill, Order
from appliance.errors import StrategyError
from appliance.strategy.base import Strategy
from appliance.strategy.context import Context, plain
from appliance.strategy.params import Value

SNAPSHOT_VERSION = 1
_NONE: tuple[Wish, ...] = ()


class StrategyRunner:
    """Runs one strategy (see ``appliance.core.wishes.Runner``). ``values`` come from ``Strategy.configure``.

    ``symbols`` is known after ``start``, ``rehearse`` or ``restore``.
    """

    def __init__(self, strategy: type[Strategy], name: str, values: Mapping[str, Value]) -> None:
        self.name = name
        self.symbols: tuple[str, ...] = ()
        self._class = strategy
        self._values = dict(values)
        self._hears_quotes = strategy.on_quote is not Strategy.on_quote
        self._renew()

    def _renew(self) -> None:
        """A strategy as if nothing had happened yet."""
        self._context = Context()
        self._strategy = self._class(self._context, self._values)
        self._on_bar = self._strategy.on_bar
        self._feeds: dict[str, tuple[Callable[[Bar], None], ...]] = {}
        self._started: int | None = None
        self._held_at_start: dict[str, str] = {}

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self, now: int) -> tuple[Wish, ...]:
        """Run ``on_start`` at ``now`` (ns UTC). Raises StrategyError when the strategy names no symbol."""
        context = self._context
        self._started, self._held_at_start = now, _texts(context.positions)
        context.now = now
        context.starting = True
        try:
            self._strategy.on_start()
        except BaseException:
            context.wishes.clear()
            raise
        finally:
            context.starting = False
        self._take_symbols()
        for wish in context.wishes:
            context.check_symbol("target", wish.symbol)
        return self._drain()

    def rehearse(self) -> None:
        """Run ``on_start`` once for trial, so that its mistakes and the symbols are known before anything trades."""
        self.start(0)
        self._renew()

    def stop(self, now: int) -> tuple[Wish, ...]:
        """Run ``on_stop``."""
        return self._call(self._strategy.on_stop, now)

    # -- events -------------------------------------------------------------------------------------------------------

    def bar(self, bar: Bar, now: int) -> tuple[Wish, ...]:
        """Feed the indicators of the bar's symbol, then the author."""
        feed = self._feeds.get(bar.symbol)
        if feed is None:
            return _NONE
        for update in feed:
            update(bar)
        context = self._context
        context.now = now
        try:
            self._on_bar(bar)
        except BaseException:
            context.wishes.clear()
            raise
        return self._drain() if context.wishes else _NONE

    def quote(self, quote: Quote, now: int) -> tuple[Wish, ...]:
        """Pass a quote of one of our symbols on, if the author listens to quotes."""
        if not self._hears_quotes or quote.symbol not in self._feeds:
            return _NONE
        return self._call(self._strategy.on_quote, now, quote)

    def order(self, order: Order, now: int) -> tuple[Wish, ...]:
        """Tell the author of a change in one of his orders."""
        return self._call(self._strategy.on_order, now, order)

    def fill(self, fill: Fill, now: int) -> tuple[Wish, ...]:
        """Tell the author of a fill; ``set_position`` has come before."""
        return self._call(self._strategy.on_fill, now, fill)

    def set_position(self, symbol: str, quantity: Decimal) -> None:
        """Shares of ``symbol`` this strategy holds (signed), confirmed."""
        self._context.positions[symbol] = quantity

    def logs(self) -> tuple[str, ...]:
        """The author's log lines since the last call."""
        return self._context.take_lines() if self._context.lines else ()

    # -- saving -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything a restart needs. Raises StrategyError when ``self.state`` holds what cannot be saved."""
        context = self._context
        return {
            "version": SNAPSHOT_VERSION,
            "started": self._started,
            "held_at_start": dict(self._held_at_start),
            "now": context.now,
            "positions": _texts(context.positions),
            "state": plain(context.state),
            "indicators": [[one.label, one.snapshot()] for one in context.indicators],
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Go on from a snapshot, with the same bits. Raises StrategyError when it is another strategy's.

        ``on_start`` runs again as it ran the first time (same time, same positions; its wishes and log lines were
        acted on then), which makes the indicators; then their values and ``self.state`` are put back.
        """
        if data.get("version") != SNAPSHOT_VERSION:
            raise StrategyError(
                f"{self.name}: saved state of version {data.get('version')!r}, this build reads {SNAPSHOT_VERSION}",
                hint="start with a new --state directory",
            )
        self._renew()
        context = self._context
        if data["started"] is not None:
            context.positions = _decimals(data["held_at_start"])
            self.start(data["started"])
            context.take_lines()
            self._check_indicators([label for label, _ in data["indicators"]])
            for indicator, (_, saved) in zip(context.indicators, data["indicators"], strict=True):
                indicator.restore(saved)
        context.now = data["now"]
        context.positions = _decimals(data["positions"])
        context.state = plain(data["state"])

    # -- inside -------------------------------------------------------------------------------------------------------

    def _call(self, hook: Callable[..., None], now: int, *given: Any) -> tuple[Wish, ...]:
        context = self._context
        context.now = now
        try:
            hook(*given)
        except BaseException:
            context.wishes.clear()  # what a failed call asked for must not come out of the next one
            raise
        return self._drain() if context.wishes else _NONE

    def _drain(self) -> tuple[Wish, ...]:
        wishes = tuple(self._context.wishes)
        self._context.wishes.clear()
        return wishes

    def _take_symbols(self) -> None:
        named = [one.symbol for one in self._context.indicators]
        for attribute in ("symbol", "symbols"):
            named += _listed(getattr(self._strategy, attribute, ()))
        self.symbols = tuple(sorted({_symbol(self.name, one) for one in named}))
        if not self.symbols:
            raise StrategyError(
                f"{self.name}: the strategy names no symbol, so it would never hear of a bar",
                hint='declare symbol: str = param("SPY"), or symbols = ("SPY",)',
            )
        self._context.symbols = self.symbols
        followers = self._context.indicators
        self._feeds = {s: tuple(one.update for one in followers if one.symbol == s) for s in self.symbols}

    def _check_indicators(self, saved: list[str]) -> None:
        made = [one.label for one in self._context.indicators]
        if made != saved:
            raise StrategyError(
                f"{self.name}: on_start makes other indicators than the saved state has: "
                f"{', '.join(made) or 'none'}; saved: {', '.join(saved) or 'none'}",
                hint="give it back its old code and parameters, another name, or a new --state directory",
            )


def _listed(value: Any) -> list[Any]:
    """``"SPY, QQQ"``, ``("SPY", "QQQ")`` or nothing, as a list."""
    if isinstance(value, str):
        return value.split(",")
    return list(value) if isinstance(value, tuple | list) else [value]


def _symbol(name: str, value: Any) -> str:
    symbol = value.strip() if isinstance(value, str) else ""
    if not symbol or not symbol.isprintable() or " " in symbol:
        raise StrategyError(f"{name}: {value!r} is not a symbol", hint='symbols are texts such as "SPY"')
    return symbol


def _texts(positions: Mapping[str, Decimal]) -> dict[str, str]:
    return {symbol: str(quantity) for symbol, quantity in positions.items()}


def _decimals(positions: Mapping[str, str]) -> dict[str, Decimal]:
    return {symbol: Decimal(quantity) for symbol, quantity in positions.items()}
