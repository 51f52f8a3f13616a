"""The strategies of one host: made, started, called, saved, contained when they raise, paused when they do it again."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.saving import Saves
from appliance.core.wishes import RELOAD, Code, Maker, Runner, Wishes
from appliance.domain.market import Bar
from appliance.domain.messages import Now
from appliance.domain.operations import STRATEGY_LIFE, Death, Notice, Severity, StrategyState

if TYPE_CHECKING:
    from appliance.core.host import HostCore

FAILURES_MAX = 3
FAILURES_WINDOW = 600_000_000_000
TRACEBACK_LINES = 12
MARKET = ("bar", "quote", "trade")
"""Calls that come so often that what they changed is saved once a turn, and heard again after a failure in it."""
FEED = "feed"
"""A bar that a paused strategy's indicators saw."""
NONE: Wishes = ()
Call = tuple[str, Any, int]
"""What a strategy heard: the call, what it was given, when (ns UTC)."""


class Standing(Struct, frozen=True):
    """How a strategy stands: its signal counter, recent failures (ns UTC), its state and why."""

    counter: int = 0
    failures: tuple[int, ...] = ()
    state: StrategyState = StrategyState.REGISTERED
    why: str = ""


class Trial(Struct, frozen=True):
    """The version before a reload, until the new one has survived a bar: its code (None: the file's), and the state
    it would go on with."""

    code: Code | None
    saved: dict[str, Any]


class Runners(dict[str, Runner]):
    """The runners by name; who hears of what is looked up once, until one comes or goes."""

    def __init__(self) -> None:
        super().__init__()
        self._hearing: dict[tuple[str, str], tuple[str, ...]] = {}

    def __setitem__(self, name: str, runner: Runner) -> None:
        self._hearing.clear()
        super().__setitem__(name, runner)

    def remove(self, name: str) -> None:
        """Forget a runner that may not be there."""
        self._hearing.clear()
        self.pop(name, None)

    def hearing(self, symbol: str, hook: str) -> tuple[str, ...]:
        """Names of those that want to hear of a symbol's market events by this call, in order."""
        found = self._hearing.get((symbol, hook))
        if found is None:
            found = tuple(name for name, one in self.items() if symbol in one.symbols and one.hears(hook))
            self._hearing[symbol, hook] = found
        return found


