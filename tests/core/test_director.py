"""The owner's commands: what is allowed when, each once, and new versions that must prove themselves."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.host import HostCore
from appliance.core.trials import CALLS_MAX
from appliance.core.wishes import Wish, Wishes
from appliance.domain import wire
from appliance.domain.market import Bar
from appliance.domain.messages import Event, EventType
from appliance.domain.operations import CommandResult, Death, Notice, Severity, StrategyState, Verb
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Intent, Side, Signal
from tests.core.hosting import (
    Puppet,
    Scripted,
    Versions,
    answers,
    asks,
    begin,
    begun,
    closes,
    done,
    failed_notice,
    host,
    live,
    puppet,
    scripted,
    target,
    wants,
)
from tests.core.make import command, order
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
PAUSE, RESUME, STOP = Verb.PAUSE_STRATEGY, Verb.RESUME_STRATEGY, Verb.STOP_STRATEGY
RELOAD, SET = Verb.RELOAD_STRATEGY, Verb.SET_PARAMETERS


class Counting(Scripted):
    """It counts its bars, wishes as many shares times ``factor``, and falls over at its ``breaks`` (a close)."""

    def __init__(self, factor: int = 1, breaks: int = 0, sick: bool = False, **script: Any) -> None:
        super().__init__(**script)
        self.factor, self.breaks, self.sick = factor, breaks, sick
        self.count = 0
        self.migrated = False

    def bar(self, bar: Bar, now: int) -> Wishes:
        if bar.close == self.breaks:
            raise ValueError("a broken version")
        self.count += 1
        return (target(self.count * self.factor),)

    def feed(self, bar: Bar) -> None:
        self.count += 1

    def retune(self, values: dict[str, str], now: int) -> Wishes:
        if "size" in values:
            raise ValueError("size is not live")
        self.params |= values
        if values["live"] == "13":
            raise ValueError("bad luck")
        return (target(1_000),)

    def snapshot(self) -> dict[str, Any]:
        return {"count": self.count, "told": len(self.told)}

    def restore(self, data: dict[str, Any]) -> None:
        self.count = data["count"]

    def adopt(self, data: dict[str, Any]) -> None:
        if self.sick:
            raise KeyError("migrate_state")
        super().adopt(data)
        self.migrated = True


def versions(first: str = "v1", digest: str = "") -> Versions:
    return Versions(
        first,
        digest,
        v1=Counting,
        v2=lambda: Counting(10),
        v3=lambda: Counting(100),
        broken=lambda: Counting(1, breaks=7),
        sick=lambda: Counting(sick=True),
        unsteady=lambda: Counting(1, breaks=7, **{"order sending": lambda order: 1 / 0}),
    )


def counting(play: Playbook) -> Counting:
    found = puppet(play)
    assert isinstance(found, Counting)
    return found


def notice(code: str, holds: bool, words: str = "") -> Callable[[Any], bool]:
    def fits(said: Any) -> bool:
        return isinstance(said, Notice) and (said.code, said.holds) == (code, holds) and words in said.text

    fits.__name__ = f"Notice {code} {holds}: {words}"
    return fits


STATES: dict[str, list[Verb]] = {"running": [], "paused": [PAUSE], "stopped": [STOP], "failed": []}
NO = {"pause": "only a running strategy can be paused", "running": "trend is running", "stopped": "trend is stopped"}


def standing(state: str) -> Playbook:
    play = live(Versions("v1", v1=Counting, bad=lambda: Counting(breaks=7), v2=lambda: Counting(10)))
    for n, verb in enumerate(STATES[state]):
        play >> asks(verb, f"before{n}")
    if state == "failed":
        play >> asks(RELOAD, "before", source="bad") >> closes(play, 1)
        for _ in range(3):
            play >> closes(play, 7)
    return play << ...


@pytest.mark.parametrize(
    ("state", "verb", "is_done", "words", "after"),
    [
        ("running", PAUSE, True, "is paused", "paused"),
        ("running", RESUME, False, "trend is running", "running"),
        ("running", STOP, True, "is stopped; its positions and protective stops stay", "stopped"),
        ("running", RELOAD, True, "in place, for what happens after", "running"),
        ("running", SET, True, "trend: live = 5", "running"),
        ("paused", PAUSE, False, "trend is paused: only a running", "paused"),
        ("paused", RESUME, True, "trend is running", "running"),
        ("paused", STOP, True, "is stopped", "stopped"),
        ("paused", RELOAD, True, "it is paused as before: `appliance strategy resume trend`", "paused"),
        ("paused", SET, True, "trend: live = 5", "paused"),
        ("failed", PAUSE, False, "trend is failed: only a running", "failed"),
        ("failed", RESUME, True, "trend is running", "running"),
        ("failed", STOP, True, "is stopped", "stopped"),
        ("failed", RELOAD, True, "it is failed as before: `appliance strategy resume trend`", "failed"),
        ("failed", SET, False, "its parameters come with a reload", "failed"),
        ("stopped", PAUSE, False, "trend is stopped: only a running", "stopped"),
        ("stopped", RESUME, True, "trend is running; bars that came meanwhile", "running"),
        ("stopped", STOP, False, "trend is stopped", "stopped"),
        ("stopped", RELOAD, True, "it is stopped as before: `appliance strategy resume trend`", "stopped"),
        ("stopped", SET, False, "its parameters come with a reload", "stopped"),
    ],
)
def test_what_may_follow_what_in_a_strategys_life(
    state: str, verb: Verb, is_done: bool, words: str, after: str
) -> None:
    play = standing(state)
    play >> asks(verb, "c1", source="v2" if verb is RELOAD else "", params={"live": "5"} if verb is SET else {})
    assert answers(is_done, words)(next(e.body for e in play.unread if isinstance(e.body, CommandResult)))
    assert play.core.roster.state("trend") is StrategyState(after)  # type: ignore[attr-defined]
    play << ...


@pytest.mark.parametrize("state", STATES)
def test_a_state_survives_a_restart(state: str) -> None:
    play = standing(state)
    after = begun(play, host(Versions("v1", v1=Counting, bad=lambda: Counting(breaks=7), v2=lambda: Counting(10))))
    assert after.core.roster.state("trend") is StrategyState(state)  # type: ignore[attr-defined]
    after >> closes(after, 3)
    assert bool(after.heard(Signal)) is (state == "running")


def test_the_indicators_of_a_paused_strategy_go_on() -> None:
    with live(versions()) as play:
        play >> closes(play, 1) << Signal << Intent
        play >> asks(PAUSE, "c1") << CommandResult << failed_like("paused")
        play >> closes(play, 2) >> closes(play, 3)
        play >> asks(RESUME, "c2") << CommandResult << notice("STRATEGY_trend", False)
        play >> closes(play, 4) << (lambda said: said.quantity == 4) << Intent


def failed_like(state: str) -> Callable[[Any], bool]:
    return notice("STRATEGY_trend", True, state)


def test_a_bar_that_cannot_be_fed_costs_a_paused_strategy_its_place_and_nobody_else() -> None:
    class Choking(Puppet):
        def feed(self, bar: Bar) -> None:
            raise ValueError("across a session's edge")

    with live(lambda: Choking(), lambda: Scripted("other", bar=target(1))) as play:
        play >> asks(PAUSE, "c1") << ...
        play >> closes(play, 5)
        assert [said.strategy for said in [e.body for e in play.unread if isinstance(e.body, Signal)]] == ["other"]
        assert [e.body.severity for e in play.unread if isinstance(e.body, Notice)] == [Severity.CRITICAL]
        play << ...


def test_on_stop_is_called_once_and_its_wishes_count() -> None:
    with live(scripted(bar=target(100), stop=target(0))) as play:
        play >> closes(play, 1) << Signal
        done(play, play.heard(Intent)[0])
        play << ... >> asks(STOP, "c1") << Signal << wants(Side.SELL, 100, exit=True)
        play << answers(True, "is stopped") << failed_like("stopped")
        play >> asks(STOP, "c2") << answers(False, "is stopped")
        play >> closes(play, 1)
        assert puppet(play).heard.count("stop") == 1


class Wordy(Scripted):
    """It writes a line whenever it starts, stops or is given values."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def start(self, now: int) -> tuple[Wish, ...]:
        self.lines.append("hello")
        return super().start(now)

    def stop(self, now: int) -> Wishes:
        self.lines.append("goodbye")
        return super().stop(now)

    def retune(self, values: dict[str, str], now: int) -> Wishes:
        self.lines.append("as you like")
        return ()

    def logs(self) -> tuple[str, ...]:
        lines, self.lines = tuple(self.lines), []
        return lines


