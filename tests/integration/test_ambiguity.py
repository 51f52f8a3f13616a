from __future__ import annotations

from pathlib import Path

import pytest

from tests.ambiguity.drill import episodes_of
from tests.ambiguity.episode import Plan

SHORT = Plan(orders=25, seconds=1.5, kill=1.0)
FAULTS = {
    "alpaca": ("504 after accept", "cut at any byte", "partial then cancel"),
    "ibkr": ("accepted, not answered", "socket reset", "lost execDetails"),
}


@pytest.mark.integration
@pytest.mark.parametrize("venue", FAULTS)
def test_no_order_is_sent_twice_and_no_fill_is_lost_whatever_a_broker_answers(venue: str, tmp_path: Path) -> None:
    outcomes = episodes_of(venue, FAULTS[venue], SHORT, 1, tmp_path)
    assert [one.wrong for one in outcomes] == [[], [], []]
    assert sum(one.accepted for one in outcomes) > 20
    assert sum(one.executions for one in outcomes) > 10
    assert sum(one.kills for one in outcomes) == 3
