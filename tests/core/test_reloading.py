"""A new version of a strategy at its host: on trial until it has survived a bar, and what a restart makes of that."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.host import HostCore
from appliance.core.trials import CALLS_MAX
from appliance.core.wishes import RELOAD, Code, Silent, Wish
from appliance.domain.market import Bar
from appliance.domain.messages import DATA_BOOT, Stage, Step
from appliance.domain.operations import CommandResult, Death, Notice, StrategyState, Verb
from appliance.domain.trading import Fill, Order, Signal
from tests.core.make import again, bar, command, fill, order, writers
from tests.playbook import SECOND, Playbook

D = Decimal
MINUTE = 60 * SECOND


class Version(Silent):
    """Its source is a number: how many shares it wants. It counts what it hears; a negative one raises at its bar."""

    def __init__(self, shares: int) -> None:
        super().__init__("trend", ("SPY",))
        self.shares = shares
        self.heard: list[str] = []

    def bar(self, bar: Bar, now: int) -> tuple[Wish, ...]:
        if self.shares < 0:
            raise ValueError("not this bar")
        self.heard.append(f"bar {bar.close:g}")
        return (Wish(bar.symbol, D(self.shares)),)

    def order(self, order: Order, now: int) -> tuple[Wish, ...]:
        self.heard.append(f"order {order.status.value}")
        return ()

    def fill(self, fill: Fill, now: int) -> tuple[Wish, ...]:
        if self.shares == -2:
            raise ValueError("not this fill")
        self.heard.append(f"fill {fill.quantity}")
        return ()

    def feed(self, bar: Bar) -> None:
        self.heard.append(f"fed {bar.close:g}")

    def snapshot(self) -> dict[str, Any]:
        return {"heard": list(self.heard)}

    def restore(self, data: dict[str, Any]) -> None:
        self.heard = list(data["heard"])


class Versions:
    """A maker whose code is a number; text that is none does not load."""

    name = "trend"
    source = "100"
    digest = "first"

    def __init__(self) -> None:
        self.params: dict[str, str] = {}

    def __call__(self, code: Code | None = None) -> Version:
        return Version(int(code.source if code is not None else self.source))

    def past(self, runner: object) -> tuple[Bar, ...]:
        return ()


class Longer(Versions):
    """Versions whose author hears of every second bar only."""

    def __call__(self, code: Code | None = None) -> Version:
        made = super().__call__(code)
        made.heard_bar = False
        return made


def host(maker: Versions | None = None) -> HostCore:
    return HostCore("host@trend", writers("host@trend"), [maker or Versions()])


@pytest.fixture
def play() -> Playbook:
    """A host that has traded a bar by its file and has 100 shares on the way."""
    made = Playbook(host())
    _begin(made)
    closes(made, 1)
    made << ...
    return made


def _begin(play: Playbook) -> None:
    play.unread.extend(play.core.started(play.now))
    play.unread.extend(play.core.released(play.now))


def restarted(play: Playbook, death: Death | None = None, maker: Versions | None = None) -> Playbook:
    """The same host after a restart; ``death`` is what it died of."""
    after = Playbook(again(play.core, host(maker)))
    after.now = play.now
    after.later(1)
    if death is not None:
        after >> death
    _begin(after)
    return after


def closes(play: Playbook, close: float) -> None:
    play.later(60)
    play >> bar(close, play.now.time - MINUTE)


def reload(play: Playbook, source: str) -> tuple[CommandResult, list[Notice]]:
    """What the host answers, and what it tells the owner besides."""
    play >> command(Verb.RELOAD_STRATEGY, id=f"c{play.now.time}", strategy="trend", source=source)
    told = [event.body for event in play.unread]
    play << ...
    return next(body for body in told if isinstance(body, CommandResult)), [b for b in told if isinstance(b, Notice)]


def version(play: Playbook) -> Version:
    assert isinstance(play.core, HostCore)
    found = play.core.roster.runners["trend"]
    assert isinstance(found, Version)
    return found


def state(play: Playbook) -> StrategyState:
    assert isinstance(play.core, HostCore)
    return play.core.roster.state("trend")


def fills(play: Playbook) -> None:
    """An order of ours, filled by a share: news that is no bar."""
    play >> fill(order(), 1)


# --- swaps ------------------------------------------------------------------------------------------------------------


def test_the_new_version_has_the_state_of_the_old_one_and_hears_the_next_bar(play: Playbook) -> None:
    result, notices = reload(play, "70")
    assert (result.done, notices) == (True, [])
    assert f"after {play.now.time} " in result.text
    closes(play, 2)
    assert [said.quantity for said in play.heard(Signal)] == [D(70)]
    assert version(play).heard == ["bar 1", "bar 2"]


def test_a_version_that_does_not_load_changes_nothing_and_the_owner_is_told(play: Playbook) -> None:
    result, (notice,) = reload(play, "seventy")
    assert not result.done
    assert "does not load, the old one goes on: ValueError" in result.text
    assert (notice.code, notice.holds) == ("RELOAD_trend", True)
    closes(play, 2)
    assert [said.quantity for said in play.heard(Signal)] == [D(100)]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("source", ["-1", "-2"])
def test_when_the_new_version_raises_the_old_one_has_heard_all_and_goes_on_with_what_broke_it(
    play: Playbook, source: str, restart: bool
) -> None:
    reload(play, source)
    if source == "-1":
        fills(play)
    if restart:
        play = restarted(play)
    if source == "-2":
        fills(play)
    closes(play, 2)
    assert version(play).shares == 100
    assert version(play).heard == ["bar 1", "fill 1", "bar 2"]
    assert [said.quantity for said in play.heard(Signal)] == [D(100)]
    assert state(play) is StrategyState.RUNNING


def test_a_version_that_has_survived_a_bar_is_contained_as_any_other(play: Playbook) -> None:
    reload(play, "70")
    closes(play, 2)
    play = restarted(play)
    assert version(play).shares == 70
    reload(play, "-1")
    closes(play, 3)
    assert version(play).shares == 70, "the one before is the one that goes on"


def test_of_two_versions_in_a_row_none_of_which_saw_a_bar_the_first_one_of_all_goes_on(play: Playbook) -> None:
    reload(play, "70")
    reload(play.later(1), "-1")
    closes(play, 2)
    assert version(play).shares == 100


def test_a_bar_that_does_not_reach_the_author_proves_nothing() -> None:
    play = Playbook(host(Longer()))
    _begin(play)
    reload(play, "70")
    closes(play, 1)
    version(play).shares = -1
    closes(play, 2)
    assert version(play).shares == 100
    assert version(play).heard == ["bar 1", "bar 2"]


def test_what_is_fed_while_paused_the_old_version_hears_too(play: Playbook) -> None:
    reload(play, "-1")
    play >> command(Verb.PAUSE_STRATEGY, id="p", strategy="trend")
    closes(play, 2)
    play >> command(Verb.RESUME_STRATEGY, id="r", strategy="trend")
    closes(play, 3)
    assert version(play).heard == ["bar 1", "fed 2", "bar 3"]


@pytest.mark.parametrize("hook", ["bar", RELOAD])
def test_a_version_on_trial_that_ends_the_process_is_given_up_without_counting_as_a_failure(
    play: Playbook, hook: str
) -> None:
    reload(play, "70")
    after = restarted(play, Death("exit code 3", "trend", hook))
    assert version(after).shares == 100
    assert [n.text for n in after.heard(Notice)] == [
        f"trend: the new version ended its process in {hook}: exit code 3; the old one goes on"
    ]
    assert after.core.figures()["strategy_failures"] == 0


def test_a_version_that_ends_the_process_while_it_is_loaded_leaves_the_old_one_in_force(play: Playbook) -> None:
    after = restarted(play, Death("watchdog", "trend", RELOAD))
    assert version(after).shares == 100
    assert state(after) is StrategyState.RUNNING
    assert "ended its process while it was loaded: watchdog" in after.heard(Notice)[-1].text


class Sickly(Versions):
    """Its first version cannot save what a fill does to it, and then may not even be put back."""

    is_lost = False

    def __call__(self, code: Code | None = None) -> Version:
        return super().__call__(code) if code is not None else Old(self)


class Old(Version):
    def __init__(self, maker: Sickly) -> None:
        super().__init__(100)
        self.maker = maker
        self.is_sick = False

    def fill(self, fill: Fill, now: int) -> tuple[Wish, ...]:
        self.is_sick = True
        return super().fill(fill, now)

    def snapshot(self) -> dict[str, Any]:
        if self.is_sick:
            raise ValueError("cannot be saved")
        return super().snapshot()

    def restore(self, data: dict[str, Any]) -> None:
        if self.maker.is_lost:
            raise ValueError("cannot be put back")
        self.is_sick = False
        super().restore(data)


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_the_version_before_raises_costs_it_this_call_or_its_place_and_the_new_one_nothing(is_lost: bool) -> None:
    maker = Sickly()
    play = Playbook(host(maker))
    _begin(play)
    closes(play, 1)
    play << ...
    reload(play, "-1")
    maker.is_lost = is_lost
    fills(play)
    assert version(play).heard == ["bar 1", "fill 1"]
    assert state(play) is StrategyState.RUNNING
    play << ...
    closes(play, 2)
    assert [said.quantity for said in play.heard(Signal)] == ([] if is_lost else [D(100)])


def test_however_many_bars_that_do_not_reach_the_author_prove_nothing() -> None:
    play = Playbook(host(Longer()))
    _begin(play)
    reload(play, "70")
    for _ in range(CALLS_MAX + 1):
        closes(play, 1)
    assert "trend" in play.core.roster.trials  # type: ignore[attr-defined]
    play << ...


class Greedy(Versions):
    """Every version but its file's wants more memory than there is."""

    def __call__(self, code: Code | None = None) -> Version:
        if code is not None:
            raise MemoryError
        return super().__call__()


