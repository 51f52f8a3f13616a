"""Bugs planted into shipped files, each of which the simulation must find: a simulation that cannot is not done.

`python -m tests.world.planted` plants them one by one and prints the seed that found each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 300


class Bug(NamedTuple):
    """Replace ``old`` (which must be there exactly once) by ``new`` in one shipped file."""

    name: str
    file: str
    old: str
    new: str


BUGS = (
    Bug(
        "send before journal",
        "core/turn.py",
        """        if cursors or inputs or dead or commit.rows or commit.outputs:
            self._store.commit(commit)
        for event, payload in sorted(encoded, key=_urgency):
            self._publish(event, payload)
""",
        """        for event, payload in sorted(encoded, key=_urgency):
            self._publish(event, payload)
        if cursors or inputs or dead or commit.rows or commit.outputs:
            self._store.commit(commit)
""",
    ),
    Bug(
        "new id on retry",
        "core/reconcile.py",
        "again = gateway.ledger.move(order, OrderEvent.SEND, attempt=order.attempt + 1)",
        "from msgspec.structs import replace\n"
        "            other = replace(order, id=order.id + 'r')\n"
        "            again = gateway.ledger.open(other, OrderEvent.SEND, attempt=order.attempt + 1)",
    ),
    Bug(
        "time-out taken as reject",
        "core/gateway.py",
        "moved = self.ledger.move(order, OrderEvent.LOSE)",
        "moved = self.ledger.move(order, OrderEvent.REJECT)",
    ),
    Bug(
        "cursor saved apart from state",
        "core/turn.py",
        """        outputs: list[Event] = []
        inputs: list[Input] = []
        now = self._clock.now(None)
""",
        """        outputs: list[Event] = []
        inputs: list[Input] = []
        now = self._clock.now(None)
        self._store.commit(Commit(cursors={event.stream: event.spot for event in batch if event.stream}))
""",
    ),
    Bug(
        "fill not deduplicated",
        "core/gateway.py",
        "if told.fill_key in self.ledger.fills or self.corrections.known(told):",
        "if self.corrections.known(told):",
    ),
    Bug(
        "latch not durable",
        "domain/topics.py",
        "sync=(_T.ORDER, _T.FILL, _T.ACTIVITY, _T.LATCH)",
        "sync=(_T.ORDER, _T.FILL, _T.ACTIVITY)",
    ),
    Bug(
        "epoch not raised after a power cut",
        "core/turn.py",
        """            if self._boot or self._dated:
                self._raise_epoch(0)
