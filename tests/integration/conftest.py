"""Real processes over a real Mosquitto: every test here gets boxes that are gone when it ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.running import STRATEGIES, Box, appliance, random_walk

LIVE = {"APPLIANCE_MARKET__TIMEFRAME": "1s"}
"""Settings of a simulated market that is quick enough for a test."""
SEARCHED = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
STEADY = '''
from appliance.strategy import Strategy, param


class Steady(Strategy):
    """Always wants a hundred shares, with a protective stop far away."""

    symbol: str = param("ALFA")

    def on_start(self):
        self.average = self.sma(self.symbol, 2)

    def on_bar(self, bar):
        if not self.position(bar.symbol):
            self.target(bar.symbol, quantity=100, reason="steady", stop_loss=round(bar.close / 2, 2))
'''
FLIP = '''
from appliance.strategy import Strategy, param


class Flip(Strategy):
    """In and out with every bar."""

    symbol: str = param("ALFA")

    def on_start(self):
        self.average = self.sma(self.symbol, 2)

    def on_bar(self, bar):
        self.target(bar.symbol, quantity=0 if self.position(bar.symbol) else 100, reason="flip")
'''


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is an integration test."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session", autouse=True)
def _mosquitto() -> None:
    if shutil.which("mosquitto", path=SEARCHED) is None:
        pytest.skip("mosquitto is not installed: sudo apt install mosquitto")


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Box]]:
    """``boxes(name, env=None)``: a new box, cleaned up with the module."""
    made: list[Box] = []

    def make(name: str, env: dict[str, str] | None = None) -> Box:
        made.append(Box(tmp_path_factory.mktemp(name), env))
        return made[-1]

    yield make
    for box in made:
        box.close()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A box for recorded data."""
    made = Box(tmp_path / "box")
    yield made
    made.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Box]:
    """A box whose simulated market has bars of one second."""
    made = Box(tmp_path / "live", LIVE)
    yield made
    made.close()


@pytest.fixture(scope="session")
def strategies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with strategies that trade at once: ``steady.py`` and ``flip.py``."""
    folder = tmp_path_factory.mktemp("strategies")
    (folder / "steady.py").write_text(STEADY)
    (folder / "flip.py").write_text(FLIP)
    return folder


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options for 300 generated bars."""
    path = random_walk(tmp_path_factory.mktemp("walk") / "bars.csv", 300)
    return "--data", str(path), "--session", "all"


@pytest.fixture(scope="session")
def expected(walk: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The orders of the backtest of `sma_cross` on the generated bars."""
    path = tmp_path_factory.mktemp("expected") / "orders.jsonl"
    done = appliance("backtest", STRATEGIES / "sma_cross.py", *walk, "--orders-out", path)
    assert done.code == 0, done
    assert path.read_bytes().count(b"\n") > 5
    return path.read_bytes()