class Roster:
    """Runs the runners. ``keep`` saves their state with every turn; without it what they raise comes out.

    ``mark`` is told before a strategy's code runs and after ("", ""), so that a death in it can be laid at its door.
    """

    def __init__(self, host: HostCore, makers: Sequence[Maker], keep: bool, mark: Callable[[str, str], None]) -> None:
        self._host = host
        self.makers = {maker.name: maker for maker in makers}
        self._keep = keep
        self._mark = mark
        self.runners = Runners()
        self._saves = Saves(host)
        self.standing = host.table("standing", Standing)
        self.code = host.table("code", Code)
        self.trials = host.table("trial", Trial)
        self._before: dict[str, Runner] = {}
        self._unsaved: dict[str, list[Call]] = {}
        self.notices: list[Notice] = []

    # --- coming to life -------------------------------------------------------------------------------------------

    def begin(self, now: Now) -> list[tuple[str, Wishes]]:
        """Load every strategy: from what was saved, or from its start. What each wishes at its start."""
        wishes = [(name, self.revive(name, now)) for name in self.makers]
        for name in list(self.trials):
            self._stand_by(name)
        return wishes

    def make(self, name: str) -> Runner:
        """A new runner by the code in force. Raises StrategyError."""
        maker, code = self.makers[name], self.code.get(name)
        if code is not None and code.base != maker.digest:
            self.code.drop(name)  # the run began anew with another file: that one is meant
            self.trials.drop(name)
            code = None
        return maker(code) if code is not None else maker()

    def revive(self, name: str, now: Now) -> Wishes:
        """A strategy as it was last saved, or at its start. What cannot start is refused and the others run."""
        try:
            runner = self.make(name)
            self._set_books(runner)
            self._enter(name, "on_start")
            wishes = self._resume(name, runner, now)
        except MemoryError:
            raise  # nothing is wrong with it, but nothing can be done here either: this ends the process
        except (Exception, SystemExit) as error:
            if not self._keep:
                raise
            self.runners.remove(name)
            self._unsaved.pop(name, None)
            if name in self.trials:
                self._give_back(name, f"does not start again: {_said(error)}", error)
                return self.revive(name, now)
            self._fail(name, f"cannot start: {_said(error)}", error)
            return NONE
        finally:
            self._leave()
        self.runners[name] = runner
        self._set_books(runner)
        if self.state(name) is StrategyState.REGISTERED:
            self.become(name, StrategyState.RUNNING)
        return wishes

    def _resume(self, name: str, runner: Runner, now: Now) -> Wishes:
        if name in self._saves:
            self._go_on(name, runner)
            return NONE
        wishes = runner.start(now.time)
        for bar in self.makers[name].past(runner):
            runner.feed(bar)
        if self._keep:
            self.save(name, runner)  # what it wished at its start it does not wish again
        return wishes

    def _go_on(self, name: str, runner: Runner) -> None:
        """From what was saved, through what was heard since: it was acted on then, and is only learnt from now."""
        runner.restore(self._saves.load(name))
        calls = self._unsaved.get(name, [])
        try:
            for call in calls:
                _hear(runner, call)
        except (
            Exception,
            SystemExit,
        ):  # its author keeps what no restart would know: let the indicators see the bars, at least
            runner.restore(self._saves.load(name))
            for _, what, _ in calls:
                if isinstance(what, Bar):
                    runner.feed(what)
        runner.logs()
        if calls:
            self.save(name, runner)

    def _set_books(self, runner: Runner) -> None:
        """Tell a runner what it has; a new one does not remember."""
        for key, quantity in self._host.bookings.positions.items():
            strategy, _, symbol = key.partition("/")
            if strategy == runner.name:
                runner.set_position(symbol, quantity)
        runner.set_cash(self._host.cash(runner.name))

    # --- calling --------------------------------------------------------------------------------------------------

    def call(self, name: str, hook: str, what: object, now: Now) -> Wishes:
        """Let one strategy hear of something. What it raises costs it this call; thrice in ten minutes ends it."""
        runner = self.runners.get(name)
        if runner is None:
            return NONE
        if not self.runs(name):
            self._watch_only(name, runner, what)
            return NONE
        self._enter(name, hook)
        try:
            wishes: Wishes = getattr(runner, hook)(what, now.time)
            if self._keep:
                self._heard(name, runner, (hook, what, now.time))
        except (Exception, SystemExit) as error:
            if not self._keep:
                raise
            return self._failed(name, hook, what, error, now)
        finally:
            self._leave()
        if name in self._before:
            self._tried(name, hook, what, now)
        return wishes

    def call_plain(self, name: str, hook: str, now: Now) -> Wishes:
        """Call a hook that is given nothing but the time, once and for the last time: what it raises is only said."""
        runner = self.runners.get(name)
        if runner is None or not self.runs(name):
            return NONE
        try:
            self._enter(name, hook)
            wishes: Wishes = getattr(runner, hook)(now.time)
            self.save(name, runner)
        except (Exception, SystemExit) as error:
            self._host.logged.append(f"{name} raised: " + "".join(traceback.format_exception(error)))
            return NONE
        finally:
            self._leave()
        return wishes

    def _watch_only(self, name: str, runner: Runner, what: object) -> None:
        """A paused strategy's indicators go on, so that it can go on too."""
        if isinstance(what, Bar) and self.state(name) is StrategyState.PAUSED:
            runner.feed(what)
            if self._keep:
                self._unsaved.setdefault(name, []).append((FEED, what, 0))
            if name in self._before:
                self._before[name].feed(what)
                self.trials[name] = replace(self.trials[name], saved=self._before[name].snapshot())

    def _heard(self, name: str, runner: Runner, call: Call) -> None:
        """Save what a call changed: of the frequent ones, with the turn. Raises when it cannot be saved."""
        if call[0] in MARKET and name not in self._before:
            runner.check_state()
            self._unsaved.setdefault(name, []).append(call)
        else:
            self.save(name, runner)

    def save(self, name: str, runner: Runner) -> None:
        """Keep a strategy's state."""
        self._saves.keep(name, runner.snapshot())
        self._unsaved.pop(name, None)

    def save_all(self) -> None:
        """Keep the state of everyone who has heard something since it was last kept."""
        for name in list(self._unsaved):
            self.save(name, self.runners[name])

    def given(self, name: str) -> dict[str, str]:
        """The parameters a strategy was given so far, as text; the others have its file's defaults."""
        code = self.code.get(name)
        return code.params if code is not None else self.makers[name].params

    def keep_params(self, name: str, values: dict[str, str]) -> None:
        """Keep new values of a strategy's parameters for its next start."""
        maker, code = self.makers[name], self.code.get(name)
        source = code.source if code is not None else maker.source
        self.code[name] = Code(source, {**self.given(name), **values}, maker.digest)
        self.save(name, self.runners[name])

    @contextmanager
    def inside(self, name: str, hook: str) -> Iterator[None]:
        """While a strategy's code runs at another's request than ours."""
        self._enter(name, hook)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, name: str, hook: str) -> None:
        if self._keep:
            self._mark(name, hook)

    def _leave(self) -> None:
        if self._keep:
            self._mark("", "")

    # --- failing --------------------------------------------------------------------------------------------------

    def _failed(self, name: str, hook: str, what: object, error: BaseException, now: Now) -> Wishes:
        self._host.logged.append(f"{name} raised: " + "".join(traceback.format_exception(error)))
        if name in self._before:
            return self._revert(name, hook, what, error, now)
        self.count_failure(name, _said(error), _traceback(error), now)
        wishes = self.revive(name, now)
        if hook == "timer" and name in self.runners:
            self.runners[name].skip(now.time)  # a timer that failed is over, like a bar
        return wishes

    def count_failure(self, name: str, said: str, told: str, now: Now) -> None:
        """One more failure of its own; the third in ten minutes ends it, and its protective stops stay."""
        standing = self.standing.get(name, Standing())
        recent = (*(t for t in standing.failures if now.time - t < FAILURES_WINDOW), now.time)
        self.standing[name] = replace(standing, failures=recent)
        if len(recent) >= FAILURES_MAX and StrategyState.FAILED in STRATEGY_LIFE[standing.state]:
            text = f"failed {len(recent)} times in 10 minutes and is paused; its protective stops stay. {said}"
            self.become(name, StrategyState.FAILED, text, told)

    def bury(self, death: Death, now: Now) -> None:
        """Our process died in a strategy's code, by a cause of its own. Called before anything else of a new life."""
        name = death.strategy
        if name not in self.makers:
            return
        said = f"its process died in {death.hook}: {death.cause}"
        self._host.logged.append(f"{name}: {said}")
        if name in self.trials:
            self._give_back(name, f"ended its process in {death.hook}: {death.cause}")
            return
        self.count_failure(name, said, "", now)
        if death.hook == RELOAD:
            self.tell_reload(name, f"the new version ended its process while it was loaded: {death.cause}")

    def _fail(self, name: str, why: str, error: BaseException) -> None:
        self._host.logged.append(f"{name} {why}\n" + "".join(traceback.format_exception(error)))
        if StrategyState.FAILED in STRATEGY_LIFE[self.state(name)]:
            self.become(name, StrategyState.FAILED, why)
        else:
            self.standing[name] = replace(self.standing[name], why=why)

    # --- trials: a new version before its first bar ---------------------------------------------------------------

    def load(self, name: str, code: Code) -> Runner:
        """Another version of a strategy, with the state of the one there is. Raises what its code raises."""
        old = self.runners.get(name)
        runner = self.makers[name](code)
        with self.inside(name, RELOAD):
            if old is not None:
                runner.adopt(old.snapshot())
            elif name in self._saves:
                runner.adopt(self._saves.load(name))
        return runner

    def try_out(self, runner: Runner, code: Code) -> None:
        """Put a new version in the place of the old one, which stands by until the new one has survived a bar.

        A version that has not survived one yet is replaced without a second thought.
        """
        name = runner.name
        if name not in self.trials:
            old = self.runners[name]
            self.trials[name] = Trial(self.code.get(name), old.snapshot())
            self._before[name] = old
        self._put(runner, code)

    def begin_anew(self, runner: Runner, code: Code, now: Now) -> Wishes:
        """Start a strategy that did not run by a new version; when it does not start, all is as it was."""
        name, before = runner.name, self.code.get(runner.name)
        self.code[name] = code
        if name in self._saves:
            self.save(name, runner)
        wishes = self.revive(name, now)
        if name in self.runners:
            self.become(name, StrategyState.RUNNING)
        else:
            self._restore_code(name, before)
        return wishes

    def tell_reload(self, name: str, text: str) -> None:
        """Tell the owner why a reload came to nothing."""
        self.notices.append(Notice(f"RELOAD_{name}", Severity.WARNING, f"{name}: {text}; the old one goes on"))

    def _put(self, runner: Runner, code: Code) -> None:
        self.code[runner.name] = code
        self.runners[runner.name] = runner
        self._set_books(runner)
        self.save(runner.name, runner)

    def _stand_by(self, name: str) -> None:
        """After a restart: the old version again, as it was. Without it the new one goes on alone."""
        trial = self.trials[name]
        try:
            old = self.makers[name](trial.code) if trial.code is not None else self.makers[name]()
            with self.inside(name, RELOAD):
                old.restore(trial.saved)
        except (Exception, SystemExit) as error:
            self._host.logged.append(f"{name}: the version before is lost: {_said(error)}")
            del self.trials[name]
            return
        self._before[name] = old

    def _tried(self, name: str, hook: str, what: object, now: Now) -> None:
        """The new version took it. A bar proves it; of all else the old one hears too, in case it has to go on."""
        if hook == "bar" and self.runners[name].heard_bar:
            del self._before[name]
            del self.trials[name]
            self.notices.append(Notice(f"RELOAD_{name}", Severity.WARNING, "", holds=False))
            return
        old = self._before[name]
        self._set_books(old)
        try:
            with self.inside(name, hook):
                getattr(old, hook)(what, now.time)
        except (Exception, SystemExit):
            old.restore(self.trials[name].saved)
        old.logs()
        self.trials[name] = replace(self.trials[name], saved=old.snapshot())

    def _revert(self, name: str, hook: str, what: object, error: BaseException, now: Now) -> Wishes:
        """The new version broke: the old one goes on, with what broke the new one."""
        old = self._before[name]
        self._give_back(name, f"raised in {hook}: {_said(error)}", error)
        self.runners[name] = old
        self._set_books(old)
        return self.call(name, hook, what, now)

    def _give_back(self, name: str, why: str, error: BaseException | None = None) -> None:
        """End a trial for the old version: its code and its state are in force again."""
        trial = self.trials[name]
        del self.trials[name]
        self._before.pop(name, None)
        self._restore_code(name, trial.code)
        self._saves.keep(name, trial.saved)
        self._unsaved.pop(name, None)
        told = f"\n{_traceback(error)}" if error is not None else ""
        self.tell_reload(name, f"the new version {why}{told}")

    def _restore_code(self, name: str, code: Code | None) -> None:
        if code is None:
            self.code.drop(name)
        else:
            self.code[name] = code

    # --- standing -------------------------------------------------------------------------------------------------

    def state(self, name: str) -> StrategyState:
        """Where a strategy is in its life."""
        standing = self.standing.get(name)
        return standing.state if standing is not None else StrategyState.REGISTERED

    def runs(self, name: str) -> bool:
        """Whether a strategy hears of things."""
        return self.state(name) is StrategyState.RUNNING

    def become(self, name: str, state: StrategyState, why: str = "", told: str = "") -> None:
        """Move a strategy along its life; the owner hears of it when it no longer runs."""
        standing = self.standing.get(name, Standing())
        assert state in STRATEGY_LIFE[standing.state], f"{name} cannot go from {standing.state} to {state}"
        self.standing[name] = replace(standing, state=state, why=why)
        severity = Severity.CRITICAL if state is StrategyState.FAILED else Severity.WARNING
        text = f"strategy {name}: {state.value}. {why}" + (f"\n{told}" if told else "")
        known = standing.state in (StrategyState.REGISTERED, StrategyState.RUNNING)
        if state is not StrategyState.RUNNING or not known:
            self.notices.append(Notice(f"STRATEGY_{name}", severity, text, state is not StrategyState.RUNNING))

    def counter(self, name: str) -> int:
        """The number of a strategy's last signal."""
        standing = self.standing.get(name)
        return standing.counter if standing is not None else 0

    def count(self, name: str, at_least: int = 0) -> int:
        """The number of its next signal; or make sure that it goes on beyond ``at_least``."""
        standing = self.standing.get(name, Standing())
        counter = max(standing.counter, at_least) if at_least else standing.counter + 1
        self.standing[name] = replace(standing, counter=counter)
        return counter


def _hear(runner: Runner, call: Call) -> None:
    hook, what, time = call
    if hook == FEED:
        runner.feed(what)
    else:
        getattr(runner, hook)(what, time)


def _said(error: BaseException) -> str:
    """An error in one line: its kind and words."""
    text = getattr(error, "text", "") or str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _traceback(error: BaseException) -> str:
    """The last lines of a traceback, for an alert."""
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(lines[-TRACEBACK_LINES:])
