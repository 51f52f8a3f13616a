"""`kill -9` of any process of a box that trades recorded data, again and again: the same orders, byte for byte.

python -m tests.chaos [--kills 60] [--seed 1] [--state DIR] [--data FILE…] [--symbols A,B] [--strategy FILE…]
                      [--supervisor 2]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.running import ROOT, STRATEGIES, Box, Done, appliance, random_walk

SUPERVISOR = "appliance up"
AT_ONCE = (1, 1, 1, 1, 2, 3)
"""How many die at the same moment."""


class Chaos(NamedTuple):
    """``kills`` in all, ``supervisor`` of them of `appliance up` itself; ``pace`` is the seconds between."""

    data: tuple[str, ...]
    strategies: tuple[str, ...]
    kills: int = 60
    seed: int = 1
    supervisor: int = 2
    pace: float = 0.2

    @property
    def arguments(self) -> tuple[str, ...]:
        """For `up`; the strategies apart."""
        return (*self.data, *(part for file in self.strategies for part in ("--strategy", file)), "--speed", "max")


class Killer:
    """Runs a box to its end and kills at random moments on the way."""

    def __init__(self, box: Box, chaos: Chaos) -> None:
        self.by_process: Counter[str] = Counter()
        self._box = box
        self._chaos = chaos
        self._random = random.Random(chaos.seed)
        self._supervised = sorted(self._random.sample(range(chaos.kills), chaos.supervisor))
        self._restarts: dict[tuple[int, str], int] = {}

    @property
    def kills(self) -> int:
        """So far."""
        return self.by_process.total()

    @property
    def restarts(self) -> int:
        """By the supervisors, all of them together."""
        return sum(self._restarts.values())

    def run(self) -> Done:
        """The whole run; a killed supervisor is started again with the same options."""
        self._up()
        while not self._box.ended():
            self._pause()
            if self.kills < self._chaos.kills and not self._box.ended():
                self._strike()
        return self._box.end()

    def _up(self) -> None:
        self._box.up(*self._chaos.arguments, "--until-done", "--orders-out", self._box.orders)

    def _pause(self) -> None:
        time.sleep(self._random.uniform(0, 2 * self._chaos.pace))

    def _strike(self) -> None:
        """Look at the status, then kill: some processes, or the supervisor and all with it."""
        look = self._box.ask("status", "--json")
        assert self._box.process is not None
        if look.code or not self._box.rows():  # a new supervisor has not yet written who is there
            return
        rows = look.json["processes"]
        for row in rows:
            self._restarts[self._box.process.pid, row["name"]] = row["restarts"]
        victims = [row for row in rows if row["pid"]]
        if not victims:
            return
        if self._supervised and self.kills >= self._supervised[0]:
            self._supervised.pop(0)
            self._kill_supervisor()
            return
        count = min(self._random.choice(AT_ONCE), self._chaos.kills - self.kills, len(victims))
        for victim in self._random.sample(victims, count):
            self._kill(victim["name"], victim["pid"])

    def _kill(self, name: str, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # gone since the status was asked
            return
        self.by_process[name] += 1

    def _kill_supervisor(self) -> None:
        """All its children must die with it, and the next one goes on."""
        assert self._box.process is not None
        self._box.note_processes()
        self._box.process.kill()
        self._box.end()
        self.by_process[SUPERVISOR] += 1
        deadline = time.monotonic() + 2
        while left := self._box.left():
            assert time.monotonic() < deadline, f"outlived their supervisor: {left}"
            time.sleep(0.01)
        self._up()


def play(chaos: Chaos, folder: Path) -> dict[str, Any]:
    """One run and what came of it; ``error`` says why it is worth nothing."""
    box = Box(folder)
    expected = reference(chaos, folder / "expected")
    killer = Killer(box, chaos)
    began = time.monotonic()
    try:
        done = killer.run()
    finally:
        box.close()
    seconds = round(time.monotonic() - began, 1)
    told = {"kills": killer.kills, "by_process": dict(sorted(killer.by_process.items())), "seconds": seconds}
    if done.code != 0:
        return told | {"identical": False, "error": f"`up` ended with code {done.code}: {done.err[-2000:]}"}
    found = box.orders.read_bytes()
    keys = ("orders", "gaps_healed", "duplicates_dropped")
    told |= {"identical": found == expected} | {key: done.json[key] for key in keys} | {"restarts": killer.restarts}
    if killer.kills < chaos.kills:
        told["error"] = (
            f"the run ended after {killer.kills} of {chaos.kills} kills: give it more data or a lower --pace"
        )
    elif found != expected:
        told["error"] = f"compare {folder / 'expected'} with {box.orders}"
    return told


def reference(chaos: Chaos, path: Path) -> bytes:
    """The orders as they must be: the backtest's, or for several strategies those of a box nobody disturbs."""
    if len(chaos.strategies) == 1:
        done = appliance("backtest", *chaos.strategies, *chaos.data, "--orders-out", path)
    else:
        box = Box(path.with_name("undisturbed"))
        try:
            done = box.up(*chaos.arguments, "--until-done", "--orders-out", path).end(600)
        finally:
            box.close()
    if done.code != 0:
        sys.exit(f"no reference: {done.err}")
    return path.read_bytes()


def options(arguments: Sequence[str]) -> tuple[Chaos, Path | None]:
    """What the command line asks for. Without data of its own: the recorded week of SPY, else a random walk."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--supervisor", type=int, default=2, help="how many of the kills are of `appliance up` itself")
    parser.add_argument("--pace", type=float, default=0.2, help="seconds between two kills, on average")
    parser.add_argument("--state", type=Path, help="keep everything in this folder")
    parser.add_argument("--data", action="append", metavar="FILE")
    parser.add_argument("--bar-stamp", default="start")
    parser.add_argument("--symbols", default="SPY")
    parser.add_argument("--strategy", action="append", metavar="FILE")
    given = parser.parse_args(arguments)
    data = [part for file in given.data or [str(recorded())] for part in ("--data", file)]
    data += ["--bar-stamp", given.bar_stamp, "--symbols", given.symbols]
    strategies = tuple(given.strategy or [str(STRATEGIES / "sma_cross.py")])
    return Chaos(tuple(data), strategies, given.kills, given.seed, given.supervisor, given.pace), given.state


def recorded() -> Path:
    """The recorded minutes where they are, else as many simulated ones."""
    beside = Path(os.environ.get("APPLIANCE_REAL_DATA", ROOT.parent / "shared" / "data"))
    path = beside / "market" / "equity_1min_bars.csv.gz"
    return path if path.exists() else random_walk(Path(tempfile.mkdtemp()) / "bars.csv", 3_000)


def main() -> int:
    """Exit code 1 when the orders differ or the kills were too few."""
    chaos, folder = options(sys.argv[1:])
    if folder is not None:
        told = play(chaos, folder)
    else:
        with tempfile.TemporaryDirectory(prefix="chaos-") as name:
            told = play(chaos, Path(name))
    print(json.dumps(told))
    return 0 if told["identical"] and "error" not in told else 1


if __name__ == "__main__":
    sys.exit(main())