def test_what_a_strategy_writes_at_its_start_and_on_a_command_is_logged_at_once_not_with_the_next_bar() -> None:
    play = live(lambda: Wordy())
    assert play.core.logged == ["trend: hello"]
    play >> asks(SET, "c1", params={"size": "2"})
    assert play.core.logged[1:] == ["trend: as you like"]
    play >> asks(STOP, "c2")
    assert play.core.logged[2:] == ["trend: goodbye"]


def test_a_stopped_strategy_whose_state_does_not_load_any_more_fails_with_an_answer() -> None:
    class Forgetful(Puppet):
        def restore(self, data: dict[str, Any]) -> None:
            raise ValueError("other indicators")

    with live(lambda: Forgetful()) as play:
        play >> asks(STOP, "c1") << ...
        play >> asks(RESUME, "c2") << answers(False, "other indicators") << failed_notice("trend", "other indicators")


def test_a_failed_strategy_resumes_with_a_clean_slate() -> None:
    with live() as play:
        for _ in range(3):
            play >> closes(play, 13)
        play << failed_notice("trend", "bad luck")
        play >> asks(RESUME, "c1") << CommandResult << notice("STRATEGY_trend", False)
        play >> closes(play, 13) >> closes(play, 13) >> closes(play, 5) << Signal << Intent


