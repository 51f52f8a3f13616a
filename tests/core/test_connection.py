"""The connection to a broker: one at a time, given up when nobody answers, tried again for ever."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.base import Core
from appliance.core.connection import (
    CONDITIONS,
    LINK_TRANSITIONS,
    RESTING,
    BrokerManager,
    Do,
    LinkEvent,
    LinkTerms,
    Phase,
    Step,
)
from appliance.core.streams import Writers
from appliance.core.turn import Turn
from appliance.domain.messages import Event, EventType, Now, VenueLink, local
from appliance.domain.operations import Wakeup
from appliance.domain.venue import LinkState
from tests.core.memory import HandClock, MemoryStore
from tests.playbook import SECOND

TERMS = LinkTerms()
OPEN, CLOSE, BEAT = Do.OPEN, Do.CLOSE, Do.BEAT


class Line:
    """A machine, its clock, and all it said."""

    def __init__(self, seed: int = 1) -> None:
        self.machine, self.now = BrokerManager(Random(seed)), 0
        self.actions: list[Do] = []
        self.told: list[VenueLink] = []

    def take(self, step: Step) -> Step:
        self.actions += step.actions
        self.told += [step.link] if step.link is not None else []
        return step

    def connect(self) -> Step:
        return self.take(self.machine.connect(self.now))

    def opened(self) -> Step:
        return self.take(self.machine.opened(self.machine.session, self.now))

    def ended(self, state: LinkState = LinkState.DOWN, text: str = "gone", wait: int = 0) -> Step:
        return self.take(self.machine.ended(self.machine.session, self.now, state, text, wait))

    def condition(self, state: LinkState, code: str = "", lost: bool = False) -> Step:
        return self.take(self.machine.condition(self.machine.session, self.now, state, code, "", lost))

    def wait(self, seconds: float) -> Step:
        """Let time pass, and take what it brings first."""
        end = self.now + int(seconds * SECOND)
        due = self.machine.due()
        self.now = min(end, max(due, self.now)) if due is not None else end
        return self.take(self.machine.tick(self.now))

    def up(self) -> Line:
        self.connect()
        self.opened()
        return self


def test_it_opens_when_it_is_wanted_and_the_core_compares_first() -> None:
    line = Line()
    assert line.machine.tick(SECOND) == Step()
    assert line.connect().actions == (OPEN,)
    assert line.opened().link == VenueLink(True, "", LinkState.SYNCING)
    assert [link.state for link in line.told] == [LinkState.CONNECTING, LinkState.SYNCING]


def test_a_core_that_starts_anew_compares_anew_over_the_connection_there_is() -> None:
    line = Line().up()
    step = line.connect()
    assert (step.actions, step.link) == ((), VenueLink(True, "", LinkState.SYNCING))


def test_a_beat_goes_out_every_five_seconds_and_one_without_answer_ends_the_connection() -> None:
    line = Line().up()
    assert (line.wait(60).actions, line.now) == ((BEAT,), 5 * SECOND)
    line.machine.answered(line.machine.session, line.now)
    assert (line.wait(60).actions, line.now) == ((BEAT,), 10 * SECOND)
    step = line.wait(60)
    assert (step.actions, line.now) == ((CLOSE,), 15 * SECOND)
    assert step.link is not None
    assert not step.link.up
    assert "no answer within 5 s" in step.link.text


def test_a_question_without_answer_brings_the_next_beat_forward() -> None:
    line = Line().up()
    line.now = SECOND
    line.machine.doubt(line.machine.session, line.now)
    assert line.wait(0).actions == (BEAT,)
    line.machine.doubt(line.machine.session, line.now)
    assert line.wait(0).actions == ()


def test_one_that_does_not_open_is_given_up() -> None:
    line = Line()
    line.connect()
    assert (line.wait(60).actions, line.now) == ((CLOSE,), TERMS.open_patience)
    assert line.wait(60).actions == (OPEN,)


@pytest.mark.parametrize(
    ("state", "least", "most"),
    [
        (LinkState.DOWN, 0.25, 4), (LinkState.WAITING_RESET, 1, 5), (LinkState.WAITING_2FA, 2.5, 25),
        (LinkState.REFUSED, 2.5, 25),
    ],
)  # fmt: skip
def test_it_is_tried_again_for_ever_ever_later_within_bounds(state: LinkState, least: float, most: float) -> None:
    line = Line()
    line.connect()
    pauses = []
    for _ in range(12):
        line.ended(state)
        before = line.now
        assert line.wait(10_000).actions == (OPEN,)
        pauses.append((line.now - before) / SECOND)
    assert all(least <= pause <= most for pause in pauses)
    assert min(pauses[6:]) >= most / 2


def test_the_pause_the_venue_wants_is_kept() -> None:
    line = Line().up()
    line.ended(wait=90 * SECOND)
    line.wait(10_000)
    assert line.now == 90 * SECOND


def test_a_connection_that_stood_for_long_is_tried_again_at_once() -> None:
    line = Line()
    line.connect()
    for _ in range(6):
        line.ended()
        line.wait(60)
    line.opened()
    line.now += 11 * SECOND
    line.ended()
    before = line.now
    line.wait(60)
    assert line.now - before <= SECOND // 2


def test_attempts_that_fail_as_those_before_are_no_news() -> None:
    line = Line()
    line.connect()
    for _ in range(5):
        line.ended(text="connection refused")
        line.wait(60)
    assert [link.state for link in line.told] == [LinkState.CONNECTING, LinkState.DOWN]
    line.ended(text="bad gateway")
    assert line.told[-1].text == "bad gateway"


def test_a_venue_that_loses_its_way_to_the_market_is_degraded_and_compared_when_it_lost_something() -> None:
    line = Line().up()
    line.condition(LinkState.DEGRADED, "1100")
    assert (line.told[-1].up, line.told[-1].state, line.told[-1].code) == (True, LinkState.DEGRADED, "1100")
    line.condition(LinkState.READY, "1102", lost=True)
    assert (line.told[-1].state, line.told[-1].code) == (LinkState.SYNCING, "1102")
    assert line.actions == [OPEN]


def test_one_that_comes_back_without_a_loss_is_ready() -> None:
    line = Line().up()
    line.condition(LinkState.DEGRADED, "1100")
    line.condition(LinkState.READY, "1102")
    assert line.told[-1].state is LinkState.READY


def test_more_losses_are_told_each_though_the_state_stays() -> None:
    line = Line().up()
    for _ in range(2):
        line.condition(LinkState.READY, "1101", lost=True)
    assert [link.code for link in line.told[-2:]] == ["1101", "1101"]


def test_that_all_is_well_is_no_news() -> None:
    line = Line().up()
    before = len(line.told)
    line.condition(LinkState.READY, "2104")
    assert len(line.told) == before


def test_a_reset_behind_an_open_connection_ends_in_a_comparison_without_opening_anew() -> None:
    line = Line().up()
    assert line.condition(LinkState.WAITING_RESET, "1100").link == VenueLink(False, "", LinkState.WAITING_RESET, "1100")
    assert line.condition(LinkState.READY, "1102").link == VenueLink(True, "", LinkState.SYNCING, "1102")
    assert line.actions == [OPEN]


def test_what_is_told_while_it_opens_counts_once_it_is_open() -> None:
    line = Line()
    line.connect()
    line.condition(LinkState.AUTHENTICATING)
    assert line.machine.state is LinkState.AUTHENTICATING
    line.condition(LinkState.DEGRADED, "1100")
    line.opened()
    assert line.machine.state is LinkState.DEGRADED


def test_what_is_told_of_a_connection_given_up_is_ignored() -> None:
    line = Line().up()
    old = line.machine.session
    line.ended()
    line.wait(60)
    for step in (
        line.machine.opened(old, line.now), line.machine.ended(old, line.now), line.machine.answered(old, line.now),
        line.machine.condition(old, line.now, LinkState.DEGRADED),
    ):  # fmt: skip
        assert step == Step()
    assert line.machine.phase is Phase.OPENING


def test_one_that_is_wanted_no_more_is_closed_and_not_tried_again() -> None:
    line = Line().up()
    assert line.take(line.machine.stop(line.now)).actions == (CLOSE,)
    assert line.machine.due() is None
    assert line.wait(10_000).actions == ()


def test_a_core_that_is_restored_hears_how_the_link_stands_now_whatever_code_it_had_before() -> None:
    heard: list[VenueLink] = []

    class Listener(Core):
        def __init__(self, writers: Writers) -> None:
            super().__init__("gateway", writers)
            self.on(EventType.VENUE_LINK, lambda event, now: heard.append(event.body))
            self.on(EventType.WAKEUP, self._stumble)

        def _stumble(self, event: Event, now: Now) -> None:
            raise ValueError("not this one")

    turn = Turn("gateway", Listener, MemoryStore(), lambda event, payload: None, HandClock(), ())
    turn.start()
    line = Line().up()
    for state, code in ((LinkState.DEGRADED, "1100"), (LinkState.READY, "1102"), (LinkState.DEGRADED, "1100")):
        line.condition(state, code)
    for link in line.told:
        turn.accept(local(link))
    turn.run()
    heard.clear()
    turn.accept(local(Wakeup()))
    while turn.run():
        pass
    assert [link.code for link in heard[:1]] == ["1100"]
    assert all(link.state is LinkState.DEGRADED for link in heard)


# --- the table ----------------------------------------------------------------------------------------------------


def test_every_state_can_be_left_for_a_comparison_when_all_goes_well() -> None:
    well = {LinkEvent.TRY, LinkEvent.OPEN, LinkEvent.COMPARE}
    reached = {LinkState.SYNCING}
    for _ in LinkState:
        reached |= {state for (state, event), to in LINK_TRANSITIONS.items() if to in reached and (event in well)}
    assert reached == set(LinkState)


def test_every_state_can_end_in_every_kind_of_waiting() -> None:
    for state in LinkState:
        ends = {LINK_TRANSITIONS[state, event] for event in LinkEvent if (state, event) in LINK_TRANSITIONS}
        assert set(RESTING) <= ends


def test_only_states_that_answer_hear_of_conditions_and_only_attempts_open() -> None:
    for (state, event), to in LINK_TRANSITIONS.items():
        if event is LinkEvent.OPEN:
            assert state in (LinkState.CONNECTING, LinkState.AUTHENTICATING)
        if to.up and event in CONDITIONS.values():
            assert state.up or state in (LinkState.WAITING_RESET, LinkState.WAITING_2FA)


# --- whatever happens ---------------------------------------------------------------------------------------------

ENDINGS = st.sampled_from(RESTING)
MOVES = st.one_of(
    st.just(("opened",)),
    st.tuples(st.just("ended"), ENDINGS),
    st.tuples(st.just("condition"), st.sampled_from(list(LinkState)), st.just(""), st.booleans()),
    st.tuples(st.just("wait"), st.floats(0, 400)),
    st.just(("answered",)),
    st.just(("connect",)),
    st.just(("stale",)),
)


def play(line: Line, move: tuple[object, ...]) -> None:
    name, *given = move
    if name == "answered":
        line.machine.answered(line.machine.session, line.now)
    elif name == "stale":
        line.take(line.machine.opened(line.machine.session - 1, line.now))
        line.take(line.machine.ended(line.machine.session - 1, line.now, LinkState.REFUSED))
    else:
        getattr(line, str(name))(*given)


@given(st.integers(0, 99), st.lists(MOVES, max_size=40))
def test_one_connection_is_open_at_a_time_and_up_only_while_it_is(seed: int, moves: list[tuple[object, ...]]) -> None:
    line = Line(seed)
    line.connect()
    for move in moves:
        play(line, move)
        opens = [action for action in line.actions if action is not BEAT]
        assert opens == [(OPEN, CLOSE)[n % 2] for n in range(len(opens))]
        assert line.machine.state.up <= (line.machine.phase is Phase.OPEN)
        assert (line.machine.phase is Phase.IDLE) == (opens[-1] is CLOSE)
        assert line.machine.due() is not None
        if line.told:
            assert line.told[-1].up == line.machine.state.up, "the core was not told"
    line.wait(10_000)
    while line.machine.phase is not Phase.OPEN:
        line.wait(10_000)
        line.opened()
    line.condition(LinkState.READY, "", True)
    assert line.told[-1].state is LinkState.SYNCING
