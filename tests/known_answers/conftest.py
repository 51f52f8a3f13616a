from __future__ import annotations

import pytest

from appliance.data.calendars import load_sessions
from appliance.domain.market import Sessions


@pytest.fixture(scope="session")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Sessions:
    """New York's sessions from 1998 to 2028."""
    return load_sessions(tmp_path_factory.mktemp("calendar") / "sessions.json", "2026-01-05")
