"""The strategies of one host: made, started, called, saved, contained when they raise, paused when they do it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.runners import Runners
from appliance.core.saving import Saves
from appliance.core.telltale import said, traced
from appliance.core.trials import Trials
from appliance.core.wishes import RELOAD, Code, Maker, Runner, Wishes
from appliance.domain.market import Bar, QuoteBar, Split
from appliance.domain.messages import Now
from appliance.domain.operations import STRATEGY_LIFE, Death, Notice, Severity, StrategyState

if TYPE_CHECKING:
    from appliance.core.host import HostCore

FAILURES_MAX = 3
FAILURES_WINDOW = 600_000_000_000
MARKET = ("bar", "quote_bar", "quote", "trade")
"""Calls that come so often that what they changed is saved once a turn, and heard again after a failure in it."""
FEED = "feed"
"""A bar or a split that a paused strategy's indicators saw."""
SEEN = (Bar, QuoteBar, Split)
"""What indicators see."""
NONE: Wishes = ()
Call = tuple[str, Any, int]
"""What a strategy heard: the call, what it was given, when (ns UTC)."""


class Standing(Struct, frozen=True):
    """How a strategy stands: its signal counter, recent failures (ns UTC), its state and why; ``digest`` names the file
    it could not start with."""

    counter: int = 0
    failures: tuple[int, ...] = ()
    state: StrategyState = StrategyState.REGISTERED
    why: str = ""
    digest: str = ""


UNKNOWN = Standing()