@pytest.mark.parametrize("fixed", [False, True], ids=["the same file", "another file"])
def test_what_could_not_start_is_tried_again_when_its_file_has_changed(fixed: bool) -> None:
    play = live(Versions("nothing", "d1", nothing=lambda: Broken()))
    play << failed_notice("trend", "cannot start") << ...
    maker = Versions("nothing", "d2" if fixed else "d1", nothing=Counting if fixed else lambda: Broken())
    after = begun(play, host(maker))
    after << ... >> closes(after, 3)
    assert bool(after.heard(Signal)) is fixed


class Broken(Puppet):
    """It does not start."""

    def start(self, now: int) -> Wishes:
        raise ValueError("no")


def test_a_strategy_that_does_not_run_wishes_nothing_at_a_start() -> None:
    class Eager(Puppet):
        def start(self, now: int) -> Wishes:
            return (target(100),)

    play = live(Versions("v", "d1", v=lambda: Broken()))
    play << ...
    with begun(play, host(Versions("v", "d1", v=lambda: Eager()))) as after:
        after >> closes(after, 1)
        after >> asks(RESUME, "c2")
        assert [said.quantity for said in after.heard(Intent)] == [100]


# --- commands -------------------------------------------------------------------------------------


def test_a_command_acts_once_and_is_answered_each_time() -> None:
    with live() as play:
        play >> asks(PAUSE, "c1") << answers(True, "is paused") << Notice
        play >> asks(RESUME, "c2") << answers(True, "is running") << Notice
        play >> asks(PAUSE, "c1") << answers(True, "is paused")
        after = begun(play, host())
        after >> asks(PAUSE, "c1") << answers(True, "is paused")
        after >> closes(after, 100) << Signal << Intent


