"""What the owner asks of a host: pause, resume, stop, reload a strategy, change its parameters. Each id acts once."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.core.telltale import said
from appliance.core.wishes import Code, Wishes
from appliance.domain.messages import Event, Now
from appliance.domain.operations import Command, CommandResult, StrategyState, Verb
from appliance.domain.wire import sendable

if TYPE_CHECKING:
    from appliance.core.host import HostCore

REMEMBERED = 64
TEXT_MAX = 4_000
Answer = tuple[bool, str]


class Director:
    """Acts on commands that name a strategy of this host, and answers them."""

    def __init__(self, host: HostCore) -> None:
        self._host = host
        self._roster = host.roster
        self._results = host.table("result", CommandResult)
        self._waiting = host.table("waiting", Command)
        self._verbs: dict[Verb, Callable[[Command, Now], Answer]] = {
            Verb.PAUSE_STRATEGY: self._pause,
            Verb.RESUME_STRATEGY: self._resume,
            Verb.STOP_STRATEGY: self._stop,
            Verb.RELOAD_STRATEGY: self._reload,
            Verb.SET_PARAMETERS: self._retune,
        }

    def command(self, event: Event, now: Now) -> None:
        """Act on a command, once; void after its expiry. What names no strategy of ours is somebody else's.

        In lockstep one that comes in the middle of a timestamp waits until its bars have been heard: nothing changes
        between what the market did and the bars that tell of it.
        """
        command: Command = event.body
        if command.verb not in self._verbs or not self._is_ours(command):
            return
        if self._host.stages.is_amid(now) and command.id not in self._results:
            self._waiting[command.id] = command
        else:
            self._act(command, now)

    @property
    def waits(self) -> bool:
        """Whether a command waits for that."""
        return bool(self._waiting)

    def bars_heard(self, now: Now) -> None:
        """The bars of a timestamp have been heard: act on what waited for that."""
        for command in list(self._waiting.values()):
            del self._waiting[command.id]
            self._act(command, now)

    def _act(self, command: Command, now: Now) -> None:
        result = self._results.get(command.id)
        if result is None:
            done, text = self._answer(self._verbs[command.verb], command, now)
            result = CommandResult(command.id, done, text, self._host.process)
            self._results[command.id] = result
            for old in list(self._results)[: max(0, len(self._results) - REMEMBERED)]:
                del self._results[old]
        self._host.send("result", result, now, command.id)

    def _is_ours(self, command: Command) -> bool:
        return command.strategy in self._roster.makers or command.target == self._host.process

    def _answer(self, act: Callable[[Command, Now], Answer], command: Command, now: Now) -> Answer:
        if command.strategy not in self._roster.makers:
            near = get_close_matches(command.strategy, self._roster.makers, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            return False, f"no strategy {command.strategy!r} here{meant}; there are {', '.join(self._roster.makers)}"
        if not (now.time <= command.expires):
            return False, "it expired before it was heard: send it again"
        answer = act(command, now)
        self._host.log_of(command.strategy)
        return answer

    # --- pause, resume, stop --------------------------------------------------------------------------------------

    def _pause(self, command: Command, now: Now) -> Answer:
        name, state = command.strategy, self._roster.state(command.strategy)
        if state is not StrategyState.RUNNING:
            return False, f"{name} is {state.value}: only a running strategy can be paused"
        self._roster.become(name, StrategyState.PAUSED, command.reason or f"by {command.by}")
        return True, f"{name} is paused; its positions, orders and stops stay as they are"

    def _resume(self, command: Command, now: Now) -> Answer:
        name, state = command.strategy, self._roster.state(command.strategy)
        if state is StrategyState.RUNNING:
            return False, f"{name} is running"
        wishes: Wishes = ()
        if state is not StrategyState.PAUSED or name not in self._roster.runners:
            wishes = self._roster.revive(name, now)
        if name not in self._roster.runners:
            return False, f"{name}: {self._roster.standing[name].why}"
        self._roster.runners[name].skip(now.time)
        self._roster.runners.stir()
        if not self._roster.runs(name):
            self._roster.become(name, StrategyState.RUNNING)
        self._roster.standing[name] = replace(self._roster.standing[name], failures=())
        self._host.wished(name, wishes, now, "start")
        missed = "; bars that came meanwhile it has not seen" if state is StrategyState.STOPPED else ""
        return True, f"{name} is running{missed}"

    def _stop(self, command: Command, now: Now) -> Answer:
        """Its last word is heard (``on_stop``), then nothing more; positions and stops stay."""
        name, state = command.strategy, self._roster.state(command.strategy)
        if state is StrategyState.STOPPED:
            return False, f"{name} is stopped"
        wishes = self._roster.call_plain(name, "stop", now)
        self._roster.become(name, StrategyState.STOPPED, command.reason or f"by {command.by}")
        self._host.wished(name, wishes, now, command.id)
        return True, f"{name} is stopped; its positions and protective stops stay: close them with `appliance flatten`"

    # --- new code, new parameters ---------------------------------------------------------------------------------

    def _reload(self, command: Command, now: Now) -> Answer:
        """Import the new code beside the old, let it take over the state, and swap between two bars."""
        name, roster, state = command.strategy, self._roster, self._roster.state(command.strategy)
        code = Code(command.source, {**roster.given(name), **command.params}, roster.makers[name].digest)
        try:
            runner = roster.trials.load(name, code)
        except BaseException as error:  # a want of memory too: the old one has what it needs
            roster.trials.tell(name, f"the new version does not load: {said(error)}")
            return False, f"{name}: the new version does not load, the old one goes on: {said(error)}"
        self._host.logged.extend(f"{name}: {line}" for line in runner.logs())
        if roster.saved(name) is None:
            self._host.wished(name, roster.trials.start(name, code, now), now, "start")
            done = name in roster.runners
            return done, f"{name} is running by the new version" if done else f"{name}: {roster.standing[name].why}"
        roster.put(runner, code)
        text = f"{name}: the new version is in place"
        if state is StrategyState.RUNNING:
            return True, f"{text}, for what happens after {now.time} (ns UTC, market time)"
        return True, f"{text}; it is {state.value} as before: `appliance strategy resume {name}`"

    def _retune(self, command: Command, now: Now) -> Answer:
        name, state = command.strategy, self._roster.state(command.strategy)
        if not command.params:
            return False, f"{name}: no parameter was named"
        if state not in (StrategyState.RUNNING, StrategyState.PAUSED) or name not in self._roster.runners:
            return False, f"{name} is {state.value}: its parameters come with a reload"
        try:
            wishes = self._roster.retune(name, command.params, now)
        except MemoryError:
            raise
        except BaseException as error:
            text = getattr(error, "text", "")
            return False, sendable(text, TEXT_MAX) if text else f"{name}: on_params raised {said(error)}"
        if state is StrategyState.RUNNING:
            self._host.wished(name, wishes, now, command.id)
        return True, f"{name}: " + ", ".join(f"{key} = {value}" for key, value in command.params.items())