def test_a_version_that_wants_too_much_memory_does_not_load_and_the_old_one_goes_on() -> None:
    play = Playbook(host(Greedy()))
    _begin(play)
    result, (notice,) = reload(play, "70")
    assert not result.done
    assert "does not load, the old one goes on: MemoryError" in result.text
    assert "the new version does not load: MemoryError" in notice.text
    closes(play, 2)
    assert [said.quantity for said in play.heard(Signal)] == [D(100)]


# --- what does not run ------------------------------------------------------------------------------------------------


class Refused(Versions):
    """Its file does not load."""

    source = "none"


def test_a_strategy_that_was_refused_runs_by_a_version_that_loads() -> None:
    play = Playbook(host(Refused()))
    _begin(play)
    play << ...
    assert state(play) is StrategyState.FAILED
    result, notices = reload(play, "70")
    assert (result.done, result.text) == (True, "trend is running by the new version")
    assert [(n.code, n.holds) for n in notices] == [("STRATEGY_trend", False)]
    closes(play, 1)
    assert [said.quantity for said in play.heard(Signal)] == [D(70)]
    after = restarted(play, maker=Refused())
    assert version(after).shares == 70


def test_a_strategy_that_has_failed_gets_new_code_and_runs_when_it_is_resumed(play: Playbook) -> None:
    version(play).shares = -1
    for close in (2, 3, 4):
        closes(play, close)
        version(play).shares = -1
    assert state(play) is StrategyState.FAILED
    result, _ = reload(play, "70")
    assert "it is failed as before: `appliance strategy resume trend`" in result.text
    play >> command(Verb.RESUME_STRATEGY, id="r", strategy="trend") << ...
    closes(play, 5)
    assert [said.quantity for said in play.heard(Signal)] == [D(70)]