def test_a_command_that_expired_is_void() -> None:
    with live() as play:
        play.later(10)
        play >> asks(PAUSE, "c1", expires=BEGIN + 9 * SECOND) << answers(False, "expired")
        play >> closes(play, 100) << Signal << Intent


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"strategy": "tend"}, "no strategy 'tend' here; did you mean 'trend'?; there are trend"),
        ({"strategy": "zzz"}, "no strategy 'zzz' here; there are trend"),
    ],
)
def test_a_name_we_do_not_have_is_answered_with_the_nearest(given: dict[str, str], words: str) -> None:
    with live() as play:
        play >> command(PAUSE, target="host@trend", **given) << answers(False, words)
        play >> command(PAUSE, "c2", target="host@other", **given)


# --- new versions ---------------------------------------------------------------------------------


def test_a_reload_takes_over_the_state_and_the_next_bar_is_the_new_versions() -> None:
    with live(versions()) as play:
        play >> closes(play, 1) >> closes(play, 1) << Signal << Intent << Signal << Intent
        play >> asks(RELOAD, "c1", source="v2") << answers(True, "in place")
        assert counting(play).migrated
        play >> closes(play, 1) << (lambda said: said.quantity == 30) << Intent << notice("RELOAD_trend", False)
        play >> closes(play, 1) << (lambda said: said.quantity == 40) << Intent


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"source": "nonsense"}, "nonsense: does not compile"),
        ({"source": "sick"}, "KeyError"),
        ({"source": "v2", "params": {"sise": "1"}}, "unknown parameter 'sise'"),
    ],
    ids=["does not load", "does not take over", "parameters"],
)
def test_a_version_that_does_not_load_leaves_the_old_one(given: dict[str, Any], words: str) -> None:
    with live(versions()) as play:
        play >> closes(play, 1) << Signal << Intent
        play >> asks(RELOAD, "c1", **given) << answers(False, words) << notice("RELOAD_trend", True, words)
        play >> closes(play, 1) << (lambda said: said.quantity == 2) << Intent


def told(play: Playbook) -> list[Any]:
    """Signals and intents without the times of their making."""
    return [event.body for event in play.unread if event.type in (EventType.SIGNAL, EventType.INTENT)]


CLOSES = (1, 2, 7, 3, 4)


def plain_run() -> list[Any]:
    play = live(versions())
    for close in CLOSES:
        play >> closes(play, close)
    return told(play)


@pytest.mark.parametrize("cut", [None, *range(6)])
@pytest.mark.parametrize("how", ["raises", "kills"])
def test_a_broken_new_version_changes_nothing_but_a_notice(how: str, cut: int | None) -> None:
    """With a restart between any two messages, or without one; the new version raises, or ends its process."""
    play, said = live(versions()), []

    def restart(number: int) -> None:
        nonlocal play, said
        if number == cut:
            said += list(play.unread)
            play = begun(play, host(versions()))

    for number, close in enumerate(CLOSES):
        restart(number)
        if close == 7:
            play >> asks(RELOAD, "c1", source="broken")
            restart(number + 3)
        following = closes(play, close)
        if close == 7 and how == "kills":
            said += list(play.unread)
            fresh = host(versions())
            before, play = play, Playbook(fresh)
            fresh.restore(before.core.snapshot())
            fresh.writers = before.core.writers
            play.now, play._writers = before.now, before._writers
            play >> Death("exit code 3", "trend", "bar")
            begin(play)
        play >> following
    said += list(play.unread)
    bodies = [event.body for event in said]
    assert [event.body for event in said if event.type in (EventType.SIGNAL, EventType.INTENT)] == same_causes(
        plain_run(), [event.body for event in said if event.type in (EventType.SIGNAL, EventType.INTENT)]
    )
    assert [one for one in bodies if notice("RELOAD_trend", True)(one)]
    assert play.core.roster.state("trend") is StrategyState.RUNNING  # type: ignore[attr-defined]
    assert "trend" not in play.core.roster.code, "its file is in force"  # type: ignore[attr-defined]


