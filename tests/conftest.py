"""What all tests share: the hypothesis profile and the way to the recorded market data."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1_000)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in a shell's background: our children would not end
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded market data (``market/*.csv.gz``); skips where it is absent."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("APPLIANCE_REAL_DATA", beside)) / "market"
    if not folder.is_dir():
        pytest.skip("the recorded market data is not here: set APPLIANCE_REAL_DATA to its folder")
    return folder