def test_a_stopped_strategy_whose_code_no_longer_loads_does_not_run_and_resume_says_why(play: Playbook) -> None:
    play >> command(Verb.STOP_STRATEGY, id="s", strategy="trend") << ...
    after = restarted(play, maker=Refused())
    after >> command(Verb.RESUME_STRATEGY, id="r", strategy="trend")
    told = [event.body for event in after.unread]
    (result,) = [body for body in told if isinstance(body, CommandResult)]
    assert not result.done
    assert "cannot start" in result.text
    assert [body.code for body in told if isinstance(body, Notice)] == ["STRATEGY_trend"]
    assert state(after) is StrategyState.FAILED


# --- lockstep ---------------------------------------------------------------------------------------------------------


def test_in_lockstep_a_command_amid_a_timestamp_waits_until_its_bars_were_heard() -> None:
    play = Playbook(host(), boot=DATA_BOOT)
    _begin(play)
    play >> Step(Stage.HOSTS, play.now.time, 0, (bar(1),)) << ...
    play.later(60) >> Step(Stage.VENUE, play.now.time)
    play >> command(Verb.RELOAD_STRATEGY, strategy="trend", source="70")
    assert play.heard(CommandResult) == []
    play = Playbook(again(play.core, host()), boot=DATA_BOOT, start=play.now.time)
    _begin(play)
    play >> Step(Stage.HOSTS, play.now.time, 0, (bar(2),))
    assert [event.body.quantity for event in play.unread if isinstance(event.body, Signal)] == [D(100)]
    (result,) = play.heard(CommandResult)
    assert f"after {play.now.time} " in result.text
    play.later(60) >> Step(Stage.HOSTS, play.now.time, 0, (bar(3),))
    assert [said.quantity for said in play.heard(Signal)] == [D(70)]


def test_before_recorded_data_begins_a_command_waits_for_it() -> None:
    play = Playbook(host(), boot=DATA_BOOT)
    play >> command(Verb.RELOAD_STRATEGY, strategy="trend", source="70")
    assert play.heard(CommandResult) == []
    play >> Step(Stage.HOSTS, play.now.time, 0, (bar(1),))
    assert play.heard(CommandResult)[0].done
