"""Sweeps as an owner runs them, in processes of their own that can be killed; and a Dask cluster over TCP."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.data.real import real
from tests.integration.running import APPLIANCE, STRATEGIES, environment, until

SYMBOLS = ("SPY", "AAPL", "IBM", "AIG", "BAC")
FILES = ("results.csv", "sweep.json", "report.html")
Row = tuple[int, int, str, str, float]
"""Of the store: number, session, parameters, figures, seconds."""


class Sweep(NamedTuple):
    """A sweep of the momentum rotation over ten years of five symbols: ``lookbacks`` times ``parts`` combinations."""

    lookbacks: int
    parts: int

    @property
    def combinations(self) -> int:
        return self.lookbacks * self.parts

    def command(self, out: Path, *more: object) -> list[str]:
        return [
            *APPLIANCE, "sweep", str(STRATEGIES / "momentum_rotation.py"), "--data", real("equity_daily"),
            "--param", f"symbols={','.join(SYMBOLS)}", "--start", "2010-01-01", "--end", "2019-12-31",
            "--grid", f"lookback=1:{self.lookbacks}:1", "--grid", f"invested={0.95 - 0.05 * self.parts:.2f}:0.9:0.05",
            "--out", str(out), "--json", *map(str, more),
        ]  # fmt: skip

    def started(self, out: Path, *more: object) -> subprocess.Popen[bytes]:
        """The command, as the leader of a group of processes."""
        return subprocess.Popen(
            self.command(out, *more), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def done(self, out: Path, *more: object, seconds: float = 1_800.0) -> dict[str, bytes]:
        """The command to its end; what it left."""
        ended = subprocess.run(
            self.command(out, *more), env=environment(), capture_output=True, text=True, timeout=seconds, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return {name: (out / name).read_bytes() for name in FILES}

    def killed(self, out: Path, after: int, *more: object, seconds: float = 900.0) -> tuple[Row, ...]:
        """The command, killed with all its processes when ``after`` outcomes are kept; what is kept then."""
        process = self.started(out, *more)
        try:
            until(lambda: process.poll() is not None or len(kept(out)) >= after, seconds, f"{after} outcomes")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
        return kept(out)


def kept(out: Path) -> tuple[Row, ...]:
    """The rows of a sweep's store, in the order of the combinations; none while there is no store."""
    path = out / "outcomes.db"
    if not path.exists():
        return ()
    connection = sqlite3.connect(path)
    try:
        query = "SELECT number, session, params, figures, seconds FROM outcome ORDER BY number"
        return tuple(connection.execute(query).fetchall())
    except sqlite3.OperationalError:  # it is being made
        return ()
    finally:
        connection.close()


class Dask:
    """A scheduler and two workers, each a process. ``workers`` are theirs."""

    def __init__(self, address: str, workers: list[subprocess.Popen[bytes]]) -> None:
        self.address, self.workers = address, workers


@contextmanager
def dask_cluster(folder: Path, threads: int = 1) -> Iterator[Dask]:
    """A cluster at a free port; its workers know nothing of our files."""
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "scheduler.json"
    with ExitStack() as stack:
        stack.enter_context(
            _process(folder, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                     "--scheduler-file", str(told))
        )  # fmt: skip
        address = until(lambda: _address(told), 60, "the scheduler's address")
        workers = [
            stack.enter_context(
                _process(folder, "worker", address, "--nthreads", str(threads), "--no-nanny", "--no-dashboard",
                         "--name", name)
            )
            for name in ("one", "two")
        ]  # fmt: skip
        until(lambda: _workers(address) == 2, 60, "two workers")
        yield Dask(address, workers)


@contextmanager
def _process(folder: Path, what: str, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{what}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", *args], cwd=folder, env=environment(), stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _address(told: Path) -> str:
    try:
        found: dict[str, Any] = msgspec.json.decode(told.read_bytes())
    except (OSError, msgspec.DecodeError):
        return ""
    return str(found["address"])


def _workers(address: str) -> int:
    from distributed import Client

    with Client(address, timeout=10, set_as_default=False) as client:
        return len(client.scheduler_info(n_workers=-1)["workers"])
