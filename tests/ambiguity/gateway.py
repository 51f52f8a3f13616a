"""The shipped gateway, allowed to ask as often as a drill needs: ``python -m tests.ambiguity.gateway STATE``.

Forty orders in a few seconds are more than a broker takes in practice; the stand-ins' limits are lifted as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec.structs import replace

from appliance import processes
from appliance.core.rate_limit import Rate
from appliance.runs import read_spec
from appliance.shell import logs
from appliance.shell.paths import StatePaths
from appliance.venues.rates import RATES

FAST = {"requests": Rate(200, 200, 20), "orders": Rate(40, 40)}


def main(state: str) -> int:
    """Run the gateway of the box in ``state``."""
    paths = StatePaths(Path(state))
    logs.setup("gateway", "info")
    for venue, rates in RATES.items():
        RATES[venue] = replace(rates, buckets={name: FAST.get(name, rate) for name, rate in rates.buckets.items()})
    return processes.engine_of("gateway", paths, read_spec(paths)).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