""",
        "",
    ),
    Bug(
        "decision before the gateway's stream is consumed",
        "core/turn.py",
        "        if not self.gate_open and self.intake.gate_reached():\n",
        "        if not self.gate_open:\n",
    ),
    Bug(
        "expired intent sent",
        "core/gateway.py",
        '    """Whether an intent, or its approval, is from another boot or past its validity."""\n',
        '    """Whether an intent, or its approval, is from another boot or past its validity."""\n    return False\n',
    ),
    Bug(
        "re-send on a venue that takes duplicate ids",
        "core/reconcile.py",
        "if gateway.traits.refuses_duplicates and self._may_resend(order, now):",
        "if self._may_resend(order, now):",
    ),
    Bug(
        "hold-back of gaps removed",
        "core/streams.py",
        "        event = self.held.pop(Spot(self.cursor.epoch, self.cursor.seq + 1), None)\n",
        "        event = self.held.pop(min(self.held))\n",
    ),
    Bug(
        "stop doubled with the resting one",
        "core/plans.py",
        "        if not before:\n            self._go(order, now, cause, new=True)\n            return\n",
        "        self._go(order, now, cause, new=True)\n        return\n",
    ),
    Bug(
        "fills of a snapshot ignored",
        "core/comparing.py",
        "all_told: list[VenueFill | VenueActivity] = [*told.fills, *told.activities]",
        "all_told: list[VenueFill | VenueActivity] = [*told.activities]",
    ),
    Bug(
        "halt does not stop a waiting exit",
        "core/plans.py",
        "halted = not new and self._gateway.stop.state is LatchState.HALTED",
        "halted = False and self._gateway.stop.state is LatchState.HALTED",
    ),
    Bug(
        "end believed before its fills",
        "core/gateway.py",
        "        if filled > order.filled:\n",
        "        if filled > order.quantity:\n",
    ),
    Bug(
        "lost last message never asked for",
        "core/streams.py",
        "        if self.head.last > self.cursor and not self.held:\n            return True\n",
        "",
    ),
    Bug(
        "what one of a group fills the other keeps",
        "core/market/simulator.py",
        "            self._lessen(order, quantity, now)\n",
        "            pass\n",
    ),
    Bug(
        "take-profit counted beside its stop",
        "core/ledger.py",
        "            group = order.oco or order.id\n",
        "            group = order.id\n",
    ),
    Bug(
        "exit does not wait for the take-profit",
        "core/plans.py",
        "        return [*self._ledger.protective(order.intent.strategy, order.symbol), *resting]\n",
        "        stops = self._ledger.protective(order.intent.strategy, order.symbol)\n"
        "        return [*(stop for stop in stops if stop.type is not OrderType.LIMIT), *resting]\n",
    ),
    Bug(
        "take-profit placed outside its group",
        "core/protecting.py",
        "            profit_order = replace(order, id=profit_id, type=OrderType.LIMIT",
        "            profit_order = replace(order, oco='', id=profit_id, type=OrderType.LIMIT",
    ),
    Bug(
        "trailing stop loosened",
        "core/market/matching.py",
        "    return min(stop, new) if side is Side.BUY else max(stop, new)\n",
        "    return new\n",
    ),
    Bug(
        "cancel of a strategy asked for once",
        "core/gateway.py",
        "        self.plans.forgo(order)\n        self.reconciler.unwant(order, now)\n",
        "        self.cancel(order, now)\n",
    ),
    Bug(
        "stop that was never there not placed anew",
        "core/plans.py",
        "            if self._lost(order):\n",
        "            if False:\n",
    ),
    Bug(
        "resting exit ends and the stop stays away",
        "core/plans.py",
        "        elif order.intent.exit:\n            self._protect_rest(order, now)\n            self._release",
        "        elif order.intent.exit:\n            self._release",
    ),
    Bug(
        "one look of two instants believed",
        "core/differences.py",
        "        return still >= self._looks or n >= MOVING * self._looks\n",
        "        return True\n",
    ),
    Bug(
        "look older than what we know compared",
        "core/reconcile.py",
        "        self._stale = any(key not in seen for key in self._unseen)",
        "        self._stale = False",
    ),
    Bug(
        "stranger's fill booked as often as it is told",
        "core/strangers.py",
        "        if told.fill_key in self.fills:\n",
        "        if told.fill_key in ():\n",
    ),
)

_HUNT = """
import sys
from appliance.world.simulation import simulate
for seed in range({first}, {first} + {seeds}):
    try:
        found = simulate(seed).violations
    except Exception as error:
        found = [repr(error)]
    if found:
        print(seed, found[0])
        break
"""


def plant(bug: Bug, into: Path) -> None:
    """Copy the package and change the one place. Raises ValueError when that place has changed meanwhile."""
    shutil.copytree(ROOT / "appliance", into / "appliance", ignore=shutil.ignore_patterns("__pycache__"))
    file = into / "appliance" / bug.file
    text = file.read_text()
    if text.count(bug.old) != 1:
        raise ValueError(
            f"{bug.name}: {bug.file} has the text {text.count(bug.old)} times; adapt tests/world/planted.py"
        )
    file.write_text(text.replace(bug.old, bug.new))


def hunt(bug: Bug, seeds: int = SEEDS, first: int = 0) -> str:
    """Simulate with the bug planted: "SEED VIOLATION" of the first world that shows it, or "" when none does."""
    with tempfile.TemporaryDirectory() as name:
        plant(bug, Path(name))
        code = _HUNT.format(first=first, seeds=seeds)
        env = {**os.environ, "PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", code], env=env, cwd=name, capture_output=True, text=True)
        if done.returncode:
            return f"- {done.stderr.strip().splitlines()[-1]}"
        return done.stdout.strip()


def main() -> int:
    """Plant all bugs; exit 1 when one was not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", default="", help="bugs whose name contains this")
    args = parser.parse_args()
    missed = 0
    for bug in BUGS:
        if args.only in bug.name:
            start = time.perf_counter()
            found = hunt(bug, args.seeds)
            missed += not found or found.startswith("-")  # a child that could not run has found nothing
            print(f"{bug.name:50} {time.perf_counter() - start:6.1f} s  {found or 'NOT FOUND'}"[:200], flush=True)
    print(json.dumps({"planted": len(BUGS), "missed": missed, "seeds": args.seeds}))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
