"""Where the real recorded data lies; tests that need it skip where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("APPLIANCE_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
MARKET = ROOT / "market"
needs_real_data = pytest.mark.skipif(not MARKET.is_dir(), reason="the recorded market data is not here")


def real(name: str) -> str:
    """The path of a recorded file, ``equity_daily`` for instance."""
    return str(MARKET / f"{name}.csv.gz")