def same_causes(expected: list[Any], found: list[Any]) -> list[Any]:
    """A playbook numbers its bars anew after a restart; nothing else may differ."""
    assert len(expected) == len(found)
    return [replace(one, cause=other.cause) for one, other in zip(expected, found, strict=True)]


def test_what_the_new_version_heard_before_it_broke_the_old_one_has_heard_too() -> None:
    with live(versions()) as play:
        play >> closes(play, 1) << Signal
        entry = play.heard(Intent)[0]
        play >> asks(RELOAD, "c1", source="v2") << CommandResult
        done(play, entry)
        old = play.core.roster.trials._before["trend"]  # type: ignore[attr-defined]
        assert old.heard[-3:] == ["order sending", "fill", "order filled"]


def test_a_version_that_breaks_before_its_first_bar_gives_way_as_well() -> None:
    with live(versions()) as play:
        play >> closes(play, 1) << Signal
        entry = play.heard(Intent)[0]
        play >> asks(RELOAD, "c1", source="unsteady") << CommandResult
        play >> done_sending(entry) << notice("RELOAD_trend", True, "ZeroDivisionError")
        assert puppet(play).heard[-1] == "order sending", "the old one hears what broke the new one"


def done_sending(entry: Intent) -> Any:
    return order(entry, OrderStatus.SENDING)


def test_bars_seen_while_paused_on_trial_are_seen_by_both_versions() -> None:
    with live(versions()) as play:
        play >> asks(RELOAD, "c1", source="broken") >> asks(PAUSE, "c2") << ...
        play >> closes(play, 1) >> closes(play, 2)
        play >> asks(RESUME, "c3") << ...
        play >> closes(play, 7) << (lambda said: said.quantity == 3) << Intent << notice("RELOAD_trend", True)


def test_a_second_reload_before_the_first_bar_goes_back_to_what_was_proven() -> None:
    with live(versions()) as play:
        play >> asks(RELOAD, "c1", source="v2") >> asks(RELOAD, "c2", source="broken") << ...
        play >> closes(play, 7) << (lambda said: said.quantity == 1) << Intent << notice("RELOAD_trend", True)
        assert "trend" not in play.core.roster.code, "its file is in force"  # type: ignore[attr-defined]


def test_many_calls_survived_are_as_good_as_a_bar() -> None:
    play = live(versions())
    entry = None
    play >> closes(play, 1)
    entry = play.heard(Intent)[0]
    play >> asks(RELOAD, "c1", source="v2") << ...
    for _ in range(CALLS_MAX):
        play >> done_sending(entry)
    assert notice("RELOAD_trend", False)(play.unread[-1].body)


def test_a_restart_after_a_reload_runs_the_new_code_and_a_run_with_another_file_that_one() -> None:
    play = live(versions(digest="d1"))
    play >> asks(RELOAD, "c1", source="v2", params={"live": "5"}) << ...
    play >> closes(play, 1) << ...
    after = begun(play, host(versions(digest="d1")))
    after >> closes(after, 1)
    assert [said.quantity for said in after.heard(Signal)] == [20]
    assert counting(after).params == {"size": "1", "live": "5"}
    other = begun(after, host(versions("v3", digest="d2")))
    other >> closes(other, 1)
    assert [said.quantity for said in other.heard(Signal)] == [300]


def test_a_reload_keeps_what_the_owner_has_set_and_leaves_the_rest_to_the_file() -> None:
    """A default that the new file changes is changed; what was set by hand stays."""
    with live(versions()) as play:
        play >> asks(SET, "c1", params={"live": "5"}) << Signal << Intent << CommandResult
        counting(play).params["default"] = "of the old file"
        play >> asks(RELOAD, "c2", source="v2") << answers(True, "in place")
        assert counting(play).params == {"size": "1", "live": "5"}


