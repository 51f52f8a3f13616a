"""What a host and a strategy say to each other: wishes one way, calls the other. The core knows no strategy code."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

from msgspec import Struct

from appliance.core.models.sizing import Sizer
from appliance.domain.market import Bar, CorporateAction, Quote, QuoteBar, Trade
from appliance.domain.trading import AT_MARKET, Fill, Order, Side, Signal, Terms, Trail


class Wish(Struct, frozen=True):
    """A target: hold ``quantity`` shares of ``symbol`` (signed). With ``side``: an order for so many shares of its own,
    which the strategy calls ``ticket``. ``terms`` say how it meets the market; ``stop`` and ``take_profit`` (USD) and
    ``trailing`` protect what an entry buys or sells short.
    """

    symbol: str
    quantity: Decimal
    reason: str = ""
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Trail | None = None
    side: Side | None = None
    terms: Terms = AT_MARKET
    ticket: str = ""


class CancelWish(Struct, frozen=True):
    """Cancel the order called ``ticket`` (or with that id); without one, every order of ``symbol`` or of all."""

    ticket: str = ""
    symbol: str = ""
    reason: str = ""


Wishes = tuple[Wish | CancelWish, ...]
RELOAD = "reload"
"""The mark of a strategy whose new version is being loaded, or takes over from the old one."""


class Code(Struct, frozen=True):
    """The text a strategy runs by since its last reload, and the parameters it was given; ``base`` names the file it
    began with."""

    source: str
    params: dict[str, str]
    base: str


class Runner(Protocol):
    """One strategy as its host sees it. Each call returns the wishes it raised, in order, usually none.

    ``now`` is market time, ns UTC. What the author's code raises comes out as it is: the host contains it and restores
    this runner alone. The host tells a changed position with ``set_position`` *before* the ``fill`` that changed it.
    """

    @property
    def name(self) -> str:
        """``[a-z0-9_-]``, at most 24 characters."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """What it wants to hear of, in name order; events of other symbols are ignored."""
        ...

    @property
    def follows(self) -> tuple[str, ...]:
        """Names of the strategies whose signals it wants to hear."""
        ...

    @property
    def params(self) -> dict[str, str]:
        """Its parameters as text."""
        ...

    @property
    def timed(self) -> bool:
        """Whether it ever wants ``timer``; known after its start."""
        ...

    @property
    def needs(self) -> tuple[tuple[str, str, int], ...]:
        """Symbol, timeframe ("" as they come) and number of the bars it warms up with."""
        ...

    def start(self, now: int) -> Wishes:
        """Begin at ``now``."""
        ...

    @property
    def heard_bar(self) -> bool:
        """Whether the last ``bar`` or ``quote_bar`` reached the author's ``on_bar``: longer bars take several to
        complete."""
        ...

    def bar(self, bar: Bar, now: int) -> Wishes:
        """A bar is complete."""
        ...

    def quote_bar(self, bar: QuoteBar, now: int) -> Wishes:
        """A bar of bid and ask is complete."""
        ...

    def revision(self, bar: Bar, now: int) -> Wishes:
        """A bar that it has heard, or missed, was revised."""
        ...

    def quote(self, quote: Quote, now: int) -> Wishes:
        """Bid or ask changed."""
        ...

    def trade(self, trade: Trade, now: int) -> Wishes:
        """Somebody traded."""
        ...

    def order(self, order: Order, now: int) -> Wishes:
        """An order of it changed its status."""
        ...

    def fill(self, fill: Fill, now: int) -> Wishes:
        """An order of it was filled, wholly or in part."""
        ...

    def action(self, action: CorporateAction, now: int) -> Wishes:
        """A split or dividend of one of its symbols; ``set_position`` and ``set_cash`` have come before."""
        ...

    def signal(self, signal: Signal, now: int) -> Wishes:
        """A strategy it follows wishes something."""
        ...

    def timer(self, due: int, now: int) -> Wishes:
        """What was due at ``due``: timers, session events, symbols gone stale."""
        ...

    def retune(self, values: dict[str, str], now: int) -> Wishes:
        """Take over new values of live parameters. Raises StrategyError that lists every mistake."""
        ...

    def stop(self, now: int) -> Wishes:
        """The owner stops it."""
        ...

    def due(self) -> int | None:
        """When it next wants ``timer`` (ns UTC), or None."""
        ...

    def skip(self, now: int) -> None:
        """Forget what became due until ``now`` (ns UTC)."""
        ...

    def feed(self, seen: Bar | QuoteBar | CorporateAction) -> None:
        """Let indicators see a bar or a split and the author not: while paused, and of what came before the start."""
        ...

    def set_position(self, symbol: str, quantity: Decimal) -> None:
        """Shares of ``symbol`` this strategy holds (signed), confirmed."""
        ...

    def set_cash(self, cash: Decimal) -> None:
        """USD of its allotment that are not in positions, confirmed."""
        ...

    def set_sizer(self, sizer: Sizer) -> None:
        """How many shares a weight of its equity is."""
        ...

    def logs(self) -> tuple[str, ...]:
        """The author's log lines since the last call."""
        ...

    def hears(self, hook: str) -> bool:
        """Whether market events of this call (``bar``, ``quote_bar``, ``quote``, ``trade``, ``revision``) can matter to
        it."""
        ...

    def check_state(self) -> None:
        """Raise what ``snapshot`` would raise now."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """Plain data, JSON-encodable, from which ``restore`` goes on bit-identically."""
        ...

    def restore(self, data: dict[str, Any]) -> None:
        """Throw everything away and go on from a snapshot; instead of ``start``, or after a failure."""
        ...

    def adopt(self, data: dict[str, Any]) -> None:
        """Take over the snapshot of another version of the same strategy: what fits is kept, the rest begins anew."""
        ...


class Silent:
    """A runner that may hear everything, keeps nothing and wishes nothing: what others are made from."""

    follows: tuple[str, ...] = ()
    needs: tuple[tuple[str, str, int], ...] = ()
    heard_bar = True
    timed = True

    def __init__(self, name: str, symbols: tuple[str, ...]) -> None:
        self.name = name
        self.symbols = symbols
        self.params: dict[str, str] = {}

    def start(self, now: int) -> Wishes:
        return ()

    def bar(self, bar: Bar, now: int) -> Wishes:
        return ()

    def quote_bar(self, bar: QuoteBar, now: int) -> Wishes:
        return ()

    def revision(self, bar: Bar, now: int) -> Wishes:
        return ()

    def quote(self, quote: Quote, now: int) -> Wishes:
        return ()

    def trade(self, trade: Trade, now: int) -> Wishes:
        return ()

    def order(self, order: Order, now: int) -> Wishes:
        return ()

    def fill(self, fill: Fill, now: int) -> Wishes:
        return ()

    def action(self, action: CorporateAction, now: int) -> Wishes:
        return ()

    def signal(self, signal: Signal, now: int) -> Wishes:
        return ()

    def timer(self, due: int, now: int) -> Wishes:
        return ()

    def retune(self, values: dict[str, str], now: int) -> Wishes:
        return ()

    def stop(self, now: int) -> Wishes:
        return ()

    def due(self) -> int | None:
        return None

    def skip(self, now: int) -> None:
        """Nothing is ever due."""

    def feed(self, seen: Bar | QuoteBar | CorporateAction) -> None:
        """There are no indicators."""

    def set_position(self, symbol: str, quantity: Decimal) -> None:
        """What it wishes does not depend on what it has."""

    def set_cash(self, cash: Decimal) -> None:
        """Nor on its money."""

    def set_sizer(self, sizer: Sizer) -> None:
        """Nor on how much of it an order takes."""

    def logs(self) -> tuple[str, ...]:
        return ()

    def hears(self, hook: str) -> bool:
        return True

    def check_state(self) -> None:
        """Nothing is kept."""

    def snapshot(self) -> dict[str, Any]:
        return {}

    def restore(self, data: dict[str, Any]) -> None:
        """There is nothing to go on from."""

    def adopt(self, data: dict[str, Any]) -> None:
        self.restore(data)


class Made:
    """A maker for runners that are no files."""

    def __init__(self, name: str, make: Callable[[], Runner], digest: str = "") -> None:
        self.name = name
        self.source = ""
        self.params: dict[str, str] = {}
        self.digest = digest
        self._make = make

    def __call__(self, code: Code | None = None) -> Runner:
        return self._make()

    def past(self, runner: Runner) -> tuple[Bar, ...]:
        """Nothing is known from before the start."""
        return ()


class Maker(Protocol):
    """How to make one strategy: as its file said when the run began, or by the ``code`` of a reload."""

    name: str
    source: str
    """The text of its file."""
    params: dict[str, str]
    """The parameters it was given, as text; the others have the defaults of its file."""
    digest: str
    """Names text and parameters; another one makes a saved ``Code`` void."""

    def __call__(self, code: Code | None = None) -> Runner:
        """A runner that has not started. Raises StrategyError."""
        ...

    def past(self, runner: Runner) -> tuple[Bar, ...]:
        """Bars from before the start that a runner which has just started warms up with, in order."""
        ...
