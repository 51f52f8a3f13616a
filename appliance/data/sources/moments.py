"""Times as servers write them, and the span of a bar that has one stamp."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

from appliance.domain.market import SECOND, UNITS, timeframe_parts

UNIT = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
FORMS = ("iso", "date", *UNIT)
"""How a time may be written: ISO 8601, a date alone, or units since the epoch; or a pattern with %, as strptime has."""
EARLIEST, LATEST = 0, 4_102_444_800 * SECOND
"""Times outside 1970 to 2100 (ns UTC) are a wrong unit, not market data."""
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d{1,9})\d*")
_DIGITS = 15
_CALENDAR = {"d": "days", "w": "weeks"}


def instant(value: object, form: str, zone: str = "UTC") -> int:
    """A time (ns UTC) out of what a server wrote; without an offset it is in ``zone``. Raises ValueError."""
    if form in UNIT:
        time = _since_epoch(value, UNIT[form])
    else:
        time = _written_out(value, form, zone)
    if not EARLIEST < time < LATEST:
        raise ValueError(f"{value!r} is no time of {form}: it would lie outside 1970 to 2100")
    return time


def _since_epoch(value: object, unit: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value * unit
    try:
        if isinstance(value, str | float):
            return int(Decimal(str(value)) * unit)  # floats of seconds are exact to what they show
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise ValueError(f"{value!r} is no number of units since the epoch")


def _written_out(value: object, form: str, zone: str) -> int:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text, and {form} is written as text")
    fraction = 0
    try:
        if "%" in form:
            moment = datetime.strptime(value, form)
        elif form == "date":
            moment = datetime.strptime(value[:10], "%Y-%m-%d")
        else:
            found = _FRACTION.search(value)
            fraction = int(found[1].ljust(9, "0")) if found else 0  # datetime ends at microseconds
            moment = datetime.fromisoformat(_FRACTION.sub("", value, count=1).strip())
    except ValueError:
        raise ValueError(f"{value[:40]!r} is no time of form {form}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp()) * SECOND + moment.microsecond * 1000 + fraction


def whole(text: str | None) -> int | None:
    """The whole number in a header; None where there is none, or one that counts neither requests nor seconds."""
    digits = (text or "").strip()
    return int(digits) if digits.isdecimal() and len(digits) <= _DIGITS else None


def written(time: int, form: str, zone: str = "UTC") -> str:
    """A time (ns UTC) as a server wants it in a question."""
    if form in UNIT:
        return str(time // UNIT[form])
    if form == "iso":
        text = datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{text}.{time % SECOND:09d}Z" if time % SECOND else f"{text}Z"
    return datetime.fromtimestamp(time // SECOND, ZoneInfo(zone)).strftime("%Y-%m-%d" if form == "date" else form)


@lru_cache(maxsize=4096)
def span(stamp: int, timeframe: str, stamped: str, zone: str) -> tuple[int, int]:
    """Start and end (ns UTC) of the bar with this stamp; ``stamped`` is ``start`` or ``end``. Days, weeks and months
    are those of ``zone``, 23 or 25 hours long where its clocks change."""
    count, unit = timeframe_parts(timeframe)
    sign = 1 if stamped == "start" else -1
    if unit in ("s", "m", "h"):
        other = stamp + sign * count * UNITS[unit]
    else:
        other = _calendar(stamp, sign * count, unit, zone)
    return (stamp, other) if stamped == "start" else (other, stamp)


def _calendar(stamp: int, count: int, unit: str, zone: str) -> int:
    local = datetime.fromtimestamp(stamp // SECOND, ZoneInfo(zone))
    if unit == "mo":
        months = local.year * 12 + local.month - 1 + count
        moved = local.replace(year=months // 12, month=months % 12 + 1, day=min(local.day, 28))
    else:
        moved = local + timedelta(**{_CALENDAR[unit]: count})
    return round(moved.timestamp()) * SECOND + stamp % SECOND
