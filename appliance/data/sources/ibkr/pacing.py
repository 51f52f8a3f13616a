"""IB's limits for questions about the past, kept by us so that they are never broken. Times in ns, no clock inside."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from appliance.domain.market import MINUTE, SECOND


class Limit(NamedTuple):
    """At most ``most`` questions within ``span`` (ns)."""

    most: int
    span: int


SAME = 15 * SECOND + SECOND // 2
"""The same question may not come again within 15 s; half a second is for the way."""
BURST = Limit(5, 2 * SECOND + SECOND // 2)
"""Six questions of one contract within 2 s are one too many."""
WINDOW = Limit(60, 10 * MINUTE + SECOND)
"""Of bars below a minute; IB has lifted it for longer ones."""


class Question(NamedTuple):
    """What is asked: ``small`` is whether of bars below a minute, ``page`` all that makes it another question."""

    symbol: str
    page: str
    small: bool


class Pacing:
    """Remembers what was asked when."""

    def __init__(self, burst: Limit = BURST, window: Limit = WINDOW, same: int = SAME) -> None:
        self._burst = burst
        self._window = window
        self._same = same
        self._asked: deque[tuple[int, Question]] = deque()

    def wait(self, question: Question, now: int) -> int:
        """How long (ns) to wait before this question; 0: it may be asked."""
        self._forget(now)
        same = [asked for asked, before in self._asked if before == question]
        near = [asked for asked, before in self._asked if before.symbol == question.symbol]
        small = [asked for asked, before in self._asked if before.small] if question.small else []
        waits = (
            same[-1] + self._same - now if same else 0,
            _free(near, self._burst) - now,
            _free(small, self._window) - now,
        )
        return max(0, *waits)

    def asked(self, question: Question, now: int) -> None:
        """The question goes out at ``now``."""
        self._asked.append((now, question))

    def _forget(self, now: int) -> None:
        longest = max(self._burst.span, self._window.span, self._same)
        while self._asked and self._asked[0][0] + longest <= now:
            self._asked.popleft()


def _free(asked: list[int], limit: Limit) -> int:
    """From when on there is room for one more."""
    return asked[-limit.most] + limit.span if len(asked) >= limit.most else 0
