"""What stands in for a strategy that does not load: its host starts, pauses it, says why, and runs the others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NoReturn

from appliance.errors import StrategyError


class Refused:
    """A runner (see ``appliance.core.wishes.Runner``) that cannot start. What its strategy holds keeps its stops."""

    symbols: tuple[str, ...] = ()

    def __init__(self, name: str, why: StrategyError) -> None:
        self.name = name
        self._why = why

    def start(self, now: int) -> NoReturn:
        """Raises what is wrong with the strategy."""
        raise self._why

    def restore(self, data: dict[str, Any]) -> NoReturn:
        """Raises what is wrong with the strategy; its saved state stays as it is."""
        raise self._why

    def set_position(self, symbol: str, quantity: Decimal) -> None:
        """Nobody is there to know it."""
