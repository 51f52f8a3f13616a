"""The command line as an owner meets it: arguments in, exit code, standard output and standard error out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from appliance.cli import app

ROOT = Path(__file__).parents[2]
SMA = str(ROOT / "strategies" / "sma_cross.py")
MINUTE = 60_000_000_000
START = 1_380_893_400_000_000_000
"""2013-10-04, 9:30 in New York, ns UTC: a Friday."""


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON object and nothing else."""
        return json.loads(self.out)


class Appliance(Protocol):
    def __call__(self, *args: object) -> Said: ...


@pytest.fixture
def appliance(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Appliance]:
    """``appliance("backtest", …)``: the command line, in this process."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*args: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main([str(one) for one in args])
        out, err = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Said(code or 0, out, err)

    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield run
    root.handlers[:], root.level = before


def prices(count: int, symbol: str = "SPY", start: int = START) -> list[str]:
    """Rows of one-minute bars whose price swings, so that averages cross again and again."""
    rows = []
    for at in range(count):
        price = 100 + (at % 24 if at % 24 < 12 else 24 - at % 24) + at % 5 / 10
        rows.append(f"{start + at * MINUTE},{symbol},{price},{price + 1},{price - 1},{price + 0.5},1000")
    return rows


def bars(path: Path, *rows: str, header: str = "ts,symbol,open,high,low,close,volume") -> Path:
    """A file of bars."""
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two hours of SPY."""
    return bars(tmp_path / "bars.csv", *prices(120))


def strategy(path: Path, body: str, start: str = "pass") -> Path:
    """A strategy on SPY whose ``on_bar`` is one line."""
    path.write_text(
        "from appliance.strategy import Strategy, param\n\n\n"
        "class Mine(Strategy):\n"
        '    symbol: str = param("SPY")\n\n'
        f"    def on_start(self):\n        {start}\n\n"
        f"    def on_bar(self, bar):\n        {body}\n"
    )
    return path
