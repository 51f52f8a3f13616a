"""What several looks in a row must find before it is believed: with real brokers a snapshot is not of one instant."""

from __future__ import annotations


class Differences:
    """Counts in how many looks in a row the same difference was found; ``looks`` are enough to believe it."""

    def __init__(self, looks: int) -> None:
        self._looks = looks
        self._before: dict[str, tuple[object, int]] = {}
        self._now: dict[str, tuple[object, int]] = {}

    def found(self, key: str, what: object) -> bool:
        """A look found ``what`` to differ; whether it is to be believed."""
        last, count = self._before.get(key, (what, 0))
        n = count + 1 if last == what else 1
        self._now[key] = (what, n)
        return n >= self._looks

    def looked(self) -> None:
        """A look is over: what it did not find has healed."""
        self._before, self._now = self._now, {}

    def forget(self) -> None:
        """What was found is of another time."""
        self._before, self._now = {}, {}

    @property
    def doubt(self) -> bool:
        """Whether something was found that is not believed yet."""
        return any(count < self._looks for _, count in self._before.values())
