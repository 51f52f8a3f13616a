"""New code for a strategy in the middle of recorded data: the orders of the old up to the swap, of the new after it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from appliance.domain.operations import CommandResult, Verb
from appliance.shell.paths import StatePaths
from appliance.shell.window import Window
from tests.integration.reloading import BROKEN, GOOD, NAME, OLD, expected, swapped
from tests.integration.running import Box, Done, random_walk, until

BARS = 600
PACED = 80
PARAMS = {"symbol": "SPY"}
HOST = f"host@{NAME}"
FIRST, *_ = GOOD
AT_ITS_BAR = "it raises on its first bar"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_walk(tmp_path_factory.mktemp("walk") / "bars.csv", BARS)


@pytest.fixture(scope="module")
def slowly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_walk(tmp_path_factory.mktemp("walk") / "few.csv", PACED)


class Reloading:
    """A box that trades recorded data by the old version and is told of others on the way."""

    def __init__(self, box: Box, data: Path, speed: str = "max") -> None:
        self.box = box
        self.data = data
        self.file = box.folder / f"{NAME}.py"
        self.file.write_text(OLD)
        self._old = box.folder / "old.py"
        self._old.write_text(OLD)
        options = ("--data", data, "--session", "all", "--strategy", self.file, "--param", "symbol=SPY")
        box.up(*options, "--speed", speed, "--until-done", "--orders-out", box.orders).ready()

    def some_bars(self, more: int = 150_000) -> None:
        """Wait until the run is so many bytes further: the feed's journal grows with every bar."""
        feed = self.box.state / "journal" / "feed.db-wal"
        size = feed.stat().st_size if feed.exists() else 0
        until(lambda: feed.exists() and feed.stat().st_size > size + more, 20, "the feed has journalled some bars")

    def reload(self, source: str) -> Done:
        """The owner has changed the file and says `appliance strategy reload`."""
        self.file.write_text(source)
        return self.box.ask("strategy", "reload", NAME, "--force", "--json")

    def end(self, bars: int = BARS) -> bytes:
        """The orders at the end; every bar was traded."""
        done = self.box.end()
        assert done.code == 0, done
        assert done.json["bars"] == bars
        return self.box.orders.read_bytes()

    def expected(self, swaps: dict[int, str]) -> bytes:
        return expected(self.data, self._old, swaps, PARAMS)

    def check_replay(self) -> None:
        """The host's journal, lived again, says what the host said."""
        done = self.box.ask("replay", HOST)
        assert done.code == 0, done
        assert "identical" in done.out


@pytest.fixture
def run(box: Box, data: Path) -> Reloading:
    return Reloading(box, data)


@pytest.fixture
def paced(box: Box, slowly: Path) -> Reloading:
    """Five bars a second: there is time between two of them."""
    return Reloading(box, slowly, "300")


@pytest.mark.parametrize("version", GOOD)
def test_orders_are_those_of_the_old_code_up_to_the_swap_and_of_the_new_code_after_it(
    run: Reloading, version: str
) -> None:
    run.some_bars()
    done = run.reload(GOOD[version])
    assert done.code == 0, done
    orders = run.end()
    assert orders == run.expected({swapped(done.json["text"]): GOOD[version]})
    assert orders != run.expected({})
    assert f"RELOAD_{NAME}" not in run.box.alerts()
    run.check_replay()


@pytest.mark.parametrize("version", BROKEN)
def test_with_a_broken_version_orders_are_those_of_the_old_code_throughout_and_an_alert_says_why(
    run: Reloading, version: str
) -> None:
    source, why = BROKEN[version]
    run.some_bars()
    done = run.reload(source)
    assert (done.code, done.json["done"]) == ((0, True) if version == AT_ITS_BAR else (1, False)), done
    assert run.end() == run.expected({})
    alert = run.box.alerts()[f"RELOAD_{NAME}"]
    assert why in alert["text"]
    assert "the old one goes on" in alert["text"]
    assert alert["resolved"] == 0
    assert f"STRATEGY_{NAME}" not in run.box.alerts()
    run.check_replay()


def test_a_good_version_after_a_broken_one_resolves_the_alert(run: Reloading) -> None:
    run.some_bars()
    assert run.reload(BROKEN[AT_ITS_BAR][0]).code == 0
    run.some_bars()
    first, second = GOOD
    swaps = {}
    for version in (first, second):
        done = run.reload(GOOD[version])
        assert done.code == 0, done
        swaps[swapped(done.json["text"])] = GOOD[version]
    assert run.end() == run.expected(swaps)
    assert run.box.alerts()[f"RELOAD_{NAME}"]["resolved"] > 0


# --- kills ----------------------------------------------------------------------------------------------------------


def tell(run: Reloading, source: str, kill: bool = False) -> CommandResult:
    """Reload through a window that is open already; with ``kill`` its host dies as soon as it has answered."""
    pid = run.box.pid(HOST)
    with Window(StatePaths(run.box.state), hears=()) as window:
        result = window.command(Verb.RELOAD_STRATEGY, target=HOST, strategy=NAME, source=source, seconds=15)
        if kill:
            os.kill(pid, signal.SIGKILL)
    return result


@pytest.mark.parametrize("version", [FIRST, AT_ITS_BAR])
@pytest.mark.parametrize("when", ["before", "during the trial", "after"])
def test_a_host_killed_around_a_reload_misses_no_bar_and_hears_none_twice(
    paced: Reloading, version: str, when: str
) -> None:
    source = GOOD.get(version) or BROKEN[version][0]
    paced.some_bars(80_000)
    if when == "before":
        paced.box.hit(HOST)
    result = tell(paced, source, kill=when == "during the trial")
    assert result.done, result
    if when == "after":
        paced.some_bars(30_000)
        paced.box.hit(HOST)
    swaps = {swapped(result.text): source} if version in GOOD else {}
    assert paced.end(PACED) == paced.expected(swaps)
    assert (f"RELOAD_{NAME}" in paced.box.alerts()) == (version not in GOOD)
    paced.check_replay()
