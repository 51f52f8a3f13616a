"""Does a question about the past make sense? The same for every source, in the same words."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.data.sources.moments import written
from appliance.errors import DataError


def shown(time: int) -> str:
    """A time (ns UTC) for people: ``2026-11-27T14:30:00Z``."""
    return written(time, "iso")


def check_asked(source: str, symbols: Sequence[str], start: int, end: int, now: int) -> None:
    """Raise DataError for a question without symbols, with its times (ns UTC) swapped, or about the future."""
    if not symbols or not all(symbols):
        raise DataError(f"{source} was asked for no symbol", hint="name at least one")
    if start >= end:
        raise DataError(f"start {shown(start)} is not before end {shown(end)}", hint="swap the two times")
    if start > now:
        raise DataError(
            f"{', '.join(symbols)}: the range begins in the future, at {shown(start)}",
            hint=f"it is {shown(now)}: ask for times before it, and check the clock",
        )
