"""What several looks in a row must find before it is believed: with real brokers a snapshot is not of one instant."""

from __future__ import annotations

MOVING = 3


class Differences:
    """Counts in how many looks in a row the same difference was found; ``looks`` are enough to believe it."""

    def __init__(self, looks: int) -> None:
        self._looks = looks
        self._before: dict[str, tuple[object, object, int, int]] = {}
        self._now: dict[str, tuple[object, object, int, int]] = {}

    def found(self, key: str, what: object, against: object = None) -> bool:
        """A look found ``what`` to differ; whether it is to be believed. Where that which it was compared ``against``
        moves meanwhile, it may be another difference of the same size, and takes three times as many looks."""
        last, stood, n, still = self._before.get(key, (what, against, 0, 0))
        n = n + 1 if last == what else 1
        still = still + 1 if (last, stood) == (what, against) else 1
        self._now[key] = (what, against, n, still)
        return self._believed(n, still)

    def _believed(self, n: int, still: int) -> bool:
        return still >= self._looks or n >= MOVING * self._looks

    def looked(self) -> None:
        """A look is over: what it did not find has healed."""
        self._before, self._now = self._now, {}

    def forget(self) -> None:
        """What was found is of another time."""
        self._before, self._now = {}, {}

    @property
    def doubt(self) -> bool:
        """Whether something was found that is not believed yet."""
        return any(not self._believed(n, still) for _, _, n, still in self._before.values())
