"""What a strategy that loops for ever costs its neighbour: a tick in, an intent at the guard, without and with it.

Two boxes one after the other in one run, each with the healthy strategy in a host of its own; in the second a neighbour
takes all of a core for the whole measured time, its watchdog being longer than that.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.market import SECOND
from appliance.launch import Launch
from appliance.processes import RunSpec
from appliance.shell.paths import StatePaths
from appliance.shell.supervisor import Spec
from tests.bench import box, latency

NEIGHBOUR = "looping"
BEHAVES = 100
"""Quotes the neighbour lets pass; then it loops."""
ALWAYS = 4e9
"""A block of time (seconds) that is all ours: there is no bare paho here."""
HOUR = 3_600 * SECOND


class Paced(Launch):
    """A box whose feed is the bench's; ``rate`` is quotes a second. No watchdog barks."""

    def __init__(self, paths: StatePaths, spec: RunSpec, rate: float) -> None:
        super().__init__(paths, spec, lambda event: None, HOUR)
        self._rate = rate

    def _child(self, process: str) -> Spec:
        spec = super()._child(process)
        if process != "feed":
            return spec
        command = (sys.executable, "-m", "tests.bench.feed", str(self.paths.root), str(self._rate), str(ALWAYS))
        return msgspec.structs.replace(spec, argv=command)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of both boxes, µs, and how they compare."""
    alone, beside = (_measure(options, neighbour) for neighbour in (False, True))
    return {
        **_spread("alone", alone), **_spread("beside", beside), "n": len(beside), "alone_n": len(alone),
        "ratio_p50": round(box.quantile(beside, 0.5) / box.quantile(alone, 0.5), 2),
        "ratio_p99": round(box.quantile(beside, 0.99) / box.quantile(alone, 0.99), 2),
    }  # fmt: skip


def _measure(options: argparse.Namespace, neighbour: bool) -> list[int]:
    """From the making of the deciding quote to the guard, by its journal, ns; one for each decision."""
    warm_up = 2.0 + BEHAVES / (2 * options.rate)
    with box.state_directory() as paths:
        with box.running(Paced(paths, _spec(neighbour), 2 * options.rate)) as launch:
            who = "beside one that loops" if neighbour else "alone"
            box.tell(f"measuring {who} for {options.seconds:.0f} s: {options.rate:g} decisions a second")
            begin = time.time_ns() + round(warm_up * SECOND)
            box.watch(launch, warm_up + options.seconds)
        trail = latency.Trail(paths)
    heard = trail.at["guard"]
    return [heard[order] - made for order, made in trail.made.items() if made >= begin and order in heard]


def _spec(neighbour: bool) -> RunSpec:
    spec = latency._spec()
    file = Path(__file__).parent / "strategies" / f"{NEIGHBOUR}.py"
    beside = msgspec.structs.replace(spec.strategies[0], name=NEIGHBOUR, file=str(file))
    return msgspec.structs.replace(spec, strategies=(*spec.strategies, beside)) if neighbour else spec


def _spread(name: str, samples: list[int]) -> dict[str, float]:
    shares = (("50", 0.5), ("99", 0.99), ("999", 0.999))
    return {f"{name}_p{label}_us": round(box.quantile(samples, share) / 1_000, 1) for label, share in shares}