class Roster:
    """Runs the runners. ``keep`` saves their state with every turn; without it what they raise comes out.

    ``mark`` is told before a strategy's code runs and after ("", ""), so that a death in it can be laid at its door.
    """

    def __init__(self, host: HostCore, makers: Sequence[Maker], keep: bool, mark: Callable[[str, str], None]) -> None:
        self._host = host
        self.makers = {maker.name: maker for maker in makers}
        self._keep = keep
        self._mark = mark
        self.standing = host.table("standing", Standing)
        self.runners = Runners(self.makers, self.runs)
        self._saves = Saves(host)
        self.code = host.table("code", Code)
        self.trials = Trials(host, self)
        self._unsaved: dict[str, list[Call]] = {}
        self.notices: list[Notice] = []

    # --- coming to life -------------------------------------------------------------------------------------------

    def begin(self, now: Now) -> list[tuple[str, Wishes]]:
        """Load every strategy that is to run: from what was saved, or from its start. What each wishes at its start."""
        wishes = [(name, self.revive(name, now)) for name in self.makers if self._is_wanted(name)]
        self.trials.stand_by()
        return wishes

    def _is_wanted(self, name: str) -> bool:
        """Whether to load a strategy at a start. What was stopped or has failed waits for its owner: it might end our
        process again. What could not start at all is tried again when its file has changed."""
        state, digest = self.state(name), self.standing.get(name, UNKNOWN).digest
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

    def revive(self, name: str, now: Now) -> Wishes:
        """A strategy as it was last saved, or at its start. What cannot start is refused and the others run."""
        try:
            runner = self.make(name)
            self.set_books(runner)
            self._enter(name, "on_start")
            started, wishes = name not in self._saves, self._resume(name, runner, now)
        except MemoryError:
            raise  # nothing is wrong with it, but nothing can be done here either: this ends the process
        except BaseException as error:
            if not self._keep:
                raise
            if name in self.trials:
                self.trials.give_back(name, f"does not start again: {said(error)}", error)
                return self.revive(name, now)
            self._fail(name, f"cannot start: {said(error)}", error)
            return NONE
        finally:
            self._leave()
        self.set_books(runner)
        self.runners[name] = runner
        if self.state(name) is StrategyState.REGISTERED or (started and not self.runs(name)):
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
        except MemoryError:
            raise
        except BaseException:  # its author keeps what no restart would know: indicators see the bars, at least
            runner.restore(self._saves.load(name))
            for _, what, _ in calls:
                if isinstance(what, SEEN):
                    runner.feed(what)
        runner.logs()
        if calls:
            self.save(name, runner)

    def set_books(self, runner: Runner) -> None:
        """Tell a runner what it has and how it is sized; a new one does not remember."""
        runner.set_sizer(self._host.sizer)
        for key, quantity in self._host.bookings.positions.items():
            strategy, _, symbol = key.partition("/")
            if strategy == runner.name:
                runner.set_position(symbol, quantity)
        runner.set_cash(self._host.cash(runner.name))

    # --- calling --------------------------------------------------------------------------------------------------

    def call(self, name: str, hook: str, what: object, now: Now) -> Wishes:
        """Let one strategy hear of something. What it raises costs it this call; thrice in ten minutes ends it."""
        runner = self.runners.active.get(name)
        self.runners.stir()
        if runner is None:
            self._watch_only(name, what)
            return NONE
        if not self._keep:
            wishes: Wishes = getattr(runner, hook)(what, now.time)
            return wishes
        return self._contained(name, runner, hook, what, now)

    def _contained(self, name: str, runner: Runner, hook: str, what: object, now: Now) -> Wishes:
        self._mark(name, hook)
        try:
            wishes: Wishes = getattr(runner, hook)(what, now.time)
            self._heard(name, runner, (hook, what, now.time))
        except BaseException as error:
            return self._failed(name, hook, what, error, now)
        finally:
            self._mark("", "")
        if name in self.trials:
            self.trials.heard(name, hook, what, now)
        return wishes

    def call_plain(self, name: str, hook: str, now: Now) -> Wishes:
        """Call a hook that is given nothing but the time, once and for the last time: what it raises is only said."""
        runner = self.runners.active.get(name)
        if runner is None:
            return NONE
        try:
            self._enter(name, hook)
            wishes: Wishes = getattr(runner, hook)(now.time)
            self.save(name, runner)
        except BaseException as error:
            self._host.logged.append(f"{name} raised: {traced(error)}")
            return NONE
        finally:
            self._leave()
        return wishes

    def retune(self, name: str, values: dict[str, str], now: Now) -> Wishes:
        """Give a strategy other live parameters, and keep them for its next start. Raises what is wrong with them, or
        what ``on_params`` raises; the strategy is then as it was before."""
        maker, code = self.makers[name], self.code.get(name)
        try:
            with self.inside(name, "on_params"):
                wishes = self.runners[name].retune(values, now.time)
            self.save(name, self.runners[name])
        except BaseException:
            self.revive(name, now)
            raise
        source = code.source if code is not None else maker.source
        self.code[name] = Code(source, {**self.given(name), **values}, maker.digest)
        return wishes

    def _watch_only(self, name: str, what: object) -> None:
        """The indicators of a strategy that is paused or has failed go on, so that it can go on too."""
        runner = self.runners.get(name)
        if runner is None or not isinstance(what, SEEN) or self.state(name) is StrategyState.STOPPED:
            return
        try:
            runner.feed(what)
            if self._keep:
                self._unsaved.setdefault(name, []).append((FEED, what, 0))
            self.trials.feed(name, what)
        except MemoryError:
            raise
        except BaseException as error:
            if not self._keep:
                raise
            self._fail(name, f"cannot see bars: {said(error)}", error)

    def _heard(self, name: str, runner: Runner, call: Call) -> None:
        """Save what a call changed: of the frequent ones, with the turn. Raises when it cannot be saved."""
        if call[0] in MARKET and name not in self.trials:
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

    def keep_instead(self, name: str, saved: dict[str, Any]) -> None:
        """Keep another state than the runner's: that of the version before."""
        self._saves.keep(name, saved)
        self._unsaved.pop(name, None)

    def given(self, name: str) -> dict[str, str]:
        """The parameters a strategy was given so far, as text; the others have its file's defaults."""
        maker, code = self.makers[name], self.code.get(name)
        return code.params if code is not None and code.base == maker.digest else maker.params

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
        self._host.logged.append(f"{name} raised: {traced(error)}")
        if name in self.trials:
            return self._revert(name, hook, what, error, now)
        self.count_failure(name, said(error), traced(error), now)
        wishes = self.revive(name, now)
        if isinstance(what, int) and name in self.runners:
            self.runners[name].skip(max(now.time, what))  # a timer that failed is over, like a bar
        return wishes

    def count_failure(self, name: str, words: str, trace: str, now: Now) -> None:
        """One more failure of its own; the third in ten minutes ends it, and its protective stops stay."""
        standing = self.standing.get(name, UNKNOWN)
        recent = (*(t for t in standing.failures if now.time - t < FAILURES_WINDOW), now.time)
        self.standing[name] = replace(standing, failures=recent)
        if len(recent) >= FAILURES_MAX and StrategyState.FAILED in STRATEGY_LIFE[standing.state]:
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
            self.trials.give_back(name, f"ended its process in {death.hook}: {death.cause}")
            return
        self.count_failure(name, words, "", now)
        if death.hook == RELOAD:
            self.trials.tell(name, f"the new version ended its process while it was loaded: {death.cause}")

    def _fail(self, name: str, why: str, error: BaseException) -> None:
        """It cannot run as it is."""
        self._host.logged.append(f"{name} {why}\n{traced(error)}")
        self.runners.remove(name)
        self._unsaved.pop(name, None)
        if StrategyState.FAILED in STRATEGY_LIFE[self.state(name)]:
            self.become(name, StrategyState.FAILED, why)
        self.standing[name] = replace(self.standing[name], why=why, digest=self.makers[name].digest)

    # --- new versions ---------------------------------------------------------------------------------------------

    def saved(self, name: str) -> dict[str, Any] | None:
        """The state a strategy is in; None for one that has never got beyond its start."""
        if name in self.runners:
            return self.runners[name].snapshot()
        return self._saves.load(name) if name in self._saves else None

    def put(self, runner: Runner, code: Code) -> None:
        """Put a new version in the place of the old one, which stands by until the new one has survived a bar. One that
        does not run waits for its owner."""
        name = runner.name
        old = self.runners.get(name)
        if old is not None and self.state(name) in (StrategyState.RUNNING, StrategyState.PAUSED):
            self.trials.begin(name, old, self.code.get(name))
        self.code[name] = code
        self.set_books(runner)
        if name in self._saves:
            self.save(name, runner)
        if old is not None:
            self.runners[name] = runner

    def restore_code(self, name: str, code: Code | None) -> None:
        """Put the code of a version before in force again; None: the file's."""
        if code is None:
            self.code.drop(name)
        else:
            self.code[name] = code

    def _revert(self, name: str, hook: str, what: object, error: BaseException, now: Now) -> Wishes:
        """The new version broke: the old one goes on, with what broke the new one."""
        old = self.trials.give_back(name, f"raised in {hook}: {said(error)}", error)
        if old is None:
            return self.revive(name, now)
        self.set_books(old)
        self.runners[name] = old
        return self.call(name, hook, what, now)

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
        standing = self.standing.get(name, UNKNOWN)
        assert state in STRATEGY_LIFE[standing.state], f"{name} cannot go from {standing.state} to {state}"
        self.standing[name] = replace(standing, state=state, why=why)
        self.runners.look()
        severity = Severity.CRITICAL if state is StrategyState.FAILED else Severity.WARNING
        text = f"strategy {name}: {state.value}. {why}" + (f"\n{told}" if told else "")
        known = standing.state in (StrategyState.REGISTERED, StrategyState.RUNNING)
        if state is not StrategyState.RUNNING or not known:
            self.notices.append(Notice(f"STRATEGY_{name}", severity, text, state is not StrategyState.RUNNING))

    def counter(self, name: str) -> int:
        """The number of a strategy's last signal."""
        return self.standing.get(name, UNKNOWN).counter

    def count(self, name: str, at_least: int = 0) -> int:
        """The number of its next signal; or make sure that it goes on beyond ``at_least``."""
        standing = self.standing.get(name, UNKNOWN)
        counter = max(standing.counter, at_least) if at_least else standing.counter + 1
        self.standing[name] = replace(standing, counter=counter)
        return counter


def _hear(runner: Runner, call: Call) -> None:
    hook, what, time = call
    if hook == FEED:
        runner.feed(what)
    else:
        getattr(runner, hook)(what, time)
