"""So many episodes of one kind of fault, on one box."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from appliance.runs import RunSpec
from appliance.shell.paths import StatePaths
from tests.ambiguity.box import DrillBox
from tests.ambiguity.episode import Episode, Outcome, Plan, summary
from tests.ambiguity.venues import CASH, VENUES


def drill(
    venue_name: str, fault: str, episodes: int, plan: Plan, seed: int, keep: Path | None = None
) -> dict[str, Any]:
    """So many episodes of one kind, on one box; a row of the table. ``keep`` is where its state stays."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        outcomes = episodes_of(venue_name, (fault,) * episodes, plan, seed, keep or Path(folder))
    seconds = round(time.monotonic() - began, 1)
    return {"venue": venue_name, "fault": fault, **summary(outcomes), "seconds": seconds}


def episodes_of(venue_name: str, faults: Sequence[str], plan: Plan, seed: int, folder: Path) -> list[Outcome]:
    """An episode of each of these faults, one after the other, on one box in ``folder``."""
    paths = StatePaths(folder)
    paths.prepare()
    with VENUES[venue_name]() as venue:
        random = Random(f"{venue_name} {faults[0]} {seed}")
        spec = RunSpec("drill", (), Decimal(CASH), symbols={"SPY": 50.0}, broker=venue.spec(paths))
        box = DrillBox(paths, spec)
        try:
            box.start()
            assert box.until(box.ready, 30), f"the box is not ready: {box.supervisor.failed}"
            return [Episode(box, venue, fault, plan, random).run() for fault in faults]
        finally:
            box.stop()
