"""How long a failover takes by the rules, in simulated time: two scripted sources of minute bars, one fails."""

from __future__ import annotations

import argparse
from typing import Any

from appliance.domain.market import SECOND
from tests.bench import box
from tests.data.live.stage import BARS_TOLD, FAULTS, Stage, ends


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Of each fault, in simulated seconds: silence before the switch, time away, how late the latest bar was."""
    return {fault: _figures(fault, options.bars) for fault in FAULTS}


def _figures(fault: str, bars: int) -> dict[str, Any]:
    stage = Stage(fault, 30, bars)
    published = ends(stage.run())
    away = next((one for one in stage.switches if one.old == "first"), None)
    back = next((one for one in stage.switches if one.back), None)
    found = {
        "complete": published == ends(list(BARS_TOLD)),
        "silent": away.detect / SECOND if away else None,
        "away": (back.time - away.time) / SECOND if away and back else None,
        "latest_bar": stage.latest / SECOND,
    }
    box.tell(f"{fault}: {found}")
    return found
