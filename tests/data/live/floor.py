"""The ten strategies of an owner on the trading floor: host, guard, gateway and paper broker, live, by direct calls."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import Any

from appliance.core.base import Core
from appliance.core.feed import BARS
from appliance.core.gateway import GatewayCore
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore
from appliance.core.limits import LimitValues, rules
from appliance.core.market.simulator import MarketSimulator
from appliance.domain.market import SECOND, Bar
from appliance.domain.messages import Event, EventType, Now, VenueFill, VenueLink, local
from appliance.domain.operations import Wakeup
from appliance.domain.trading import Intent
from appliance.making import StrategyMaker
from appliance.runs import StrategySpec
from tests.core.make import writers

FOLDER = Path(__file__).parents[3] / "strategies"
SYMBOLS = ("EEM", "SPY", "USO")
"""In the order in which bars of one end come out."""
CASH = Decimal(100_000)
TEN: dict[str, tuple[str, dict[str, str]]] = {
    "bollinger": ("bollinger", {"window": "10"}),
    "buy-and-hold": ("buy_and_hold", {}),
    "donchian": ("donchian_breakout", {"entry": "8", "leave": "4", "period": "5"}),
    "rotation": ("momentum_rotation", {"symbols": "SPY,EEM,USO", "timeframe": "10m", "lookback": "2"}),
    "opening": ("opening_range", {"symbol": "EEM"}),
    "pairs": ("pairs", {"symbol": "SPY", "other": "EEM", "period": "15", "entry": "1.0"}),
    "rsi": ("rsi_reversion", {"symbol": "USO", "period": "6", "oversold": "40"}),
    "sma": ("sma_cross", {"fast": "4", "slow": "9"}),
    "sma-eem": ("sma_cross", {"symbol": "EEM", "fast": "3", "slow": "8"}),
    "sma-uso": ("sma_cross", {"symbol": "USO", "fast": "5", "slow": "12"}),
}
"""Ten strategies by name: the example they are, and its parameters, short enough for an hour or two of minutes."""


def specs(host: str = "ten") -> tuple[StrategySpec, ...]:
    """The ten, in one host."""
    return tuple(
        StrategySpec(name, str(FOLDER / f"{example}.py"), params=params, host=host)
        for name, (example, params) in TEN.items()
    )


class Floor:
    """Hears what the feed says; ``heard``, ``intents`` and ``fills`` are what became of it, without times of day."""

    def __init__(self) -> None:
        makers = [StrategyMaker(spec) for spec in specs()]
        self.host = HostCore(
            "host@ten", writers("host@ten"), makers, 30 * SECOND, allotments={spec.name: CASH / 10 for spec in specs()}
        )
        self.gateway = GatewayCore("gateway", writers("gateway"))
        guard = GuardCore("guard", writers("guard"), rules(LimitValues()))
        paper = MarketSimulator("paper", writers("paper"), CASH)
        self._cores: tuple[Core, ...] = (paper, self.gateway, guard, self.host)
        self._to: dict[str, tuple[Core, ...]] = {
            BARS: (paper, guard, self.host), "host/ten/intents": (guard,), "guard/decisions": (self.gateway, self.host),
            "gateway/orders": (guard, self.host), "venue/requests": (paper,), "venue/answers": (self.gateway,),
        }  # fmt: skip
        self.heard: list[tuple[str, str, int, float]] = []
        self.intents: list[tuple[Any, ...]] = []
        self.fills: list[tuple[Any, ...]] = []

    def open(self, now: Now) -> None:
        """The gateway reconciles, the strategies start."""
        self._settle(self.gateway.handle(local(VenueLink(True)), now), now)
        for core in self._cores:
            self._settle([*core.started(now), *core.released(now)], now)

    def hear(self, event: Event, now: Now) -> None:
        """An event of the feed."""
        if event.stream == BARS:
            bar: Bar = event.body
            self.heard.append((event.position, bar.symbol, bar.end, bar.close))
            self.look(now)
            self._settle([event], now)

    def look(self, now: Now) -> None:
        """Wake whoever wanted to be woken by now."""
        for core in self._cores:
            due = core.deadline()
            if due is not None and now.ticks >= due:
                self._settle(core.handle(local(Wakeup()), now), now)

    def _settle(self, said: list[Event], now: Now) -> None:
        waiting = deque(said)
        while waiting:
            event = waiting.popleft()
            self._note(event)
            for core in self._to.get(event.stream or event.topic, ()):
                if core.heeds(event.type):
                    waiting.extend(core.handle(event, now))

    def _note(self, event: Event) -> None:
        body = event.body
        if isinstance(body, Intent):
            self.intents.append((
                body.id, body.strategy, body.symbol, body.side, body.quantity, body.type, body.limit_price,
                body.stop_price, body.stop, body.trailing, body.take_profit, body.reason, body.cause,
            ))  # fmt: skip
        elif isinstance(body, VenueFill) and event.type is EventType.VENUE_FILL:
            self.fills.append((body.fill_key, body.symbol, body.side, body.quantity, body.price))
