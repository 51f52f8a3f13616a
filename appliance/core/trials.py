"""Versions before a reload: each stands by, and hears what the new one hears, until that has survived a bar."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from appliance.core.base import Core
from appliance.core.saving import Saves
from appliance.core.wishes import Code, Runner
from appliance.domain.market import Bar

CALLS_MAX = 1_000
"""So many calls survived count like a bar: quotes may come all night."""


class Trial(Struct, frozen=True):
    """The code of the version before (None: the file's), and how many calls the new one has survived."""

    code: Code | None
    calls: int = 0


class Trials:
    """The old versions, each with a save of its own beside that of the new one."""

    def __init__(self, core: Core, saves: Saves) -> None:
        self._rows = core.table("trial", Trial)
        self._saves = saves
        self._before: dict[str, Runner] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def begin(self, name: str, old: Runner, code: Code | None) -> None:
        """A new version takes the place of ``old``; of one that is itself on trial, the one before it stands by."""
        if name in self._before:
            return
        self._rows[name] = Trial(code)
        self._before[name] = old
        self._saves.keep(_beside(name), old.snapshot())

    def resume(self, name: str, make: Callable[[Code | None], Runner]) -> None:
        """After a restart: an old version that cannot be made again stands by no longer."""
        try:
            old = make(self._rows[name].code)
            old.restore(self._saves.load(_beside(name)))
        except MemoryError:
            raise
        except BaseException:
            self.end(name)
        else:
            self._before[name] = old

    def survived(self, name: str, hook: str, what: object, now: int) -> bool:
        """The new version has heard something and lived. Whether its trial is over."""
        trial = self._rows[name]
        if hook == "bar" or trial.calls + 1 >= CALLS_MAX or not self._hears(name, hook, what, now):
            self.end(name)
            return True
        self._rows[name] = Trial(trial.code, trial.calls + 1)
        return False

    def feed(self, name: str, bar: Bar) -> None:
        """Both versions are paused and see a bar."""
        old = self._before.get(name)
        if old is not None:
            old.feed(bar)
            self._saves.keep(_beside(name), old.snapshot())

    def _hears(self, name: str, hook: str, what: object, now: int) -> bool:
        """Let the old version hear it too: what it wishes is not wanted. False: it would not have survived it."""
        old = self._before[name]
        try:
            getattr(old, hook)(what, now)
            old.logs()
            self._saves.keep(_beside(name), old.snapshot())
        except MemoryError:
            raise
        except BaseException:
            return False
        return True

    def back(self, name: str) -> tuple[Code | None, Runner | None]:
        """The new version broke: the code of the old one, and the old one as it stands (None before a start)."""
        code, old = self._rows[name].code, self._before.get(name)
        self._saves.keep(name, self._saves.load(_beside(name)))
        self.end(name)
        return code, old

    def end(self, name: str) -> None:
        """Nobody stands by any longer."""
        self._rows.drop(name)
        self._before.pop(name, None)
        self._saves.drop(_beside(name))


def _beside(name: str) -> str:
    """Under which name the old version is saved; no strategy can be called that."""
    return f"{name}@before"
