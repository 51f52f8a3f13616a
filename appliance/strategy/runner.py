"""The bridge between one strategy and its host's core: calls in, wishes out, plain data for the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from appliance.core.models.sizing import Sizer
from appliance.core.wishes import Wishes
from appliance.domain.market import Bar, CorporateAction, Quote, QuoteBar, Sessions, Split, Trade, last_price, middle
from appliance.domain.trading import Fill, Order, Signal
from appliance.strategy.bars import KEPT_MAX, BarWindow, length_of
from appliance.strategy.base import Strategy
from appliance.strategy.context import Context, plain
from appliance.strategy.feeding import Feeding, Update
from appliance.strategy.params import Param, Value, retune
from appliance.strategy.saved import SNAPSHOT_VERSION, check_indicators, check_version
from appliance.strategy.staleness import Staleness
from appliance.strategy.symbols import check_counts, listed, made_of_quotes, named_by

_NONE: Wishes = ()


class StrategyRunner:
    """Runs one strategy (see ``appliance.core.wishes.Runner``). ``values`` come from ``Strategy.configure``.

    ``symbols`` is known after ``start``, ``rehearse`` or ``restore``. ``sessions`` None: a market that never closes.
    """

    def __init__(
        self, strategy: type[Strategy], name: str, values: Mapping[str, Value], sessions: Sessions | None = None
    ) -> None:
        self.name = name
        self.symbols: tuple[str, ...] = ()
        self.heard_bar = False
        self._of_quotes = False
        self._class = strategy
        self._values = dict(values)
        self._sessions = sessions
        self._sizer = Sizer()
        self._hears = {hook: getattr(strategy, hook) is not getattr(Strategy, hook) for hook in _OPTIONAL}
        self._renew()

    def _renew(self) -> None:
        """A strategy as if nothing had happened yet."""
        before_close = length_of(self._class.before_close, f"{self._class.__name__}.before_close")
        self._context = Context(self.name, self._sessions, before_close)
        self._context.sizer = self._sizer
        self._strategy = self._class(self._context, self._values)
        self._on_bar = self._strategy.on_bar
        self._direct: Mapping[str, tuple[Update, ...]] = {}
        self._started: int | None = None
        self._held_at_start: dict[str, Any] = {}
        self._staleness: Staleness | None = None

    @property
    def declared(self) -> Mapping[str, Param]:
        """The parameters its class declares, by name."""
        return self._class.params

    @property
    def params(self) -> dict[str, str]:
        """Its parameters as text."""
        return {name: str(value) for name, value in self._values.items()}

    @property
    def follows(self) -> tuple[str, ...]:
        """Names of the strategies whose signals it wants to hear."""
        return tuple(str(name).strip() for name in listed(self._strategy.follows)) if self._strategy.follows else ()

    @property
    def timed(self) -> bool:
        """Whether it ever wants ``timer``; known after its start."""
        return self._context.schedule.timed or self._staleness is not None

    @property
    def needs(self) -> tuple[tuple[str, str, int], ...]:
        """Symbol, timeframe ("" as they come) and number of the bars it warms up with."""
        strategy = self._strategy
        return tuple((symbol, strategy.timeframe, strategy.warmup) for symbol in self.symbols if strategy.warmup)

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self, now: int) -> Wishes:
        """Run ``on_start`` at ``now`` (ns UTC). Raises StrategyError when the strategy names no symbol."""
        context = self._context
        self._started, self._held_at_start = now, self._context.books()
        context.now = now
        context.starting = True
        try:
            self._strategy.on_start()
        except BaseException:
            context.wishes.clear()
            raise
        finally:
            context.starting = False
        self.symbols = context.symbols = named_by(self.name, self._strategy, context.indicators, context.windows)
        self._wire()
        for wish in context.wishes:
            if wish.symbol:
                context.check_symbol("on_start", wish.symbol)
        context.schedule.begin(now)
        return self._drain()

    def rehearse(self) -> None:
        """Run ``on_start`` once for trial, so that its mistakes and the symbols are known before anything trades."""
        self.start(0)
        self._renew()

    def stop(self, now: int) -> Wishes:
        """Run ``on_stop``."""
        return self._call(self._strategy.on_stop, now)

    # -- events -------------------------------------------------------------------------------------------------------

    def bar(self, bar: Bar, now: int) -> Wishes:
        """Feed the indicators of the bar's symbol, then the author."""
        direct = self._direct.get(bar.symbol)
        context = self._context
        if direct is not None:
            context.prices[bar.symbol] = bar.close
            for update in direct:
                update(bar)
            heard: tuple[Bar, ...] = (bar,)
        else:
            heard = self._take(bar) if bar.symbol in self.symbols else ()
        self.heard_bar = bool(heard)
        context.now = now
        try:
            for one in heard:
                self._on_bar(one)
        except BaseException:
            context.wishes.clear()
            raise
        return self._drain() if context.wishes else _NONE

    def quote_bar(self, bar: QuoteBar, now: int) -> Wishes:
        """Pass a quote bar of one of our symbols on: as a bar where bars are made of quotes, then as it is."""
        self.heard_bar = False
        wishes = self.bar(middle(bar), now) if self._of_quotes else _NONE
        if self._hears["on_quote_bar"] and bar.symbol in self.symbols:
            return wishes + self._call(self._strategy.on_quote_bar, now, bar)
        return wishes

    def revision(self, bar: Bar, now: int) -> Wishes:
        """Pass a revised bar of one of our symbols on, if the author listens to them."""
        if not self._hears["on_revision"] or bar.symbol not in self.symbols:
            return _NONE
        return self._call(self._strategy.on_revision, now, bar)

    def feed(self, seen: Bar | QuoteBar | CorporateAction) -> None:
        """Let indicators see a bar or a split and the author not."""
        if seen.symbol not in self.symbols:
            return
        if isinstance(seen, Bar):
            self._take(seen)
        elif not isinstance(seen, QuoteBar):
            self._adjust(seen)
        elif self._of_quotes:
            self._take(middle(seen))

    def action(self, action: CorporateAction, now: int) -> Wishes:
        """Tell the author of a split or dividend; after a split all he sees is in new shares already."""
        if action.symbol not in self.symbols:
            return _NONE
        self._adjust(action)
        return self._call(self._strategy.on_corporate_action, now, action)

    def _adjust(self, action: CorporateAction) -> None:
        if isinstance(action, Split):
            self._context.split(action)
            self._feeding.rescale(action)

    def _take(self, bar: Bar) -> tuple[Bar, ...]:
        self._context.prices[bar.symbol] = bar.close
        if self._staleness is not None:
            self._staleness.heard(bar)
        return self._feeding.take(bar, self._main)

    def quote(self, quote: Quote, now: int) -> Wishes:
        """Pass a quote of one of our symbols on, if the author listens to quotes."""
        if not self._hears["on_quote"] or quote.symbol not in self.symbols:
            return _NONE
        self._context.prices[quote.symbol] = last_price(quote)
        return self._call(self._strategy.on_quote, now, quote)

    def trade(self, trade: Trade, now: int) -> Wishes:
        """Pass a trade of one of our symbols on, if the author listens to trades."""
        if not self._hears["on_trade"] or trade.symbol not in self.symbols:
            return _NONE
        self._context.prices[trade.symbol] = trade.price
        return self._call(self._strategy.on_trade, now, trade)

    def order(self, order: Order, now: int) -> Wishes:
        """Tell the author of a change in one of his orders."""
        if order.status.terminal:
            self._context.orders.pop(order.id, None)
        else:
            self._context.orders[order.id] = order
        return self._call(self._strategy.on_order, now, order) if self._hears["on_order"] else _NONE

    def fill(self, fill: Fill, now: int) -> Wishes:
        """Tell the author of a fill; ``set_position`` and ``set_cash`` have come before."""
        return self._call(self._strategy.on_fill, now, fill) if self._hears["on_fill"] else _NONE

    def signal(self, signal: Signal, now: int) -> Wishes:
        """Tell the author what another strategy wishes."""
        return self._call(self._strategy.on_signal, now, signal)

    def due(self) -> int | None:
        """When it next wants ``timer`` (ns UTC), or None."""
        due = self._context.schedule.deadline()
        stale = self._staleness.deadline() if self._staleness is not None else None
        if due is None or stale is None:
            return due if stale is None else stale
        return min(due, stale)

    def skip(self, now: int) -> None:
        """Forget what became due until ``now`` (ns UTC)."""
        self._context.schedule.begin(now)
        if self._staleness is not None:
            self._staleness.take(now)

    def timer(self, due: int, now: int) -> Wishes:
        """Tell the author of all that was due at ``due``: timers and session events, then symbols gone stale."""
        context = self._context
        context.now = now
        taken = context.schedule.take(due)
        calls = list(taken.calls) if taken is not None else []
        if self._staleness is not None:
            calls += [("on_stale", symbol) for symbol in self._staleness.take(due)]
        try:
            for hook, name in calls:
                getattr(self._strategy, hook)(name)
        except BaseException:
            context.wishes.clear()
            raise
        return self._drain()

    def retune(self, values: dict[str, str], now: int) -> Wishes:
        """Take over new values of live parameters, and tell the author what changed.

        Raises StrategyError that lists every mistake; nothing is changed then.
        """
        taken = retune(self._class.__name__, self._class.params, self._values, values)
        changed = {name: self._values[name] for name, value in taken.items() if self._values[name] != value}
        self._values.update(taken)
        self._strategy.__dict__.update(taken)
        return self._call(self._strategy.on_params, now, changed) if changed else _NONE

    def set_position(self, symbol: str, quantity: Decimal) -> None:
        """Shares of ``symbol`` this strategy holds (signed), confirmed."""
        self._context.positions[symbol] = quantity

    def set_cash(self, cash: Decimal) -> None:
        """USD of its allotment that are not in positions, confirmed."""
        self._context.cash = cash

    def set_sizer(self, sizer: Sizer) -> None:
        """How many shares a weight of its equity is."""
        self._sizer = self._context.sizer = sizer

    def logs(self) -> tuple[str, ...]:
        """The author's log lines since the last call."""
        return self._context.take_lines() if self._context.lines else ()

    def hears(self, hook: str) -> bool:
        """Whether market events of this call matter to it: those its bars are made of, and where the author listens."""
        if hook == "bar":
            return not self._of_quotes
        return (hook == "quote_bar" and self._of_quotes) or self._hears.get(f"on_{hook}", True)

    # -- saving -------------------------------------------------------------------------------------------------------

    def check_state(self) -> None:
        """Raises StrategyError when ``self.state`` holds what cannot be saved."""
        plain(self._context.state)

    def snapshot(self) -> dict[str, Any]:
        """Everything a restart needs. Raises StrategyError when ``self.state`` holds what cannot be saved.

        ``windows`` has the kept bars by ``symbol/timeframe``, in chunks of which only the last one changes.
        """
        context = self._context
        return {
            "version": SNAPSHOT_VERSION,
            "started": self._started,
            "held_at_start": dict(self._held_at_start),
            "now": context.now,
            "books": self._context.books(),
            "prices": dict(context.prices),
            "state": plain(context.state),
            "chance": context.chance.position,
            "tickets": context.tickets,
            "orders": [msgspec.to_builtins(order) for order in context.orders.values()],
            "schedule": context.schedule.snapshot(),
            "staleness": self._staleness.snapshot() if self._started is not None and self._staleness else {},
            "indicators": [[one.label, one.snapshot()] for one in context.indicators],
            "feeding": self._feeding.snapshot() if self._started is not None else {},
            "windows": {f"{symbol}/{frame}": one.snapshot() for (symbol, frame), one in context.windows.items()},
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Go on from a snapshot, with the same bits. Raises StrategyError when it is another strategy's.

        ``on_start`` runs again as it ran the first time (same time, same positions; its wishes and log lines were
        acted on then), which makes the indicators; then their values and ``self.state`` are put back.
        """
        check_version(self.name, data)
        self._begin_again(data)
        if data["started"] is not None:
            check_indicators(self.name, self._context.indicators, [label for label, _ in data["indicators"]])
        self._put_back(data)
        self._context.state = plain(data["state"])

    def adopt(self, data: dict[str, Any]) -> None:
        """Take over the snapshot of another version: what has the same name and shape is kept, the rest begins anew."""
        check_version(self.name, data)
        self._begin_again(data)
        fresh = self._context.state
        self._put_back(data)
        migrated = self._strategy.migrate_state(plain(data["state"]))
        self._context.state = plain({**fresh, **migrated})
        self._context.schedule.begin(data["schedule"]["through"])

    def _begin_again(self, data: dict[str, Any]) -> None:
        """Run ``on_start`` as it ran the first time, and forget what it wished and said."""
        self._renew()
        if data["started"] is not None:
            self._context.set_books(data["held_at_start"])
            self.start(data["started"])
            self._context.take_lines()

    def _put_back(self, data: dict[str, Any]) -> None:
        context = self._context
        context.now = data["now"]
        context.prices = {symbol: float(price) for symbol, price in data["prices"].items()}
        context.chance.position = data["chance"]
        context.tickets = data["tickets"]
        context.orders = {one["id"]: msgspec.convert(one, Order) for one in data["orders"]}
        self._context.set_books(data["books"])
        if data["started"] is None:
            return
        saved = dict(data["indicators"])
        for indicator in context.indicators:
            if indicator.label in saved:
                indicator.restore(saved[indicator.label])
        for (symbol, frame), window in context.windows.items():
            if f"{symbol}/{frame}" in data["windows"]:
                window.restore(data["windows"][f"{symbol}/{frame}"])
        self._feeding.restore(data["feeding"])
        context.schedule.restore(data["schedule"])
        if self._staleness is not None:
            self._staleness.restore(data["staleness"])

    # -- inside -------------------------------------------------------------------------------------------------------

    def _call(self, hook: Callable[..., None], now: int, *given: Any) -> Wishes:
        context = self._context
        context.now = now
        try:
            hook(*given)
        except BaseException:
            context.wishes.clear()  # what a failed call asked for must not come out of the next one
            raise
        return self._drain() if context.wishes else _NONE

    def _drain(self) -> Wishes:
        wishes = tuple(self._context.wishes)
        self._context.wishes.clear()
        return wishes

    def _wire(self) -> None:
        """Connect what on_start made with the bars that will come."""
        context, strategy = self._context, self._strategy
        self._main = context.timeframe = strategy.timeframe
        self._of_quotes = made_of_quotes(self.name, strategy.bars_from)
        check_counts(self.name, warmup=strategy.warmup, history=strategy.history)
        if strategy.history:
            for symbol in self.symbols:
                context.windows.setdefault((symbol, ""), BarWindow(min(strategy.history, KEPT_MAX)))
        self._feeding = Feeding(
            self.symbols, self._main, context.indicators, context.windows, self._sessions, context.calendar
        )
        self._staleness = Staleness(context.calendar) if self._hears["on_stale"] else None
        self._direct = self._feeding.direct if self._staleness is None else {}
        if self._hears["on_session"]:
            context.schedule.tell_sessions()


_OPTIONAL = ("on_quote_bar", "on_quote", "on_trade", "on_stale", "on_session", "on_order", "on_fill", "on_revision")
"""Hooks that cost something even when nobody overrides them."""