# --- parameters -----------------------------------------------------------------------------------


def test_live_parameters_are_told_and_survive_a_restart() -> None:
    play = live(versions())
    play >> asks(SET, "c1", params={"live": "5"}) << Signal << Intent << answers(True, "live = 5")
    after = begun(play, host(versions()))
    assert counting(after).params == {"size": "1", "live": "5"}


@pytest.mark.parametrize(
    ("params", "words"),
    [({"size": "2"}, "size is not live"), ({"live": "13"}, "bad luck"), ({}, "no parameter was named")],
)
def test_parameters_that_are_refused_change_nothing(params: dict[str, str], words: str) -> None:
    with live(versions()) as play:
        play >> closes(play, 1) << Signal << Intent
        play >> asks(SET, "c1", params=params) << answers(False, words)
        assert counting(play).params == {"size": "1"}
        play >> closes(play, 1) << (lambda said: said.quantity == 2) << Intent


def test_a_paused_strategy_takes_parameters_and_its_wishes_are_not_wanted() -> None:
    with live(versions()) as play:
        play >> asks(PAUSE, "c1") << ...
        play >> asks(SET, "c2", params={"live": "5"}) << answers(True, "live = 5")
        assert counting(play).params["live"] == "5"


# --- deaths ---------------------------------------------------------------------------------------


def test_the_third_death_in_ten_minutes_pauses_a_strategy_and_its_neighbour_goes_on() -> None:
    makers = (scripted(bar=target(1)), scripted("other", bar=target(1)))
    play = live(*makers)
    for life in range(1, 4):
        core: HostCore = host(*makers)
        core.restore(play.core.snapshot())
        core.writers = play.core.writers
        after = Playbook(core)
        after.now = play.now
        after.later(60)
        after >> Death("watchdog", "trend", "bar")
        assert bool(after.heard(Notice)) is (life == 3)
        begin(after)
        play = after
    play >> closes(play, 1)
    assert [said.strategy for said in play.heard(Signal)] == ["other"]
    assert "died in bar: watchdog" in play.core.roster.standing["trend"].why  # type: ignore[attr-defined]


def test_a_stopped_strategy_that_kills_at_its_resumption_fails_at_the_third() -> None:
    play = live(scripted())
    play >> asks(STOP, "c1") << ...
    for _ in range(3):
        core = host(scripted())
        core.restore(play.core.snapshot())
        core.writers = play.core.writers
        after = Playbook(core)
        after.now = play.now
        after >> Death("exit code 1", "trend", "on_start")
        begin(after)
        play = after
    assert play.core.roster.state("trend") is StrategyState.FAILED  # type: ignore[attr-defined]


def test_a_death_outside_our_strategies_is_nobodys_failure() -> None:
    play = live()
    play >> Death("watchdog") >> Death("watchdog", "stranger", "bar")
    assert play.core.figures() == {"strategy_failures": 0, "strategies_paused": 0}


# --- what they raise ------------------------------------------------------------------------------


class Mute(Exception):
    """It cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), Mute(), ValueError("\ud800"), ValueError("x" * 1_000_000)],
    ids=["interrupt", "exit", "generator", "mute", "surrogate", "long"],
)
def test_whatever_a_strategy_raises_is_contained_and_can_be_told(error: BaseException) -> None:
    def raises(bar: Bar) -> Wishes:
        raise error

    with live(scripted(bar=raises), scripted("other", bar=target(1))) as play:
        for _ in range(3):
            play >> closes(play, 1)
        events: list[Event] = list(play.unread)
        assert all(wire.encode(event) for event in events)
        assert [event.body.strategy for event in events if isinstance(event.body, Signal)] == ["other"] * 3
        assert sum(isinstance(event.body, Notice) for event in events) == 1
        play << ...
