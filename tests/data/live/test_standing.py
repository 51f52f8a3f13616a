"""Who is late is replaced, and what stands in for whom is told from its beginning to its end, once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.data.live.notices import Notices
from appliance.data.live.punctuality import IN_A_ROW, LATE, Punctuality
from appliance.data.live.reserve import GRACE
from appliance.data.live.selection import Selection, State, Terms
from appliance.data.live.standing import UNHEARD, Standing
from appliance.data.sources.base import Linked
from appliance.domain.market import HOUR, SECOND
from appliance.domain.operations import Notice, Severity
from tests.data.live.stage import BARS_TOLD

NAMES = ("first", "second")
SYMBOLS = ("SPY", "EEM")
TERMS = Terms(mute=HOUR, hold=30 * SECOND)
START = BARS_TOLD[0].start


class Standby:
    """Two sources of two symbols, both connected a second after the start."""

    def __init__(self) -> None:
        self.selection = Selection(
            NAMES, SYMBOLS, lambda symbol, now: 0, random.Random(1), dict.fromkeys(NAMES, TERMS)
        )  # fmt: skip
        self.standing = Standing(self.selection, Notices())
        self.selection.tick(START)
        self.standing.look(START)

    def link(self, *names: str, at: int) -> None:
        for name in names:
            self.selection.linked(name, Linked(SYMBOLS), START + at * SECOND)
            self.selection.heard(name, "SPY", START + at * SECOND)

    def look(self, at: int) -> list[tuple[str, bool]]:
        """What is told after ``at`` seconds: code, and whether it holds."""
        self.selection.tick(START + at * SECOND)
        return [(one.code, one.holds) for one in self.standing.look(START + at * SECOND)]


def test_one_notice_lasts_until_the_last_symbol_is_back() -> None:
    stand = Standby()
    stand.link("first", "second", at=1)
    assert stand.look(2) == []
    for number, symbol in enumerate(SYMBOLS):
        stand.selection.lags("first", symbol, START + 3 * SECOND)
        assert stand.look(3) == [("failover/first", True)][number:]
    stand.selection.lags("first", "SPY", START + 4 * SECOND, False)
    assert stand.look(40) == []
    assert stand.selection.active == {"SPY": "first", "EEM": "second"}
    stand.selection.lags("first", "EEM", START + 41 * SECOND, False)
    assert [stand.look(at) for at in (42, 80)] == [[], [("failover/first", False)]]


def test_who_connects_first_stands_in_for_nobody() -> None:
    stand = Standby()
    stand.link("second", at=1)
    stand.link("first", at=2)
    assert [stand.look(at) for at in (3, 20, 40)] == [[], [], []]
    assert set(stand.selection.active.values()) == {"first"}


def test_a_preferred_source_that_never_connects_is_told() -> None:
    stand = Standby()
    stand.link("second", at=1)
    stand.selection.ended("first", "refuses the key", START + 2 * SECOND, refused=True)
    (notice,) = stand.standing.look(START + 3 * SECOND)
    assert notice == Notice(
        "failover/first", Severity.WARNING, "second tells SPY, EEM instead of first: refuses the key"
    )


def test_what_nobody_tells_is_critical_at_once_where_somebody_did_and_after_a_while_at_the_start() -> None:
    stand = Standby()
    assert stand.look(19) == []
    assert stand.look(UNHEARD // SECOND) == [("no_source", True)]
    stand.link("first", "second", at=21)
    assert [stand.look(at) for at in (21, 24, 25)] == [[], [], [("no_source", False)]]
    stand.selection.ended("second", "hung up", START + 27 * SECOND)
    stand.selection.ended("first", "hung up", START + 27 * SECOND)
    found = stand.standing.look(START + 27 * SECOND)
    assert [(one.code, one.severity) for one in found] == [("no_source", Severity.CRITICAL)]
    assert "first: hung up" in found[0].text


def test_a_source_that_is_tried_again_still_says_why_it_failed() -> None:
    stand = Standby()
    assert stand.selection.candidates["first"].why == ""
    stand.selection.ended("first", "answers with a web page", START + SECOND)
    stand.look(40)
    one = stand.selection.candidates["first"]
    assert (one.state, one.why) == (State.CONNECTING, "answers with a web page")
    stand.link("first", at=41)
    assert (one.state, one.why) == (State.LIVE, "")


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("connects", [False, True])
def test_a_source_that_fails_at_once_for_hours_is_told_once_and_tried_ever_more_rarely(
    refused: bool, connects: bool
) -> None:
    stand = Standby()
    stand.selection.ended("second", "no key", START + 2 * SECOND, 24 * HOUR, True)
    told, tried = [], 0
    for at in range(3, 2 * 3600):
        told += stand.look(at)
        if stand.selection.candidates["first"].state is State.CONNECTING:
            tried += 1
            told += [] if connects else stand.look(at)
            if connects:
                stand.link("first", at=at)
            stand.selection.ended("first", "it says no", START + at * SECOND, refused=refused)
    assert told == [("no_source", True)]
    assert 10 < tried < 2 * 60 * 1.5


def test_a_connection_that_lasts_is_tried_again_at_once_when_it_is_lost() -> None:
    stand = Standby()
    for at in range(100, 1000, 100):
        stand.link("first", at=at)
        stand.selection.heard("first", "SPY", START + (at + 50) * SECOND)
        stand.selection.ended("first", "hung up", START + (at + 60) * SECOND)
        assert stand.selection.candidates["first"].due <= START + (at + 61) * SECOND


@pytest.mark.parametrize("last_words", ["", "hung up"])
def test_a_source_that_was_ended_because_it_was_mute_still_says_so(last_words: str) -> None:
    stand = Standby()
    stand.link("first", "second", at=1)
    stand.selection.heard("second", "SPY", START + HOUR)
    assert stand.selection.tick(START + HOUR + SECOND).end == ["first"]
    stand.selection.ended("first", last_words, START + HOUR + 2 * SECOND)
    one = stand.selection.candidates["first"]
    assert (one.state, one.why) == (State.FAILING, "connected, but silent for 3600 s in session")


def test_a_symbol_that_was_stale_comes_back_after_the_hold_and_others_stay() -> None:
    stand = Standby()
    stand.link("first", "second", at=1)
    stand.selection.stale("first", "SPY", START + 2 * SECOND)
    assert stand.look(2) == [("failover/first", True)]
    stand.selection.heard("first", "SPY", START + 3 * SECOND)
    assert [stand.look(at) for at in (3, 32, 33)] == [[], [], [("failover/first", False)]]
    assert stand.selection.active == dict.fromkeys(SYMBOLS, "first")


@pytest.mark.parametrize(("opened", "mute"), [(None, False), (0, True), (95, False), (90, True)])
def test_silence_is_muteness_in_session_alone_and_counts_from_the_open(opened: int | None, mute: bool) -> None:
    since = None if opened is None else START + opened * SECOND
    selection = Selection(["first"], ["SPY"], lambda symbol, now: since, random.Random(1))
    selection.tick(START)
    selection.linked("first", Linked(("SPY",)), START + SECOND)
    selection.heard("first", "SPY", START + SECOND)
    assert selection.tick(START + 100 * SECOND).end == (["first"] if mute else [])


def test_a_mute_source_is_down_since_it_was_found_to_be_mute() -> None:
    selection = Selection(["first"], ["SPY"], lambda symbol, now: 0, random.Random(1))
    selection.tick(START)
    selection.linked("first", Linked(("SPY",)), START)
    assert [selection.tick(START + int(seconds * SECOND)).end for seconds in (9, 9.5)] == [[], ["first"]]
    selection.ended("first", "", START + 11 * SECOND)
    first = selection.candidates["first"]
    assert (first.state, first.since) == (State.FAILING, START + 9_500_000_000)
    assert "silent" in first.why
    for happens in (selection.tick, lambda now: selection.linked("first", Linked(("SPY",)), now)):
        happens(START + 20 * SECOND)
        assert first.down == START + 9_500_000_000
    selection.heard("first", "SPY", START + 21 * SECOND)
    assert first.down == 0


# --- punctuality ------------------------------------------------------------------------------------------------------


def verdicts(late: list[bool]) -> list[bool | None]:
    """What is said of a source that is late, or not, with bar after bar."""
    punctual = Punctuality()
    found = []
    for bar, slow in zip(BARS_TOLD, late, strict=False):
        punctual.told("second", bar, bar.end)
        found.append(punctual.told("first", bar, bar.end + (LATE + 1 if slow else LATE)))
    return found


def test_three_late_bars_in_a_row_make_a_source_lag_and_three_prompt_ones_end_it() -> None:
    said = verdicts([True, True, False, True, True, True, True, False, False, True, False, False, False])
    assert [number for number, one in enumerate(said) if one is True] == [5]
    assert [number for number, one in enumerate(said) if one is False] == [12]


@given(st.lists(st.booleans(), max_size=60))
def test_lagging_begins_and_ends_in_turn_and_only_after_enough_in_a_row(late: list[bool]) -> None:
    changes = [(number, one) for number, one in enumerate(verdicts(late)) if one is not None]
    assert [one for _, one in changes] == [number % 2 == 0 for number in range(len(changes))]
    for number, lags in changes:
        assert late[number - IN_A_ROW + 1 : number + 1] == [lags] * IN_A_ROW


def test_a_bar_that_was_missed_and_one_that_is_repeated_or_revised_count_once() -> None:
    punctual = Punctuality()
    for number, bar in enumerate(BARS_TOLD[:IN_A_ROW]):
        punctual.told("second", bar, bar.end)
        punctual.expects("first", bar)
        assert punctual.overdue(bar.end + LATE) == []
        began = punctual.overdue(bar.end + LATE + 1)
        assert began == [("first", "SPY")][: number == IN_A_ROW - 1]
        for repeated in (bar, bar, replace(bar, volume=1.0)):
            assert punctual.told("first", repeated, bar.end + 10 * LATE) is None
    punctual.forget("first")
    punctual.expects("first", BARS_TOLD[IN_A_ROW])
    assert punctual.overdue(BARS_TOLD[-1].end) == []


def test_what_comes_a_little_later_than_the_reserve_waits_is_not_late() -> None:
    punctual = Punctuality()
    for bar in BARS_TOLD:
        punctual.told("second", bar, bar.end)
        punctual.expects("first", bar)
        assert punctual.told("first", bar, bar.end + GRACE + SECOND) is None
        assert punctual.overdue(bar.end + HOUR) == []
