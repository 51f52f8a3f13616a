"""`appliance status`: what its lines say."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from appliance.commands.status import _source_line, _venue_lines
from appliance.domain.messages import OpenOrder, VenueState
from appliance.domain.operations import SourceState
from appliance.domain.trading import OrderType, Side
from appliance.domain.venue import LinkState


@pytest.mark.parametrize(
    ("state", "tells", "why", "said"),
    [
        ("connecting", 0, "", "not heard yet"),
        ("connecting", 0, "answers with a web page", "again, after: answers with a web page"),
        ("live", 0, "", "in reserve"),
        ("live", 1, "", "tells 1 symbol"),
        ("live", 2, "", "tells 2 symbols"),
    ],
)
def test_a_source_is_told_with_what_it_does_and_why_not(state: str, tells: int, why: str, said: str) -> None:
    line = _source_line(to_builtins(SourceState("mine", state, tells, why=why)))
    assert line.split(maxsplit=2) == ["mine", state, said]


def _venue(told: dict[str, object]) -> list[str]:
    return [" ".join(line.split()) for line in _venue_lines({"venue": None, "foreign": [], **told})]


def test_a_broker_that_is_not_ready_is_told_with_why_and_for_how_long() -> None:
    since = time.time_ns() - 12_400_000_000
    waiting = VenueState(LinkState.WAITING_2FA, "", "log in to the gateway with your second factor", since)
    assert _venue({"venue": to_builtins(waiting)}) == [
        "broker waiting_2fa for 12 s: log in to the gateway with your second factor"
    ]
    assert _venue({"venue": to_builtins(VenueState(LinkState.READY, since=since))}) == ["broker ready"]
    assert _venue({"venue": to_builtins(VenueState(LinkState.DOWN, "VENUE_DOWN"))}) == ["broker down VENUE_DOWN"]
    assert _venue({}) == []


def test_orders_that_are_not_ours_are_shown() -> None:
    mine = OpenOrder("by-hand", "v1", "SPY", Side.BUY, Decimal(7), OrderType.LIMIT, limit_price=Decimal(50))
    told = {"foreign": [to_builtins(mine), to_builtins(replace(mine, order_id=""))]}
    assert _venue(told) == ["SPY not ours buy 7, order by-hand", "SPY not ours buy 7, order v1"]
