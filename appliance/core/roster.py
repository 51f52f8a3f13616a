"""The strategies of one host: made, started, called, saved, contained when they raise, paused when they do it again."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.saving import Saves
from appliance.core.trials import Trials
from appliance.core.wishes import Code, Maker, Runner, Wishes
from appliance.domain.market import Bar
from appliance.domain.messages import Now
from appliance.domain.operations import STRATEGY_LIFE, Death, Notice, Severity, StrategyState
from appliance.domain.wire import sendable

if TYPE_CHECKING:
    from appliance.core.host import HostCore

FAILURES_MAX = 3
FAILURES_WINDOW = 600_000_000_000
TRACEBACK_LINES = 12
LINE_MAX = 500
"""Characters of one line of what a strategy raised."""
NONE: Wishes = ()


class Standing(Struct, frozen=True):
    """How a strategy stands: its signal counter, recent failures (ns UTC), its state and why; ``digest`` names the file
    it could not start with."""

    counter: int = 0
    failures: tuple[int, ...] = ()
    state: StrategyState = StrategyState.REGISTERED
    why: str = ""
    digest: str = ""


class Roster:
    """Runs the runners. ``keep`` saves their state after every call; without it what they raise comes out.

    ``mark`` is told before a strategy's code runs and after ("", ""), so that a death in it can be laid at its door.
    """

    def __init__(self, host: HostCore, makers: Sequence[Maker], keep: bool, mark: Callable[[str, str], None]) -> None:
        self._host = host
        self.makers = {maker.name: maker for maker in makers}
        self._keep = keep
        self._mark = mark
        self.runners: dict[str, Runner] = {}
        self._saves = Saves(host)
        self.standing = host.table("standing", Standing)
        self.code = host.table("code", Code)
        self.trials = Trials(host, self._saves)
        self.notices: list[Notice] = []
        self._active: dict[str, Runner] = {}
        self.timed: tuple[tuple[str, Runner], ...] = ()
        self._hearing: dict[str, tuple[str, ...]] = {}
        self._followers: dict[str, tuple[str, ...]] = {}

    # --- who there is ---------------------------------------------------------------------------------------------

    def _seat(self, name: str, runner: Runner | None) -> None:
        """Put a runner in its place, or (None) nobody."""
        self.runners.pop(name, None)
        if runner is not None:
            self.runners[name] = runner
            self.runners = {one: self.runners[one] for one in self.makers if one in self.runners}
        self._look()

    def _look(self) -> None:
        """Who runs, and who wants timers, does not change from bar to bar."""
        self._active = {name: runner for name, runner in self.runners.items() if self.runs(name)}
        self.timed = tuple((name, runner) for name, runner in self._active.items() if runner.timed)
        self._hearing.clear()
        self._followers.clear()

    def hearing(self, symbol: str) -> tuple[str, ...]:
        """The strategies that want to hear of a symbol."""
        found = self._hearing.get(symbol)
        if found is None:
            found = tuple(name for name, runner in self.runners.items() if symbol in runner.symbols)
            self._hearing[symbol] = found
        return found

    def followers(self, strategy: str) -> tuple[str, ...]:
        """The strategies that want to hear another one's signals."""
        found = self._followers.get(strategy)
        if found is None:
            found = tuple(name for name, runner in self.runners.items() if strategy in runner.follows)
            self._followers[strategy] = found
        return found

    def dues(self) -> list[tuple[str, int]]:
        """When each strategy that runs next wants its timer (ns UTC)."""
        return [(name, due) for name, runner in self.timed if (due := runner.due()) is not None]

    # --- coming to life -------------------------------------------------------------------------------------------

    def begin(self, now: Now) -> list[tuple[str, Wishes]]:
        """Load every strategy that is to run: from what was saved, or from its start. What each wishes at its start."""
        wishes = [(name, self.revive(name, now)) for name in self.makers if self._is_wanted(name)]
        for name in [name for name in self.makers if name in self.trials]:
            if name in self.runners:
                self.trials.resume(name, self.makers[name])
            else:
                self.trials.end(name)
        return wishes

    def _is_wanted(self, name: str) -> bool:
        """Whether to load a strategy at a start. What was stopped or has failed waits for its owner: it might end our
        process again. What could not start at all is tried again when its file has changed."""
        state, digest = self.state(name), self.standing.get(name, Standing()).digest
        if state is StrategyState.FAILED and name not in self._saves:
            return digest not in ("", self.makers[name].digest)
        return state not in (StrategyState.FAILED, StrategyState.STOPPED)

    def make(self, name: str) -> Runner:
        """A new runner by the code in force. Raises StrategyError."""
        maker, code = self.makers[name], self.code.get(name)
        if code is not None and code.base != maker.digest:
            self.code.drop(name)  # the run began anew with another file: that one is meant
            self.trials.end(name)
            code = None
        return maker(code)

    def code_of(self, name: str) -> Code:
        """The code in force: of the last reload, or of the file."""
        maker = self.makers[name]
        return self.code.get(name) or Code(maker.source, maker.params, maker.digest)

    def revive(self, name: str, now: Now) -> Wishes:
        """A strategy as it was last saved, or at its start. What cannot start is refused and the others run."""
        try:
            runner = self.make(name)
            self._set_books(runner)
            self._enter(name, "on_start")
            started, wishes = name not in self._saves, self._resume(name, runner, now)
        except MemoryError:
            raise  # nothing is wrong with it, but nothing can be done here either: this ends the process
        except BaseException as error:
            if not self._keep:
                raise
            self._fail(name, f"cannot start: {said(error)}", error)
            return NONE
        finally:
            self._leave()
        self._set_books(runner)
        self._seat(name, runner)
        if started and not self.runs(name):
            self.become(name, StrategyState.RUNNING)
        return wishes

    def _resume(self, name: str, runner: Runner, now: Now) -> Wishes:
        if name in self._saves:
            runner.restore(self._saves.load(name))
            return NONE
        wishes = runner.start(now.time)
        for bar in self.makers[name].past(runner):
            runner.feed(bar)
        if self._keep:
            self.save(name, runner)  # what it wished at its start it does not wish again
        return wishes

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
        runner = self._active.get(name)
        if runner is None:
            self._watch_only(name, what, now)
            return NONE
        if not self._keep:
            wishes: Wishes = getattr(runner, hook)(what, now.time)
            return wishes
        return self._contained(name, runner, hook, what, now)

    def _contained(self, name: str, runner: Runner, hook: str, what: object, now: Now) -> Wishes:
        self._mark(name, hook)
        try:
            wishes: Wishes = getattr(runner, hook)(what, now.time)
            self.save(name, runner)
            if name in self.trials and self.trials.survived(name, hook, what, now.time):
                self.notices.append(Notice(f"RELOAD_{name}", Severity.WARNING, "", holds=False))
        except BaseException as error:
            return self._failed(name, hook, what, error, now)
        finally:
            self._mark("", "")
        return wishes

    def call_plain(self, name: str, hook: str, now: Now) -> Wishes:
        """Call a hook that is given nothing but the time, once and for the last time: what it raises is only said."""
        runner = self._active.get(name)
        if runner is None:
            return NONE
        try:
            self._enter(name, hook)
            wishes: Wishes = getattr(runner, hook)(now.time)
            self.save(name, runner)
        except BaseException as error:
            self._host.logged.append(f"{name} raised: {told(error)}")
            return NONE
        finally:
            self._leave()
        return wishes

    def retune(self, name: str, values: dict[str, str], now: Now) -> Wishes:
        """Give a strategy other live parameters, and keep them for its next start. Raises what is wrong with them, or
        what ``on_params`` raises; the strategy is then as it was before."""
        runner, code = self.runners[name], self.code_of(name)
        try:
            self._enter(name, "on_params")
            wishes = runner.retune(values, now.time)
            self.save(name, runner)
        except BaseException:
            self.revive(name, now)
            raise
        finally:
            self._leave()
        self.code[name] = replace(code, params={**code.params, **values})
        return wishes

    def _watch_only(self, name: str, what: object, now: Now) -> None:
        """The indicators of a strategy that is paused or has failed go on, so that it can go on too."""
        runner = self.runners.get(name)
        if runner is None or not isinstance(what, Bar) or self.state(name) is StrategyState.STOPPED:
            return
        try:
            runner.feed(what)
            self.save(name, runner)
            self.trials.feed(name, what)
        except BaseException as error:
            if not self._keep:
                raise
            self._seat(name, None)
            self._fail(name, f"cannot see bars: {said(error)}", error)

    def save(self, name: str, runner: Runner) -> None:
        """Keep a strategy's state."""
        self._saves.keep(name, runner.snapshot())

    def _enter(self, name: str, hook: str) -> None:
        if self._keep:
            self._mark(name, hook)

    def _leave(self) -> None:
        if self._keep:
            self._mark("", "")

    # --- failing --------------------------------------------------------------------------------------------------

    def _failed(self, name: str, hook: str, what: object, error: BaseException, now: Now) -> Wishes:
        self._host.logged.append(f"{name} raised: {told(error)}")
        if name in self.trials:
            self._revert(name, f"raised at its first bar: {said(error)}", told(error))
            return self.call(name, hook, what, now)
        self.count_failure(name, said(error), told(error), now)
        wishes = self.revive(name, now)
        if isinstance(what, int) and name in self.runners:
            self.runners[name].skip(max(now.time, what))  # a timer that failed is over, like a bar
        return wishes

    def count_failure(self, name: str, words: str, trace: str, now: Now) -> None:
        """One more failure of its own; the third in ten minutes ends it, and its protective stops stay."""
        standing = self.standing.get(name, Standing())
        recent = (*(t for t in standing.failures if now.time - t < FAILURES_WINDOW), now.time)
        self.standing[name] = replace(standing, failures=recent[-FAILURES_MAX:])
        if len(recent) >= FAILURES_MAX and standing.state is not StrategyState.FAILED:
            text = f"failed {len(recent)} times in 10 minutes and is paused; its protective stops stay. {words}"
            self.become(name, StrategyState.FAILED, text, trace)

    def bury(self, death: Death, now: Now) -> None:
        """Our process died in a strategy's code, by a cause of its own. Called before anything else of a new life."""
        name = death.strategy
        if name not in self.makers:
            return
        words = f"its process died in {death.hook}: {death.cause}"
        self._host.logged.append(f"{name}: {words}")
        if name in self.trials:
            self._revert(name, words, "")
        else:
            self.count_failure(name, words, "", now)

    def _fail(self, name: str, why: str, error: BaseException) -> None:
        """It cannot run as it is."""
        self._host.logged.append(f"{name} {why}\n{told(error)}")
        self._seat(name, None)
        if self.state(name) is not StrategyState.FAILED:
            self.become(name, StrategyState.FAILED, why)
        self.standing[name] = replace(self.standing[name], why=why, digest=self.makers[name].digest)

    # --- new versions ---------------------------------------------------------------------------------------------

    def hand_over(self, runner: Runner) -> None:
        """Let a new version take over what the old one has, if there is any. Raises what it raises."""
        name = runner.name
        old = self.runners.get(name)
        self._enter(name, "migrate_state")
        try:
            if old is not None or name in self._saves:
                runner.adopt(old.snapshot() if old is not None else self._saves.load(name))
                runner.snapshot()
                self._set_books(runner)
        finally:
            self._leave()

    def put(self, runner: Runner, code: Code) -> None:
        """Put a new version in the place of the old one, which stands by until the new one has survived a bar. One that
        does not run waits for its owner."""
        name = runner.name
        old = self.runners.get(name)
        if old is not None and self.state(name) in (StrategyState.RUNNING, StrategyState.PAUSED):
            self.trials.begin(name, old, self.code.get(name))
        self.code[name] = code
        if name in self._saves:
            self.save(name, runner)
        if old is not None:
            self._seat(name, runner)

    def _revert(self, name: str, why: str, trace: str) -> None:
        """The new version broke: the old one goes on, with what broke the new one."""
        code, old = self.trials.back(name)
        if code is None:
            self.code.drop(name)
        else:
            self.code[name] = code
        if old is not None:
            self._set_books(old)
            self._seat(name, old)
        text = f"{name}: the new version {why}; the old one goes on"
        self.notices.append(Notice(f"RELOAD_{name}", Severity.WARNING, f"{text}\n{trace}".rstrip()))

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
        self._look()
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


def said(error: BaseException) -> str:
    """An error in one line that can be sent: its kind and words, if it has any."""
    try:
        text = str(getattr(error, "text", None) or error)
    except Exception:
        text = "its text cannot be told"
    return sendable(f"{type(error).__name__}: {text}" if text else type(error).__name__, LINE_MAX)


def told(error: BaseException) -> str:
    """The last lines of a traceback, for an alert and the log."""
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(sendable(line, LINE_MAX) for line in lines[-TRACEBACK_LINES:])
