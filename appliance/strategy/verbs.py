"""What an author may ask and tell: targets and orders, what it holds, past bars, timers, state, log, chance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from appliance.core.wishes import CancelWish, Wish
from appliance.domain.market import Session
from appliance.domain.trading import AT_MARKET, ZERO, Order, Side
from appliance.domain.wire import sendable
from appliance.errors import StrategyError
from appliance.strategy import amounts
from appliance.strategy.amounts import Number
from appliance.strategy.bars import Bars, BarWindow
from appliance.strategy.context import Context

REASON_LENGTH_MAX = 500
_USD = Decimal(1)


class Verbs:
    """The author's verbs; each raises StrategyError that names the call, the value, and what is allowed."""

    _context: Context

    # -- targets and orders -------------------------------------------------------------------------------------------

    def target(
        self,
        symbol: str,
        *,
        quantity: Number | None = None,
        weight: Number | None = None,
        notional: Number | None = None,
        limit: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trailing: Number | None = None,
        reason: str = "",
    ) -> None:
        """Wish to hold so much of ``symbol``: ``quantity`` shares (negative: short, 0: none), or ``weight`` of this
        strategy's equity (0.5 is half of it), or ``notional`` USD; the last two at the last price, in whole shares.

        The host orders the difference to what is held and on its way, so that repeating a target does nothing. It is
        a market order for the session, or with ``limit`` (USD) one that waits for its price; a new target takes the
        place of whatever still waits. What an entry opens is protected at the broker by ``stop_loss`` (USD) or
        ``trailing`` (USD, or "2%" behind the best price), and closed by ``take_profit`` (USD), whichever comes first.
        """
        call = f"target({symbol!r})"
        self._context.check_symbol(call, symbol)
        wanted = self._wanted(call, symbol, quantity, weight, notional)
        terms = AT_MARKET if limit is None else amounts.terms(call, limit, None, None, "day")
        wish = Wish(symbol, wanted, _reason(reason), terms=terms)
        if stop_loss is not None or take_profit is not None or trailing is not None:
            if wanted:
                wish = replace(wish, **_protection(call, stop_loss, take_profit, trailing))
            elif not float(next(one for one in (quantity, weight, notional) if one is not None)):
                raise StrategyError(f"{call}: with quantity 0 there is nothing left to protect")
            # else it is a weight too small for one share: nothing to protect either
        self._context.wish(wish)

    def buy(self, symbol: str, quantity: Number, **given: Any) -> str:
        """``order(symbol, "buy", quantity, …)``."""
        return self.order(symbol, Side.BUY, quantity, **given)

    def sell(self, symbol: str, quantity: Number, **given: Any) -> str:
        """``order(symbol, "sell", quantity, …)``; what is not held is sold short."""
        return self.order(symbol, Side.SELL, quantity, **given)

    def order(
        self,
        symbol: str,
        side: Side | str,
        quantity: Number,
        *,
        limit: Number | None = None,
        stop: Number | None = None,
        trail: Number | None = None,
        time_in_force: str = "day",
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trailing: Number | None = None,
        reason: str = "",
    ) -> str:
        """Ask for an order of your own and get its ticket, for ``cancel`` and to know it in ``on_order``
        (``order.intent.ticket``).

        A market order; with ``limit`` a limit order, with ``stop`` a stop, with both a stop-limit, with ``trail`` a
        trailing stop (USD, or "2%"). ``time_in_force`` is day, gtc, ioc or fok, or for a market or limit order opg (in
        the next session's opening only) or cls (at the close of the session). ``stop_loss``, ``take_profit`` and
        ``trailing`` make it a bracket, as for ``target``. Each call is another order: use targets where you can, and
        one way or the other for a symbol, since a target cancels the orders that stand in its way.
        """
        call = f"order({symbol!r})"
        context = self._context
        context.check_symbol(call, symbol)
        wanted, which = amounts.shares(call, quantity), amounts.side(call, side)
        if not wanted > 0:
            raise StrategyError(f"{call}: quantity={quantity!r} must be above 0", hint="the side says which way")
        terms = amounts.terms(call, limit, stop, trail, time_in_force)
        protection = _protection(call, stop_loss, take_profit, trailing)
        context.tickets += 1
        ticket = f"t{context.tickets}"
        context.wish(Wish(symbol, wanted, _reason(reason), **protection, side=which, terms=terms, ticket=ticket))
        return ticket

    def cancel(self, ticket: str = "", *, symbol: str = "", reason: str = "") -> None:
        """Cancel the order with this ticket (or order id); without one, all orders of ``symbol``, or all there are.

        Protective stops stay, unless named by their id. An order may still be filled before the cancel arrives.
        """
        if symbol:
            self._context.check_symbol("cancel()", symbol)
        self._context.wish(CancelWish(str(ticket), symbol, _reason(reason)))

    def _wanted(
        self, call: str, symbol: str, quantity: Number | None, weight: Number | None, notional: Number | None
    ) -> Decimal:
        given = [one is not None for one in (quantity, weight, notional)]
        if given.count(True) != 1:
            raise StrategyError(f"{call}: give one of quantity=, weight= and notional=")
        if quantity is not None:
            return amounts.shares(call, quantity)
        price = self._context.prices.get(symbol)
        if price is None:
            raise StrategyError(
                f"{call}: there is no price of {symbol} yet to find the number of shares by",
                hint=f"wait for its first bar, self.price({symbol!r}) is NaN until then, or give quantity=",
            )
        if weight is not None:
            return amounts.weighed(call, weight, max(self._context.equity, ZERO), price, self._context.sizer)
        assert notional is not None
        return amounts.sized(call, "notional", notional, _USD, price)

    # -- what there is ------------------------------------------------------------------------------------------------

    def position(self, symbol: str) -> Decimal:
        """Shares of ``symbol`` this strategy holds (signed), confirmed by fills; 0 when none."""
        self._context.check_symbol("position()", symbol)
        return self._context.positions.get(symbol, ZERO)

    def price(self, symbol: str) -> float:
        """The last price of ``symbol`` in USD (close of its last bar, or middle of its quote); NaN before the first."""
        self._context.check_symbol("price()", symbol)
        return self._context.prices.get(symbol, float("nan"))

    @property
    def cash(self) -> Decimal:
        """USD of this strategy's allotment that are not in positions."""
        return self._context.cash

    @property
    def equity(self) -> Decimal:
        """USD: its cash and its positions at the last prices."""
        return self._context.equity

    @property
    def orders(self) -> tuple[Order, ...]:
        """Orders of this strategy that still work, protective ones too, oldest first."""
        return tuple(self._context.orders.values())

    def bars(self, symbol: str, n: int, timeframe: str = "", filled: bool = False) -> Bars:
        """The last ``n`` bars of ``symbol`` (fewer at the beginning) as numpy arrays ``end`` (ns UTC), ``open``,
        ``high``, ``low``, ``close`` (USD) and ``volume`` (shares), oldest first. ``timeframe`` "" means the bars of
        ``on_bar``; others, such as "15m", are built from them. A bar in which nothing was traded, or that nobody told,
        is not there; with ``filled`` it is, at the close before it and with volume 0.

        Ask for the largest ``n`` once in ``on_start``, or write ``history = n`` in the class: no more are kept.
        """
        context = self._context
        context.check_symbol("bars()", symbol)
        key = (symbol, timeframe)
        if context.starting:
            window = context.windows.setdefault(key, BarWindow(n))
            window.grow(n)
        elif key not in context.windows:
            raise StrategyError(
                f"bars({symbol!r}, {n}, {timeframe!r}): no bars are kept for it",
                hint=f"ask once in on_start: self.bars({symbol!r}, {n}, {timeframe!r}), or history = {n} in the class",
            )
        window = context.windows[key]
        return window.filled(n, context.calendar) if filled else window.last(n)

    @property
    def now(self) -> int:
        """Market time, ns since the epoch, UTC. In a backtest it is the data's: never ask the machine."""
        return self._context.now

    @property
    def session(self) -> Session | None:
        """The exchange's session at ``self.now``, its close included, since that is when its last bar comes: ``date``
        ("2024-07-03"), ``open`` and ``close`` (ns UTC); None while it is closed. A market that never closes has one for
        each UTC day."""
        calendar, now = self._context.calendar, self._context.now
        under_way = calendar.at(now)
        if under_way is not None:
            return under_way
        ended = calendar.previous(now)
        return ended if ended is not None and ended.close == now else None

    @property
    def state(self) -> dict[str, Any]:
        """Plain data that survives a restart: None, bool, int, float, str, lists, and dicts with str keys."""
        return self._context.state

    @property
    def rng(self) -> Any:
        """A ``random.Random`` that is seeded by the strategy's name and saved: the same after a restart."""
        return self._context.chance

    def log(self, text: str) -> None:
        """Say something in the host's log."""
        self._context.log(text)

    # -- timers -------------------------------------------------------------------------------------------------------

    def every(self, interval: str, name: str = "") -> str:
        """Let ``on_timer(name)`` run at the open and each "30s", "5m", "1h" after it while the session is open."""
        self._only_in_on_start(f"every({interval!r})")
        return self._context.schedule.every(interval, name)

    def at(self, time: str, name: str = "") -> str:
        """Let ``on_timer(name)`` run once a session: at local time ("15:55"), or "open+30m", "close-5m"."""
        self._only_in_on_start(f"at({time!r})")
        return self._context.schedule.at(time, name)

    def _only_in_on_start(self, call: str) -> None:
        if not self._context.starting:
            raise StrategyError(f"{call} after on_start could not be made again at a restart", hint="in on_start")


def _reason(text: str) -> str:
    return sendable(str(text), REASON_LENGTH_MAX)


def _protection(
    call: str, stop_loss: Number | None, take_profit: Number | None, trailing: Number | None
) -> dict[str, Any]:
    if stop_loss is not None and trailing is not None:
        raise StrategyError(f"{call}: stop_loss= and trailing= are two stops for one position", hint="give one of them")
    return {
        "stop": amounts.optional_price(call, "stop_loss", stop_loss),
        "take_profit": amounts.optional_price(call, "take_profit", take_profit),
        "trailing": amounts.trail(call, "trailing", trailing),
    }
