"""The runners of a host by name, and who of them hears of what: looked up once, until one comes, goes or is paused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from appliance.core.wishes import Runner, Wishes
from appliance.domain.market import Bar, Quote, QuoteBar, Trade

HOOKS: dict[type, str] = {Bar: "bar", QuoteBar: "quote_bar", Quote: "quote", Trade: "trade"}
"""Which of a runner's calls hears of which market event."""
Taking = tuple[tuple[str, Callable[[Any, int], Wishes]], ...]
"""Names of runners, and the call that is given an event and when it is heard (ns UTC)."""


class Runners(dict[str, Runner]):
    """``order`` is that of the settings, in which all are told of the same thing; ``runs`` whether one is told at all.

    ``active`` are those that run, ``timed`` those of them that may want timers.
    """

    def __init__(self, order: Iterable[str], runs: Callable[[str], bool]) -> None:
        super().__init__()
        self._order = tuple(order)
        self._runs = runs
        self.look()

    def __setitem__(self, name: str, runner: Runner) -> None:
        super().__setitem__(name, runner)
        self.look()

    def remove(self, name: str) -> None:
        """Forget a runner that may not be there."""
        self.pop(name, None)
        self.look()

    def look(self) -> None:
        """Something has changed: see again who there is and who runs."""
        self._hearing: dict[tuple[str, str], tuple[str, ...]] = {}
        self.known: dict[type, dict[str, Taking]] = {kind: {} for kind in HOOKS}
        self._due: int | None = None
        self._is_known = False
        self._following: dict[str, tuple[str, ...]] = {}
        self.active = {name: self[name] for name in self._order if name in self and self._runs(name)}
        self.timed = tuple((name, runner) for name, runner in self.active.items() if runner.timed)

    def hearing(self, symbol: str, hook: str) -> tuple[str, ...]:
        """Names of those that want to hear of a symbol's market events by this call, in order."""
        found = self._hearing.get((symbol, hook))
        if found is None:
            there = [(name, self[name]) for name in self._order if name in self]
            found = tuple(name for name, one in there if symbol in one.symbols and one.hears(hook))
            self._hearing[symbol, hook] = found
        return found

    def taking(self, kind: type, symbol: str) -> Taking:
        """Those that hear of a symbol's market events of this kind (one of ``HOOKS``), in order: all of them, whether
        they run or not."""
        found = self.known[kind].get(symbol)
        if found is None:
            hook = HOOKS[kind]
            names = self.hearing(symbol, hook)
            found = self.known[kind][symbol] = tuple((name, getattr(self[name], hook)) for name in names)
        return found

    @property
    def all_run(self) -> bool:
        """Whether nobody is paused or has failed."""
        return len(self.active) == len(self)

    def followers(self, strategy: str) -> tuple[str, ...]:
        """Names of those that want to hear another strategy's signals, in order."""
        found = self._following.get(strategy)
        if found is None:
            found = tuple(name for name in self._order if name in self and strategy in self[name].follows)
            self._following[strategy] = found
        return found

    def next_due(self) -> int | None:
        """The first of them (ns UTC); asked many times between two calls, in which nothing changes."""
        if not self._is_known:
            self._due = min((due for _, due in self.dues()), default=None)
            self._is_known = True
        return self._due

    def stir(self) -> None:
        """Something was heard: timers may be due at other times."""
        self._is_known = False

    def dues(self) -> list[tuple[str, int]]:
        """When each that runs next wants its timer (ns UTC)."""
        return [(name, due) for name, runner in self.timed if (due := runner.due()) is not None]
