"""Each fault of a preferred source: in real time on a box with ten strategies and two live sources; and by the rules.

The box is the shipped one: its own processes, Mosquitto, Alpaca's library against a stand-in, and a generic WebSocket
source against another. What the stand-ins' logs say was traded is compared with what the feed's journal says was told.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from appliance.domain.market import SECOND
from tests.bench import box
from tests.data.live.stage import BARS_TOLD, FAULTS, Stage, ends
from tests.integration.failing import Failing, failing
from tests.standins import exchange

ROW = "{:12} {:>10} {:>10} {:>10} {:>10}"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of both; seconds. Raises AssertionError when the box does not do what it has to."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, failing(Path(folder), options.tick) as made:
        faults = _suffered(made)
        worse = {"both away for 4 s": round(made.vanished(4.0), 3), "feed killed": round(made.killed(), 3)}
        made.settle()
        summary = made.box.interrupt(30).json
        figures = _whole(made, summary)
    return {
        "faults": faults,
        "latest_bar": worse,
        **figures,
        "simulated": {fault: _simulated(fault, options.bars) for fault in FAULTS},
    }


# --- a box in real time -----------------------------------------------------------------------------------------------


def _suffered(made: Failing) -> dict[str, dict[str, float | None]]:
    """One fault after the other, as a table."""
    box.tell(ROW.format("fault", "found", "over", "back", "latest bar"))
    found = {}
    for name, fault in exchange.FAULTS.items():
        measured = made.suffer(fault)
        box.tell(ROW.format(name, *map(_shown, measured)))
        found[name] = {what: None if value is None else round(value, 3) for what, value in measured._asdict().items()}
    return found


def _whole(made: Failing, summary: dict[str, Any]) -> dict[str, Any]:
    """Of all faults together."""
    heard = made.heard()
    figures = {
        "traded": len(made.exchange.traded),
        "published": len(made.feed("feed/bars")),
        "wrong": made.wrong(),
        "heard_by_the_ten": len(heard),
        "heard_in_order_and_once": heard == sorted(set(heard)),
        "fills": summary["fills"],
        "notices": {code: len(told) for code, told in made.notices().items()},
    }
    box.tell(f"{figures}")
    return figures


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"


# --- by the rules, in simulated time ----------------------------------------------------------------------------------


def _simulated(fault: str, bars: int) -> dict[str, Any]:
    """Two scripted sources of minute bars: silence before the switch, time away, how late the latest bar was."""
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
