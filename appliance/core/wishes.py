"""What a host and a strategy say to each other: wishes one way, calls the other. The core knows no strategy code."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

from msgspec import Struct

from appliance.domain.market import Bar, Quote
from appliance.domain.trading import AT_MARKET, Fill, Order, Side, Terms, Trail


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

    def start(self, now: int) -> tuple[Wish, ...]: ...

    def bar(self, bar: Bar, now: int) -> tuple[Wish, ...]: ...

    def quote(self, quote: Quote, now: int) -> tuple[Wish, ...]: ...

    def order(self, order: Order, now: int) -> tuple[Wish, ...]: ...

    def fill(self, fill: Fill, now: int) -> tuple[Wish, ...]: ...

    def stop(self, now: int) -> tuple[Wish, ...]: ...

    def set_position(self, symbol: str, quantity: Decimal) -> None:
        """Shares of ``symbol`` this strategy holds (signed), confirmed."""
        ...

    def logs(self) -> tuple[str, ...]:
        """The author's log lines since the last call."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """Plain data, JSON-encodable, from which ``restore`` goes on bit-identically."""
        ...

    def restore(self, data: dict[str, Any]) -> None:
        """Throw everything away and go on from a snapshot; instead of ``start``, or after a failure."""
        ...
