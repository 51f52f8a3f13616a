"""Fields of Alpaca's JSON, read without a float on the way. Whatever is not as it should be is Odd."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

Body = Mapping[str, Any]
SECOND = 1_000_000_000
NEW_YORK = ZoneInfo("America/New_York")
SHOWN = 120
"""Characters of an answer that a text of ours shows."""
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))")
_STAMPED = re.compile(r"(\d{14})(\d{3})::")
_LATEST = (1 << 63) - 1
"""No later time (ns UTC) can be written down: it is in the year 2262."""
_DIGITS = 30
"""No quantity and no price has more digits on one side of the point."""


class Odd(ValueError):
    """A field that cannot be understood; the text says which, and what is in it."""


def decoded(raw: bytes | str) -> Any:
    """JSON with numbers as int and Decimal. Raises Odd."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Odd(f"no JSON ({type(error).__name__})") from None


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def beginning(raw: bytes | str) -> str:
    """The first of what came, as it may be shown."""
    return repr(raw[:SHOWN])


def body(value: object) -> Body:
    """An object. Raises Odd."""
    if not isinstance(value, Mapping):
        raise Odd(f"{beginning(str(value))} is no object")
    return value


def rows(value: object) -> list[Body]:
    """A list of objects. Raises Odd."""
    if not isinstance(value, list):
        raise Odd(f"{beginning(str(value))} is no list")
    return [body(one) for one in value]


def text(of: Body, key: str) -> str:
    """A text that has to be there. Raises Odd."""
    value = of.get(key)
    if not isinstance(value, str) or not value:
        raise Odd(f"{key} is {beginning(str(value))}, not a text")
    return value


def maybe_text(of: Body, key: str) -> str:
    """A text, "" where there is none."""
    value = of.get(key)
    return value if isinstance(value, str) else ""


def number(of: Body, key: str) -> Decimal:
    """A number that has to be there, written as text or as a number. Raises Odd."""
    found = maybe_number(of, key)
    if found is None:
        raise Odd(f"{key} is missing")
    return found


def maybe_number(of: Body, key: str) -> Decimal | None:
    """A number, None where there is none. Raises Odd for what is there and is none."""
    value = of.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        try:
            found = Decimal(value)
        except (InvalidOperation, ValueError):
            found = Decimal("NaN")
        if found.is_finite() and abs(found.adjusted()) <= _DIGITS:
            return found
    raise Odd(f"{key} is {beginning(str(value))}, not a number")


def moment(of: Body, key: str) -> int:
    """A time that has to be there (ns UTC); one before 1970, as the zero time of the year 1, is 0. Raises Odd."""
    value = of.get(key)
    found = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Odd(f"{key} is {beginning(str(value))}, not a time")
    try:
        seconds = int(datetime.fromisoformat(f"{found[1]}+00:00").timestamp())
    except ValueError:
        raise Odd(f"{key} is {value!r}, not a time") from None
    offset = (int(found[4]) * 3600 + int(found[5]) * 60) * (-1 if found[3] == "-" else 1) if found[3] else 0
    return _writable(of, key, (seconds - offset) * SECOND + int((found[2] or "").ljust(9, "0")))


def _writable(of: Body, key: str, time: int) -> int:
    if time > _LATEST:
        raise Odd(f"{key} is {beginning(str(of[key]))}, a time too far from now")
    return max(time, 0)


def rfc3339(time: int) -> str:
    """A time (ns UTC) as Alpaca writes it."""
    time = max(time, 0)
    return f"{datetime.fromtimestamp(time // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{time % SECOND:09d}Z"


def to_the_second(time: int) -> str:
    """A time (ns UTC), or up to a second before it, in the form that questions about activities are documented with."""
    return f"{datetime.fromtimestamp(max(time, 0) // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def stamp(of: Body, key: str = "id") -> int:
    """The time in an activity's id (ns UTC), which is written in New York's. Raises Odd."""
    found = _STAMPED.match(text(of, key))
    try:
        if found is not None:
            local = datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=NEW_YORK)
            return _writable(of, key, int(local.timestamp()) * SECOND + int(found[2]) * 1_000_000)
    except ValueError:
        pass
    raise Odd(f"{key} is {of[key]!r}, which does not begin with a time")


def midnight(of: Body, key: str) -> int:
    """The beginning of a day in New York (ns UTC). Raises Odd."""
    try:
        return int(datetime.strptime(text(of, key), "%Y-%m-%d").replace(tzinfo=NEW_YORK).timestamp()) * SECOND
    except ValueError:
        raise Odd(f"{key} is {of.get(key)!r}, not a day") from None


def plain(value: Decimal) -> str:
    """A number as Alpaca writes it: no exponent, no zeros at its end."""
    return format(value.normalize(), "f")
