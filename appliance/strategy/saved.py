"""Whether the saved state of a strategy fits the strategy that is to have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from appliance.errors import StrategyError
from appliance.strategy.indicators import Indicator

SNAPSHOT_VERSION = 3


def check_version(name: str, data: Mapping[str, Any]) -> None:
    """Raise StrategyError when ``data`` was saved by a build that saves another way."""
    if data.get("version") != SNAPSHOT_VERSION:
        raise StrategyError(
            f"{name}: saved state of version {data.get('version')!r}, this build reads {SNAPSHOT_VERSION}",
            hint="start with a new --state directory",
        )


def check_indicators(name: str, indicators: Iterable[Indicator], saved: list[str]) -> None:
    """Raise StrategyError when the strategy has made other ``indicators`` than those that were ``saved``."""
    made = [one.label for one in indicators]
    if made != saved:
        raise StrategyError(
            f"{name}: on_start makes other indicators than the saved state has: "
            f"{', '.join(made) or 'none'}; saved: {', '.join(saved) or 'none'}",
            hint="`appliance strategy reload` takes over what fits; or give it back its old code and parameters",
        )
