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
from tests.ambiguity.venues import CASH, VENUES, Venue


def drill(
    venue_name: str, fault: str, episodes: int, plan: Plan, seed: int, keep: Path | None = None
) -> dict[str, Any]:
    """So many episodes of one kind, on one box; a row of the table. ``keep`` is where its state stays."""
    began = time.monotonic()
    random = Random(f"{venue_name} {fault} {seed}")
    with VENUES[venue_name]() as venue, tempfile.TemporaryDirectory(prefix="drill-") as folder:
        outcomes = list(_episodes(venue, fault, episodes, plan, random, keep or Path(folder)))
    seconds = round(time.monotonic() - began, 1)
    return {"venue": venue_name, "fault": fault, **summary(outcomes), "seconds": seconds}


def _episodes(venue: Venue, fault: str, n: int, plan: Plan, random: Random, folder: Path) -> Sequence[Outcome]:
    paths = StatePaths(folder)
    paths.prepare()
    spec = RunSpec("drill", (), Decimal(CASH), symbols={"SPY": 50.0}, broker=venue.spec(paths))
    box = DrillBox(paths, spec)
    try:
        box.start()
        assert box.until(box.ready, 30), f"the box is not ready: {box.supervisor.failed}"
        return [Episode(box, venue, fault, plan, random).run() for _ in range(n)]
    finally:
        box.stop()
