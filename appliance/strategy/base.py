"""``Strategy``: what an author subclasses. Hooks are called by the host, verbs are called by the author."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from appliance.domain.market import Bar, CorporateAction, Quote, QuoteBar, Trade
from appliance.domain.trading import Fill, Order, Signal
from appliance.errors import StrategyError
from appliance.strategy.context import Context
from appliance.strategy.makers import I, Indicators
from appliance.strategy.params import Param, Value, collect, nearest
from appliance.strategy.params import configure as take_all
from appliance.strategy.verbs import Verbs

HOOKS: dict[str, tuple[str, ...]] = {
    "on_start": (),
    "on_bar": ("bar",),
    "on_quote_bar": ("bar",),
    "on_revision": ("bar",),
    "on_quote": ("quote",),
    "on_trade": ("trade",),
    "on_order": ("order",),
    "on_fill": ("fill",),
    "on_timer": ("name",),
    "on_session": ("event",),
    "on_stale": ("symbol",),
    "on_signal": ("signal",),
    "on_corporate_action": ("action",),
    "on_params": ("changed",),
    "on_stop": (),
}
"""Name of each hook and what it is given besides self."""


class Strategy(Verbs, Indicators):
    """A trading rule. Override the hooks you need; all are optional, one runs at a time.

    A restart (a crash, a power cut) runs ``on_start`` again, as it ran the first time, and then puts back the
    indicators and ``self.state``. So: make indicators and timers in ``on_start``, always the same ones, and keep what
    changes later in ``self.state``. Setting any other attribute after ``on_start`` raises, because it would be lost.

    It hears of the symbols its indicators follow, those in a parameter called ``symbol`` or ``symbols`` ("SPY,QQQ"),
    and those in a class attribute ``symbols = ("SPY",)``. More class attributes, all optional:

    - ``timeframe = "15m"``: hear of bars of this length, built from the smaller ones that come ("": as they come).
    - ``bars_from = "quotes"``: ``on_bar``, indicators and ``self.bars`` take the middle of bid and ask of quote bars,
      without volume, where a market has no trades to make bars of ("trades").
    - ``history = 100``: how many of them ``self.bars`` keeps for each symbol.
    - ``warmup = 50``: bars before the first one that indicators are to have seen, where there are any.
    - ``follows = ("other",)``: strategies whose signals ``on_signal`` hears.
    - ``before_close = "10m"``: how long before the close ``on_session("before_close")`` comes (5 minutes).
    """

    timeframe: str = ""
    bars_from: str = "trades"
    history: int = 0
    warmup: int = 0
    follows: tuple[str, ...] = ()
    before_close: str = "5m"
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
        """Before the first bar: make indicators and timers, set up ``self.state``.

        Runs again at every restart, and once for trial when the file is loaded (then ``self.now`` is 0).
        """

    def on_bar(self, bar: Bar) -> None:
        """A bar is complete. The indicators of its symbol have it already."""

    def on_quote_bar(self, bar: QuoteBar) -> None:
        """A bar of bid and ask is complete (where the data has them); before the ``on_bar`` of a trade bar of its time,
        after that of bars made of quotes."""

    def on_revision(self, bar: Bar) -> None:
        """A bar of the past was corrected, or comes only now: live, where trades are told late. It has the timeframe of
        the data, and ``bar.revision`` counts its corrections. Indicators, ``self.bars`` and longer bars keep what they
        were told; no recorded data have revisions."""

    def on_quote(self, quote: Quote) -> None:
        """Best bid and ask changed (conflated: the newest, with the extremes since the one before)."""

    def on_trade(self, trade: Trade) -> None:
        """Somebody traded (where the data has trades)."""

    def on_order(self, order: Order) -> None:
        """An order of this strategy changed its status; a denial says why in ``order.code`` and ``order.text``."""

    def on_fill(self, fill: Fill) -> None:
        """An order of this strategy was filled, wholly or in part; ``self.position`` has it already."""

    def on_timer(self, name: str) -> None:
        """A timer of ``self.every`` or ``self.at`` is due. Bars that end at this time have come before."""

    def on_session(self, event: str) -> None:
        """A session's "open", "before_close" or "close". The last bar of the session comes before its close."""

    def on_stale(self, symbol: str) -> None:
        """No bar of ``symbol`` has come for three times its length while the market is open. Told once, until one
        comes."""

    def on_signal(self, signal: Signal) -> None:
        """A strategy that this one ``follows`` wishes something. It tells of a wish, not of a fill."""

    def on_corporate_action(self, action: CorporateAction) -> None:
        """A ``Split`` or ``Dividend`` of one of its symbols, where data comes with raw prices (``--prices raw``).

        Before it is called, ``self.position`` and ``self.cash`` have it, open orders are adjusted, and after a split
        indicators, ``self.bars`` and longer bars under way go on as if all prices had been quoted in new shares.
        Prices kept in ``self.state`` are yours to adjust: times ``action.old / action.new``. A dividend changes none of
        them: a raw price falls by it.
        """

    def on_params(self, changed: dict[str, Value]) -> None:
        """The owner changed live parameters: old values by name; ``self`` has the new ones."""

    def on_stop(self) -> None:
        """The strategy is being stopped by its owner. Not called on a crash or a restart."""

    def signals(self, bars: Any) -> Any:
        """The same rule over whole arrays, for sweeps: optional, and never called by a box that trades.

        ``bars`` are all bars of its symbol (arrays ``open``, ``high``, ``low``, ``close``, ``volume``, ``start``,
        ``end``; indicators give theirs with ``self.average.over(bars)``); of several symbols, a dict of them by symbol.
        Returns as many numbers as there are bars (a dict of arrays where ``bars`` is one): the shares to hold after
        each bar, as ``target(quantity=)`` there; NaN where nothing is wished. The array at a bar may depend on that bar
        and those before it alone.
        """
        return None

    def migrate_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """At a reload: the saved state of the version before, as this version wants it. Not called at a restart."""
        return state

    # -- inside -------------------------------------------------------------------------------------------------------

    def _follow(self, indicator: I) -> I:
        if not self._context.starting:
            raise StrategyError(
                f"{indicator.label} made after on_start: it could not be rebuilt at a restart",
                hint="make it in on_start and keep it: self.average = self.sma(...)",
            )
        self._context.indicators.append(indicator)
        return indicator


SETTABLE = ("symbols", "timeframe", "bars_from", "history", "warmup", "follows", "before_close")
"""Class attributes an author may set."""
_OVERRIDABLE = (*HOOKS, *SETTABLE, "migrate_state", "signals")
_RESERVED = (
    "_context",
    "__init__",
    *(name for kind in Strategy.__mro__[:-1] for name in vars(kind) if name[:2] != "__" and name not in _OVERRIDABLE),
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
