"""A strategy that trades on another's signals, each in a process of its own: the same orders each time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from appliance.world.backtest import Backtest
from tests.integration.running import Box, Done, orders_of, random_walk, until

BARS = 300
LEADER = '''
from appliance.strategy import Strategy, param


class Leader(Strategy):
    """Wants something else with every third bar, and says so again when it is filled."""

    symbol: str = param("SPY")

    def on_start(self):
        self.average = self.sma(self.symbol, 5)
        self.state["bars"] = 0

    def on_bar(self, bar):
        self.state["bars"] += 1
        if self.average.ready and self.state["bars"] % 3 == 0:
            self.target(bar.symbol, quantity=10 + self.state["bars"] % 11, reason="lead")

    def on_fill(self, fill):
        if self.position(fill.symbol) % 2:
            self.target(fill.symbol, quantity=self.position(fill.symbol) + 1, reason="even")
'''
FOLLOWER = '''
from appliance.strategy import Strategy, param


class Follower(Strategy):
    """Does the opposite of what another wishes, and a share more for every signal it has heard."""

    symbol: str = param("SPY")
    follows = ("leader",)

    def on_start(self):
        self.average = self.sma(self.symbol, 2)
        self.state["signals"] = 0

    def on_signal(self, signal):
        self.state["signals"] += 1
        self.target(signal.symbol, quantity=-signal.quantity - self.state["signals"] % 4, reason="follow")
'''


class Pair:
    """The two files, recorded data, and the options to trade it."""

    def __init__(self, folder: Path) -> None:
        self.files = {"follower": folder / "follower.py", "leader": folder / "leader.py"}
        self.files["follower"].write_text(FOLLOWER)
        self.files["leader"].write_text(LEADER)
        self.data = random_walk(folder / "bars.csv", BARS)
        named = [part for file in self.files.values() for part in ("--strategy", file)]
        self.options = ("--data", self.data, "--session", "all", "--speed", "max", *named)

    def side_by_side(self, out: Path) -> list[dict[str, Any]]:
        """The orders of a backtest with both in one host; ids are those of a host, so they are left out."""
        makers = [runner_factory(StrategySpec(name, str(file))) for name, file in self.files.items()]
        run = Backtest("both", makers, rules(LimitValues()), Decimal(100_000), MarketModel())
        run.run(FileSource([str(self.data)], FileOptions(session="all", symbols=("SPY",))).batch(10_000).events)
        out.write_bytes(run.record.jsonl())
        return orders_of(out, ids=False)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def wanted(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The orders of a run nobody disturbs."""
    box = Box(tmp_path_factory.mktemp("undisturbed"))
    try:
        done = box.finish(*pair.options)
        assert done.code == 0, done
        return box.orders.read_bytes()
    finally:
        box.close()


def test_a_follower_in_a_host_of_its_own_decides_as_it_does_beside_the_one_it_follows(
    pair: Pair, wanted: bytes, tmp_path: Path
) -> None:
    written = tmp_path / "orders.jsonl"
    written.write_bytes(wanted)
    rows = orders_of(written)
    assert sum(row["id"].startswith("follower-") for row in rows) > 50
    assert orders_of(written, ids=False) == pair.side_by_side(tmp_path / "backtest.jsonl")


@pytest.mark.parametrize("victim", ["host@follower", "host@leader"])
def test_through_kills_of_either_host_the_orders_are_the_same_to_the_byte(
    box: Box, pair: Pair, wanted: bytes, victim: str
) -> None:
    box.up(*pair.options, "--until-done", "--orders-out", box.orders).ready()
    for size in (100_000, 200_000):
        _kill(box, victim, size)
    done = box.end()
    assert done.code == 0, done
    assert box.orders.read_bytes() == wanted
    replayed = box.ask("replay", victim)
    assert replayed.code == 0, replayed


def _kill(box: Box, victim: str, size: int) -> None:
    """Once the feed has journalled so many bytes; the supervisor starts it again."""
    feed = box.state / "journal" / "feed.db-wal"
    until(lambda: feed.stat().st_size > size, 20, "it is well on its way")
    old = box.hit(victim)
    until(lambda: box.pid(victim) != old, 10, "a new process")


def test_who_follows_a_strategy_that_does_not_run_is_refused_with_the_nearest_name(
    box: Box, pair: Pair, tmp_path: Path
) -> None:
    wrong = tmp_path / "astray.py"
    wrong.write_text(FOLLOWER.replace('"leader"', '"leeder"'))
    files = ("--strategy", wrong, "--strategy", pair.files["leader"])
    done: Done = box.finish("--data", pair.data, "--session", "all", *files, "--speed", "max")
    assert done.code == 4
    assert "astray follows 'leeder', which does not run here; did you mean 'leader'?; there is leader" in done.err


def test_who_follows_itself_is_refused(box: Box, pair: Pair, tmp_path: Path) -> None:
    wrong = tmp_path / "leader.py"
    wrong.write_text(FOLLOWER)
    done = box.finish("--data", pair.data, "--session", "all", "--strategy", wrong, "--speed", "max")
    assert done.code == 4
    assert "leader follows 'leader'" in done.err
