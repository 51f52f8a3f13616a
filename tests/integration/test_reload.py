"""New code for a strategy in the middle of recorded data: the orders of the old up to the swap, of the new after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.reloading import BROKEN, GOOD, NAME, OLD, expected, swapped
from tests.integration.running import Box, Done, random_walk, until

BARS = 800
PARAMS = {"symbol": "SPY"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_walk(tmp_path_factory.mktemp("walk") / "bars.csv", BARS)


class Reloading:
    """A box that trades recorded data by the old version and is told of others on the way."""

    def __init__(self, box: Box, data: Path) -> None:
        self.box = box
        self.data = data
        self.file = box.folder / f"{NAME}.py"
        self.file.write_text(OLD)
        self.old = box.folder / "old.py"
        self.old.write_text(OLD)
        self.options = (
            "--data", data, "--session", "all", "--strategy", self.file, "--param", "symbol=SPY", "--speed", "max",
            "--until-done", "--orders-out", box.orders,
        )  # fmt: skip
        box.up(*self.options).ready()

    def some_bars(self, more: int = 150_000) -> None:
        """Wait until the run is so many bytes further: the feed's journal grows with every bar."""
        feed = self.box.state / "journal" / "feed.db-wal"
        size = feed.stat().st_size if feed.exists() else 0
        until(lambda: feed.exists() and feed.stat().st_size > size + more, 20, "the feed has journalled some bars")

    def reload(self, source: str) -> Done:
        """`appliance strategy reload`: the file has changed."""
        self.file.write_text(source)
        return self.box.ask("strategy", "reload", NAME, "--force", "--json")

    def end(self) -> bytes:
        """The orders at the end; every bar was traded."""
        done = self.box.end()
        assert done.code == 0, done
        assert done.json["bars"] == BARS
        return self.box.orders.read_bytes()

    def expected(self, swaps: dict[int, str]) -> bytes:
        return expected(self.data, self.old, swaps, PARAMS)

    def alerts(self) -> list[dict[str, object]]:
        """What the monitor has raised and resolved, oldest first."""
        told = self.box.ask("journal", "tail", "monitor", "--lines", 200, "--json").out
        rows = [json.loads(line) for line in told.splitlines()]
        return [row for row in rows if row.get("kind") == "out"]


@pytest.fixture
def run(box: Box, data: Path) -> Reloading:
    return Reloading(box, data)


@pytest.mark.parametrize("version", GOOD)
def test_orders_are_those_of_the_old_code_up_to_the_swap_and_of_the_new_code_after_it(
    run: Reloading, version: str
) -> None:
    run.some_bars()
    done = run.reload(GOOD[version])
    assert done.code == 0, done
    time = swapped(done.json["text"])
    orders = run.end()
    assert orders == run.expected({time: GOOD[version]})
    assert orders != run.expected({})
    print(run.alerts()[-3:], time)


@pytest.mark.parametrize("version", BROKEN)
def test_with_a_broken_version_orders_are_those_of_the_old_code_throughout_and_an_alert_says_why(
    run: Reloading, version: str
) -> None:
    source, why = BROKEN[version]
    run.some_bars()
    done = run.reload(source)
    assert done.code == (0 if "first bar" in version else 1), done
    assert run.end() == run.expected({})
    print(run.alerts()[-3:])
