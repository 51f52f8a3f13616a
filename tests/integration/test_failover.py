"""A box with ten strategies on two live sources, of which the preferred one fails: nothing is lost or told twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.domain.market import SymbolStatus
from appliance.domain.messages import Event
from appliance.domain.operations import SourceState
from appliance.shell.window import Window
from tests.integration.failing import Failing, Measured, failing
from tests.integration.running import Done, until
from tests.standins.exchange import FAULTS

FAULTS_HERE = ("disconnect", "gap", "mute")
"""``python -m tests.bench failover`` has all of them."""


class Suffered:
    """What came of the faults, and the stopped box."""

    def __init__(self, failing: Failing) -> None:
        self.shown: dict[str, SourceState | SymbolStatus] = {}
        window = Window(failing.paths, hears=("view/source/<source>", "view/status/<symbol>"))
        window.events = self._show
        with window:
            failing.exchange.status("USO", "2", "news pending")
            until(lambda: window.poll(0.05) or len(self.shown) == 3, 10, "both sources and the halt are shown")
            failing.exchange.status("USO", "3", "")
            self.measured: dict[str, Measured] = {name: failing.suffer(FAULTS[name]) for name in FAULTS_HERE}
        failing.settle()
        self.done: Done = failing.box.interrupt(20)
        self.failing = failing

    def _show(self, event: Event) -> None:
        if isinstance(event.body, SourceState | SymbolStatus):
            self.shown[event.topic] = event.body


@pytest.fixture(scope="module")
def suffered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suffered]:
    with failing(tmp_path_factory.mktemp("failover")) as made:
        yield Suffered(made)


def test_every_bar_that_was_traded_is_published_once_in_order_and_as_it_was(suffered: Suffered) -> None:
    assert suffered.failing.wrong() == []
    assert suffered.done.code == 0


def test_a_mute_source_is_found_within_ten_seconds_and_a_dead_one_at_once(suffered: Suffered) -> None:
    found = {name: one.found for name, one in suffered.measured.items() if one.found is not None}
    assert found["mute"] < 10.0
    assert found["disconnect"] < 2.0


def test_the_second_source_takes_over_at_once_and_the_first_is_returned_to(suffered: Suffered) -> None:
    for name in ("disconnect", "mute"):
        measured = suffered.measured[name]
        assert measured.over is not None
        assert measured.over < 10.0
        assert measured.back is not None
        assert measured.latest < 5.0
    assert suffered.measured["gap"].over is None
    notices = suffered.failing.notices()
    assert [one.holds for one in notices["failover/first"]] == [True, False] * 2
    assert [code for code in notices if code.startswith(("hole/", "quarantine/"))] == []


def test_ten_strategies_heard_every_bar_once_and_traded(suffered: Suffered) -> None:
    published = suffered.failing.feed("feed/bars")
    heard = suffered.failing.heard()
    assert heard == [event.seq for event in published][-len(heard) :]
    assert len(heard) >= len(published) - 3
    assert suffered.done.json["fills"] > 10


def test_how_the_sources_do_and_a_halt_are_shown_to_windows(suffered: Suffered) -> None:
    first, second, halt = (suffered.shown[f"view/{view}"] for view in ("source/first", "source/second", "status/USO"))
    assert isinstance(first, SourceState)
    assert isinstance(second, SourceState)
    assert {first.state, second.state} == {"live"}
    assert (first.tells, second.tells) == (3, 0)
    assert isinstance(halt, SymbolStatus)
    assert (halt.halted, halt.reason) == (True, "news pending")


def test_the_feed_of_that_day_replays_byte_for_byte(suffered: Suffered) -> None:
    replayed = suffered.failing.box.ask("replay", "feed")
    assert replayed.code == 0, replayed
