from __future__ import annotations

import pytest

from appliance.data.calendars import compile_sessions
from appliance.domain.market import Sessions


@pytest.fixture(scope="session")
def new_york() -> Sessions:
    """New York's sessions of 2012 to 2014: half days, and both changes of the clocks in each year."""
    return Sessions(compile_sessions("2012-01-01", "2014-12-31"))
