"""What strategies hear of orders, fills and each other's signals: at once live, at their stage in lockstep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from appliance.domain.messages import DATA_BOOT, Now
from appliance.domain.operations import Spot
from appliance.domain.trading import Fill, Order, Signal

if TYPE_CHECKING:
    from appliance.core.host import HostCore


class Told(Struct, frozen=True):
    """An order event, a fill or another strategy's signal, and its position; it may wait for its lockstep stage."""

    position: str
    order: Order | None = None
    fill: Fill | None = None
    signal: Signal | None = None


class Telling:
    """Brings news to the strategies of a host, in an order that depends on the data alone."""

    def __init__(self, host: HostCore) -> None:
        self._host = host
        self._waiting = host.table("told", Told)

    def __len__(self) -> int:
        return len(self._waiting)

    def hear(self, told: Told, now: Now) -> None:
        """News has come."""
        if now.boot == DATA_BOOT:
            self._waiting[told.position] = told
        else:
            self._tell(told, now)

    def tell_all(self, step: int, now: Now) -> None:
        """Its stage has come, in the step of that number: tell what waits.

        A signal of this very step has come from a host that was quicker than ours: it waits for a later one.
        """
        # Signals of several hosts come in any order; all else comes in the order of one stream.
        told_now = [told for told in self._waiting.values() if told.signal is None or told.signal.step < step]
        for told in sorted(told_now, key=lambda told: _rank(told.signal)):
            del self._waiting[told.position]
            self._tell(told, now)

    def _tell(self, told: Told, now: Now) -> None:
        cause, _, text = told.position.partition(":")
        spot = spot_of(text)
        if told.order is not None:
            self._host.call(told.order.intent.strategy, "order", told.order, now, cause, spot)
        elif told.fill is not None:
            self._host.call(told.fill.strategy, "fill", told.fill, now, cause, spot)
        elif told.signal is not None:
            for name in self.followers(told.signal.strategy):
                self._host.call(name, "signal", told.signal, now, cause, spot)

    def followers(self, strategy: str) -> list[str]:
        """The strategies here that want to hear another one's signals."""
        return [name for name, runner in self._host.roster.runners.items() if strategy in runner.follows]


def spot_of(text: str) -> Spot:
    """``epoch:seq`` as a position."""
    epoch, _, seq = text.partition(":")
    return Spot(int(epoch), int(seq))


def _rank(signal: Signal | None) -> tuple[bool, str, int]:
    return (signal is not None, signal.strategy if signal is not None else "", signal.counter if signal else 0)
