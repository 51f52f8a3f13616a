"""New versions on trial: until one has survived a bar, the version before stands by and hears what it hears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.telltale import said, traced
from appliance.core.wishes import RELOAD, Code, Runner, Wishes
from appliance.domain.market import Bar, QuoteBar, Split
from appliance.domain.messages import Now
from appliance.domain.operations import Notice, Severity

if TYPE_CHECKING:
    from appliance.core.host import HostCore
    from appliance.core.roster import Roster

CALLS_MAX = 1_000
"""So many calls survived count like a bar that reached the author: quotes may come all night."""


BARS = ("bar", "quote_bar")
"""Calls by which ``on_bar`` may be reached."""


class Trial(Struct, frozen=True):
    """The version before a reload, until the new one has survived a bar: its code (None: the file's), and the state
    it would go on with; ``calls`` are what the new one has survived so far."""

    code: Code | None
    saved: dict[str, Any]
    calls: int = 0


class Trials:
    """Whose new versions are on trial, and the old ones that stand by."""

    def __init__(self, host: HostCore, roster: Roster) -> None:
        self._host = host
        self._roster = roster
        self._rows = host.table("trial", Trial)
        self._before: dict[str, Runner] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def load(self, name: str, code: Code) -> Runner:
        """Another version of a strategy, with the state of the one there is. Raises what its code raises."""
        roster = self._roster
        runner, saved = roster.makers[name](code), roster.saved(name)
        if saved is not None:
            with roster.inside(name, RELOAD):
                runner.adopt(saved)
                runner.snapshot()
        return runner

    def start(self, name: str, code: Code, now: Now) -> Wishes:
        """Start a strategy that never ran by a new version; when it does not start, its code is what it was."""
        roster = self._roster
        before = roster.code.get(name)
        roster.code[name] = code
        wishes = roster.revive(name, now)
        if name not in roster.runners:
            roster.restore_code(name, before)
        return wishes

    def begin(self, name: str, old: Runner, code: Code | None) -> None:
        """A new version takes the place of ``old``. One that is itself on trial has proved nothing: it is replaced
        without a second thought."""
        if name not in self._rows:
            self._rows[name] = Trial(code, old.snapshot())
            self._before[name] = old

    def stand_by(self) -> None:
        """After a restart: the old versions again, as they were. Without one the new one goes on alone."""
        for name, trial in list(self._rows.items()):
            try:
                old = self._roster.makers[name](trial.code)
                with self._roster.inside(name, RELOAD):
                    old.restore(trial.saved)
            except MemoryError:
                raise
            except BaseException as error:
                self._host.logged.append(f"{name}: the version before is lost: {said(error)}")
                self.end(name)
            else:
                self._before[name] = old

    def heard(self, name: str, hook: str, what: object, now: Now) -> None:
        """The new version took it. A bar proves it; of all else the old one hears too, in case it has to go on."""
        trial, old = self._rows[name], self._before.get(name)
        calls = trial.calls + (hook not in BARS)
        proved = hook in BARS and self._roster.runners[name].heard_bar
        if proved or old is None or calls >= CALLS_MAX:
            self.end(name)
            self._host.roster.notices.append(Notice(f"RELOAD_{name}", Severity.WARNING, "", holds=False))
            return
        self._roster.set_books(old)
        self._let(name, old, hook, (what, now.time), calls)

    def feed(self, name: str, seen: Bar | QuoteBar | Split) -> None:
        """Both versions are paused and see a bar or a split."""
        old = self._before.get(name)
        if old is not None:
            self._let(name, old, "feed", (seen,), self._rows[name].calls)

    def _let(self, name: str, old: Runner, hook: str, given: tuple[object, ...], calls: int) -> None:
        """Let the old version hear something. What it raises costs it this call; it goes when it cannot be put back."""
        saved = self._rows[name].saved
        try:
            with self._roster.inside(name, hook):
                getattr(old, hook)(*given)
            saved = old.snapshot()
        except BaseException:
            if not self._is_put_back(name, old):
                return
        old.logs()
        self._rows[name] = replace(self._rows[name], saved=saved, calls=calls)

    def _is_put_back(self, name: str, old: Runner) -> bool:
        try:
            with self._roster.inside(name, RELOAD):
                old.restore(self._rows[name].saved)
        except BaseException as error:
            self._host.logged.append(f"{name}: the version before is lost: {said(error)}")
            self.end(name)
            return False
        self._roster.set_books(old)
        return True

    def give_back(self, name: str, why: str, error: BaseException | None = None) -> Runner | None:
        """End a trial for the old version: its code and its state are in force again. The old one, if it stands by."""
        trial, old = self._rows[name], self._before.get(name)
        self.end(name)
        self._roster.restore_code(name, trial.code)
        self._roster.keep_instead(name, trial.saved)
        trace = f"\n{traced(error)}" if error is not None else ""
        self.tell(name, f"the new version {why}{trace}")
        return old

    def tell(self, name: str, text: str) -> None:
        """Tell the owner why a reload came to nothing."""
        self._roster.notices.append(Notice(f"RELOAD_{name}", Severity.WARNING, f"{name}: {text}; the old one goes on"))

    def end(self, name: str) -> None:
        """Nobody stands by any longer."""
        self._rows.drop(name)
        self._before.pop(name, None)
