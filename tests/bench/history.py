"""How long a cold request of bars takes over a slow line, page by page, and what the source itself takes of it."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.data.calendars import always_open
from appliance.data.sources.alpaca import AlpacaOptions, history
from appliance.domain.market import MINUTE
from tests.standins.alpaca import AlpacaStandIn, Market, minutes
from tests.standins.alpaca.server import KEY, SECRET

START = 1_700_000_040_000_000_000
GOAL = 2.0
"""Seconds for 10,000 bars in at least four pages with 200 ms before each reply."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Ask once over a slow line, and once without it."""
    market = Market()
    market.add("bars", "SPY", minutes(START, options.bars))
    with AlpacaStandIn(market, page_max=-(-options.bars // options.pages)) as server:
        slow, pages, first = _asked(server, options.bars, options.latency / 1000)
        fast, _, _ = _asked(server, options.bars, 0.0)
    return {
        "bars": options.bars, "pages": pages, "latency_ms": options.latency, "cold_s": slow, "first_page_s": first,
        "without_latency_s": fast, "goal_s": GOAL, "reached": slow < GOAL,
    }  # fmt: skip


def _asked(server: AlpacaStandIn, bars: int, latency: float) -> tuple[float, int, float]:
    """Seconds to the last page, pages, seconds to the first one; by a source that was not connected before."""
    server.faults.latency = latency
    source = history(AlpacaOptions(key=KEY, secret=SECRET, rest_url=server.rest_url), always_open())
    began = time.perf_counter()
    at = [(time.perf_counter(), len(page)) for page in source.bars(["SPY"], "1m", START, START + bars * MINUTE)]
    source.close()
    if sum(count for _, count in at) != bars:
        raise AssertionError(f"{sum(count for _, count in at)} bars came, not {bars}")
    return round(at[-1][0] - began, 4), len(at), round(at[0][0] - began, 4)
