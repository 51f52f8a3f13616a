"""The windows of a walk-forward: learn on one stretch of days, be judged on the next, go on. New York dates."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta

from msgspec import Struct

from appliance.errors import UsageError

_SPAN = re.compile(r"([1-9][0-9]{0,4})(d|w|mo|y)")
_HOW = "write a whole number and d, w, mo or y, for instance 90d, 6mo or 2y"


class Span(Struct, frozen=True):
    """A length of calendar time: days, or months, so that a year is a year in leap years too."""

    days: int = 0
    months: int = 0

    def after(self, day: date, times: int = 1) -> date:
        """The day so much later; the last of the month where that month is shorter."""
        if self.days:
            return day + timedelta(days=self.days * times)
        month = day.month - 1 + self.months * times
        year, month = day.year + month // 12, month % 12 + 1
        return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


class Window(Struct, frozen=True):
    """One step: parameters are chosen on ``[train_start, train_end]`` and traded on ``[test_start, test_end]``."""

    train_start: date
    train_end: date
    test_start: date
    test_end: date


def span(option: str, text: str) -> Span:
    """``6mo`` as a span. Raises UsageError naming the option."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise UsageError(f"{option} {text!r} is not a length of time", hint=_HOW)
    count, unit = int(found[1]), found[2]
    days = {"d": 1, "w": 7}.get(unit, 0) * count
    return Span(days, 0 if days else count * (12 if unit == "y" else 1))


def windows(first: date, last: date, train: Span, test: Span, anchored: bool) -> tuple[Window, ...]:
    """All windows from ``first`` to ``last`` (both included); tests follow each other without a gap, the last is cut.

    ``anchored``: every training begins on the first day, and grows. Raises UsageError when there is no room for one.
    """
    found: list[Window] = []
    while True:
        n = len(found)
        start = train.after(first) if n == 0 else test.after(train.after(first), n)
        if start > last:
            break
        end = min(test.after(train.after(first), n + 1) - timedelta(days=1), last)
        begin = first if anchored else test.after(first, n)
        found.append(Window(begin, start - timedelta(days=1), start, end))
    if not found:
        raise UsageError(
            f"no test fits into the data, which goes from {first} to {last}",
            hint=f"the first test would begin on {train.after(first)}: take a shorter --train",
        )
    return tuple(found)
