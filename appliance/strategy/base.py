"""``Strategy``: what an author subclasses. Hooks are called by the host, verbs are called by the author."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from appliance.core.wishes import Wish
from appliance.domain.market import Bar, Quote
from appliance.domain.trading import ZERO, Fill, Order
from appliance.errors import StrategyError
from appliance.strategy.context import Context, shares, stop_price
from appliance.strategy.makers import I, Indicators
from appliance.strategy.params import Param, Value, collect, nearest
from appliance.strategy.params import configure as take_all

HOOKS = {"on_start": (), "on_bar": ("bar",), "on_quote": ("quote",), "on_order": ("order",), "on_fill": ("fill",),
         "on_stop": ()}  # fmt: skip
"""Name of each hook and what it is given besides self."""


class Strategy(Indicators):
    """A trading rule. Override the hooks you need; all are optional, one runs at a time.

    A restart (a crash, a power cut) runs ``on_start`` again, as it ran the first time, and then puts back the
    indicators and ``self.state``. So: make indicators in ``on_start``, always the same ones, and keep what changes
    later in ``self.state``. Setting any other attribute after ``on_start`` raises, because it would be lost.

    It hears of the symbols its indicators follow, those in a parameter called ``symbol`` or ``symbols`` ("SPY,QQQ"),
    and those in a class attribute ``symbols = ("SPY",)``.
    """

    params: ClassVar[dict[str, Param]] = {}
    _context: Context

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _check_body(cls)
        own = collect(cls.__name__, inspect.get_annotations(cls), vars(cls))
        cls.params = cls.params | own

    @classmethod
    def configure(cls, values: Mapping[str, Value]) -> dict[str, Value]:
        """All parameters with their values; text is converted ("5" for an int).

        Raises one StrategyError that lists every mistake: parameter, value, what is allowed, the nearest right name.
        """
        return take_all(cls.__name__, cls.params, values)

    def __init__(self, context: Context, values: Mapping[str, Value]) -> None:
        self.__dict__["_context"] = context
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _RESERVED:
            raise StrategyError(f"self.{name} belongs to the appliance", hint=_hint_for(name))
        if not self._context.starting:
            raise StrategyError(
                f"self.{name} = … after on_start would be lost at a restart",
                hint=f"write self.state[{name!r}] = …, which is saved",
            )
        self.__dict__[name] = value

    # -- hooks --------------------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Before the first bar: make indicators, set up ``self.state``.

        Runs again at every restart, and once for trial when the file is loaded (then ``self.now`` is 0).
        """

    def on_bar(self, bar: Bar) -> None:
        """A bar is complete. The indicators of its symbol have it already."""

    def on_quote(self, quote: Quote) -> None:
        """Best bid and ask changed (conflated: the newest, with the extremes since the one before)."""

    def on_order(self, order: Order) -> None:
        """An order of this strategy changed its status; a denial says why in ``order.code`` and ``order.text``."""

    def on_fill(self, fill: Fill) -> None:
        """An order of this strategy was filled, wholly or in part; ``self.position`` has it already."""

    def on_stop(self) -> None:
        """The strategy is being stopped. Not called on a crash."""

    # -- verbs --------------------------------------------------------------------------------------------------------

    def target(
        self,
        symbol: str,
        *,
        quantity: int | Decimal | str | float,
        reason: str = "",
        stop: int | Decimal | str | float | None = None,
    ) -> None:
        """Wish to hold ``quantity`` shares of ``symbol`` (negative: short, 0: none).

        The host orders the difference to what is held and on its way, so that repeating a target does nothing.
        ``stop`` is a protective stop price in USD. Raises StrategyError on a symbol that is not this strategy's, a
        quantity that is NaN, infinite or a broken float, or a stop that is no price or protects nothing.
        """
        context, wanted = self._context, shares(quantity)
        context.check_symbol("target", symbol)
        if stop is not None and not wanted:
            raise StrategyError(f"target({symbol!r}, quantity=0, stop={stop!r}): there is nothing left to protect")
        price = None if stop is None else stop_price(stop)
        context.wishes.append(Wish(symbol, wanted, str(reason), price))

    def position(self, symbol: str) -> Decimal:
        """Shares of ``symbol`` this strategy holds (signed), confirmed by fills; 0 when none.

        Raises StrategyError on a symbol that is not this strategy's.
        """
        self._context.check_symbol("position", symbol)
        return self._context.positions.get(symbol, ZERO)

    @property
    def now(self) -> int:
        """Market time, ns since the epoch, UTC. In a backtest it is the data's: never ask the machine."""
        return self._context.now

    @property
    def state(self) -> dict[str, Any]:
        """Plain data that survives a restart: None, bool, int, float, str, lists, and dicts with str keys."""
        return self._context.state

    def log(self, text: str) -> None:
        """Say something in the host's log."""
        self._context.log(text)

    def _follow(self, indicator: I) -> I:
        if not self._context.starting:
            raise StrategyError(
                f"{indicator.label} made after on_start: it could not be rebuilt at a restart",
                hint="make it in on_start and keep it: self.average = self.sma(...)",
            )
        self._context.indicators.append(indicator)
        return indicator


_OVERRIDABLE = (*HOOKS, "symbols")
_RESERVED = (
    "_context",
    "__init__",
    *(name for name in vars(Indicators) | vars(Strategy) if name[:2] != "__" and name not in _OVERRIDABLE),
)
_INSTEAD = {
    "state": "write self.state['name'] = …",
    "__init__": "write on_start(self) instead: parameters and indicators are there already",
}


def _hint_for(name: str) -> str:
    return _INSTEAD.get(name, "choose another name")


def _check_body(cls: type[Strategy]) -> None:
    """Refuse what would otherwise fail silently: a taken name, a misspelt hook, one that is never run to its end."""
    for name, value in vars(cls).items():
        if name in _RESERVED:
            raise StrategyError(f"{cls.__name__}.{name}: this name belongs to the appliance", hint=_hint_for(name))
        if name.startswith("on_") and callable(value) and name not in HOOKS:
            raise StrategyError(
                f"{cls.__name__}.{name} is not a hook, so nobody would call it{nearest(name, HOOKS)}",
                hint=f"hooks are {', '.join(HOOKS)}; a method of your own should not begin with on_",
            )
        if name in cls.params and not isinstance(value, Param):
            raise StrategyError(
                f"{cls.__name__}.{name} = {value!r} would be ignored: {name} is a parameter of its base class",
                hint=f"write {name}: {cls.params[name].type} = param({value!r})",
            )
        if name in HOOKS:
            _check_hook(cls.__name__, name, value)


def _check_hook(owner: str, name: str, hook: Any) -> None:
    call = f"def {name}({', '.join(('self', *HOOKS[name]))}):"
    if not inspect.isfunction(hook):
        raise StrategyError(f"{owner}.{name} must be a plain method", hint=f"write {call}")
    if inspect.iscoroutinefunction(hook) or inspect.isgeneratorfunction(hook) or inspect.isasyncgenfunction(hook):
        raise StrategyError(f"{owner}.{name} is async or yields, so its body would never run", hint=f"write {call}")
    try:
        inspect.signature(hook).bind(None, *HOOKS[name])
    except TypeError:
        raise StrategyError(f"{owner}.{name} takes the wrong arguments", hint=f"write {call}") from None
