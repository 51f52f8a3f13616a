"""Real boxes for tests: start `appliance up` in a folder of its own, look at it, hit it, and always clean it up."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = ROOT / "strategies"
APPLIANCE = (sys.executable, "-m", "appliance")
MINUTE = 60_000_000_000
MONDAY = 1_700_487_000_000_000_000
"""2023-11-20, 08:30 in New York (ns UTC)."""
T = TypeVar("T")


def until(found: Callable[[], T], seconds: float = 15.0, why: str = "") -> T:
    """What ``found`` returns as soon as it is true; fails when ``seconds`` pass first. Our only sleep."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {why or getattr(found, '__name__', 'it')}"
        time.sleep(0.02)
    return value


class Done(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of standard output, as JSON."""
        return json.loads(self.out.strip().splitlines()[-1])


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what an owner has set for his own box."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("APPLIANCE_")}
    return own | {"PYTHONPATH": str(ROOT)} | dict(extra or {})


def appliance(*args: object, env: Mapping[str, str] | None = None, seconds: float = 60.0) -> Done:
    """Run one command of the tool to its end."""
    ended = subprocess.run(
        [*APPLIANCE, *map(str, args)],
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Done(ended.returncode, ended.stdout, ended.stderr)


class Box:
    """A state directory, and the `appliance up` that may run on it."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        self.orders = folder / "orders.jsonl"
        self.process: subprocess.Popen[bytes] | None = None
        self._env = dict(env or {})
        self._seen: dict[int, psutil.Process] = {}

    # --- its life -------------------------------------------------------------------------------------------------

    def up(
        self,
        *args: object,
        wrapper: Sequence[str] = (),
        program: Sequence[str] = APPLIANCE,
        env: Mapping[str, str] | None = None,
    ) -> Box:
        """Start `appliance up --state … --json`; what it prints goes to files."""
        assert self.process is None, "it is up already"
        command = [*wrapper, *program, "up", "--state", str(self.state), "--json", "--no-check", *map(str, args)]
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                command, env=environment(self._env | dict(env or {})), stdout=out, stderr=err
            )
        return self

    def ready(self, seconds: float = 20.0) -> Box:
        """Wait until every process is up by the supervisor's word."""
        until(lambda: self.ended() or self._all_ready(), seconds, "every process ready")
        assert not self.ended(), self.end()
        return self

    def _all_ready(self) -> bool:
        rows = self.rows()
        return len(rows) > 1 and all(row["state"] == "ready" for row in rows.values())

    def ended(self) -> bool:
        """Whether `up` has ended by itself."""
        return self.process is not None and self.process.poll() is not None

    def end(self, seconds: float = 60.0) -> Done:
        """Wait for the end of `up`."""
        assert self.process is not None
        code = self.process.wait(seconds)
        self.process = None
        return Done(code, *((self.folder / name).read_text(errors="replace") for name in ("out", "err")))

    def interrupt(self, seconds: float = 10.0) -> Done:
        """Ctrl-C."""
        assert self.process is not None
        self.note_processes()
        self.process.send_signal(signal.SIGINT)
        return self.end(seconds)

    def finish(self, *args: object, seconds: float = 60.0) -> Done:
        """`up` until its data is done."""
        return self.up(*args, "--until-done", "--orders-out", self.orders).end(seconds)

    def close(self) -> None:
        """Leave nothing behind; the children die with the supervisor."""
        self.note_processes()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        for process in self.left():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        volatile = self.state / "run" / "volatile"
        if volatile.is_symlink():
            shutil.rmtree(os.readlink(volatile), ignore_errors=True)

    # --- its processes --------------------------------------------------------------------------------------------

    def rows(self) -> dict[str, dict[str, Any]]:
        """The supervisor's own file: the rows of `status`, but quicker."""
        try:
            kept = json.loads((self.state / "run" / "processes.json").read_bytes())
        except (OSError, ValueError):
            return {}
        if self.process is None or kept["supervisor"] != self.process.pid:
            return {}  # of an earlier life
        return {row["name"]: row for row in kept["processes"]}

    def pid(self, name: str) -> int:
        """The process id of a part of the box, once it has one."""
        pid: int = until(lambda: self.rows().get(name, {}).get("pid"), why=f"{name} has a pid")
        return pid

    def hit(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal; the pid it went to."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def note_processes(self) -> None:
        """Remember who is there, to be able to tell later who stayed."""
        if self.process is not None and self.process.poll() is None:
            mine = psutil.Process(self.process.pid)
            self._seen |= {child.pid: child for child in mine.children(recursive=True)}

    def left(self) -> list[psutil.Process]:
        """Which of the remembered processes are still there."""
        return [process for process in self._seen.values() if process.is_running() and not _is_dead(process)]

    # --- what the owner does --------------------------------------------------------------------------------------

    def ask(self, command: str, *args: object, seconds: float = 30.0) -> Done:
        """Another command of the tool on this box."""
        return appliance(command, *args, "--state", self.state, env=self._env, seconds=seconds)

    def journals(self) -> dict[str, bytes]:
        """Digests of what is kept, by file."""
        kept = sorted((self.state / "journal").iterdir())
        return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in kept}

    def status(self) -> dict[str, Any]:
        """`appliance status --json`."""
        done = self.ask("status", "--json")
        assert done.code == 0, done
        told: dict[str, Any] = done.json
        return told

    def handled(self, process: str, stream: str, lines: int) -> list[int]:
        """Numbers of the messages of a stream among the last ``lines`` of a process's journal, in handled order."""
        done = self.ask("journal", "tail", process, "--lines", lines, "--json")
        rows = [json.loads(line) for line in done.out.splitlines()]
        places = [row["position"].split(":") for row in rows if row.get("kind") == "in" and row["position"]]
        return [int(place[-1]) for place in places if place[0] == stream]

    def alerts(self) -> dict[str, dict[str, Any]]:
        """What the monitor has told last of each alert, by code."""
        told = self.ask("journal", "tail", "monitor", "--lines", 20_000, "--json").out
        rows = [json.loads(line) for line in told.splitlines()]
        return {row["message"]["body"]["code"]: row["message"]["body"] for row in rows if row["kind"] == "out"}

    def latch(self) -> str:
        """The latch's state, "" while nobody tells it."""
        return ((self.status()["latch"]) or {}).get("state", "")


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


# --- data -----------------------------------------------------------------------------------------------------------


def random_walk(path: Path, bars: int, symbols: Iterable[str] = ("SPY",), seed: int = 1) -> Path:
    """Write one-minute bars stamped with their end, grouped by symbol, jumpy enough that strategies trade."""
    rows = ["ts,symbol,open,high,low,close,volume"]
    for symbol in symbols:
        chance = random.Random(f"{seed}/{symbol}")
        price = 100.0
        for n in range(1, bars + 1):
            first, price = price, round(max(5.0, price * (1 + chance.gauss(0, 0.003))), 2)
            high, low = round(max(first, price) + 0.02, 2), round(min(first, price) - 0.02, 2)
            rows.append(f"{MONDAY + n * MINUTE},{symbol},{first},{high},{low},{price},{chance.randint(1, 9) * 100}")
    path.write_text("\n".join(rows) + "\n")
    return path


def orders_of(path: Path, *, ids: bool = True) -> list[dict[str, Any]]:
    """The rows of an ``--orders-out`` file."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return rows if ids else [{key: value for key, value in row.items() if key != "id"} for row in rows]
