"""The messages of trading have the fields, at their places, that real gateways were recorded with."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.standins.ibkr.layouts import (
    Fill,
    Seen,
    commission,
    completed_order,
    execution,
    open_order,
    order_status,
    position,
)
from tests.standins.ibkr.tickets import Ticket

UNSET = "1.7976931348623157E308"
TICKET = Ticket(
    5, "265598", "AAPL", "STK", "BUY", Decimal(100), "MKT", None, None, "DAY", "", "intent-1", True, 0, False, "", 0,
    None, None,
)  # fmt: skip
SEEN = Seen(
    TICKET, 265598, "AAPL", 100, 600745656, "DU1234567", "Filled", Decimal(100), Decimal("202.54"), Decimal("202.54"),
    Decimal("1.0"), ended=1_678_134_510_000_000_000, reason="Filled Size: 100",
)  # fmt: skip
FILL = Fill(
    "0000e0d5.67fe667b.01.01", 1_744_745_911_000_000_000, "AAPL", 265598, "BOT", Decimal(100), Decimal("202.54"), 5,
    600745656, 100, "DU1234567", "intent-1", Decimal(100), Decimal("202.54"), Decimal("1.0"),
)  # fmt: skip
OPEN_ORDER = {
    0: "5", 1: "5", 2: "265598", 3: "AAPL", 4: "STK", 6: "0", 7: "?", 9: "SMART", 10: "USD", 11: "AAPL", 12: "NMS",
    13: "BUY", 14: "100", 15: "MKT", 16: "0.0", 17: "0.0", 18: "DAY", 19: "", 20: "DU1234567", 22: "0", 23: "intent-1",
    24: "100", 25: "600745656", 26: "0", 30: "600745656.0/DU1234567/100", 34: "", 40: "0", 42: "-1", 43: "0", 48: "",
    49: "2147483647", 53: "", 54: "3", 58: "0", 60: "", 61: "0", 62: "None", 64: "0", 68: "?", 72: "0", 78: "", 79: "0",
    82: "2147483647", 83: "2147483647", 85: "", 88: "IB", 90: "0", 91: "", 92: "0", 93: "0", 94: "Filled", 95: UNSET,
    103: UNSET, 104: "1.0", 107: "USD", 109: "0", 110: "0", 111: "0", 112: "None", 113: UNSET, 118: UNSET, 119: "0",
    122: "", 123: "0", 124: "1", 127: "0", 128: "", 129: "", 130: "0", 131: "", 132: "100", 133: "0.02", 135: "",
}  # fmt: skip
COMPLETED = {
    0: "101", 1: "265598", 6: "?", 11: "NMS", 12: "BUY", 13: "0", 14: "MKT", 19: "DU1234567", 22: "intent-1",
    23: "600745656", 38: "", 39: "-1", 45: "2147483647", 49: "3", 53: "None", 55: "0", 58: "", 66: "0",
    67: "2147483647", 69: "", 72: "IB", 74: "0", 77: "Filled", 80: "0", 81: UNSET, 82: UNSET, 84: "1", 86: "",
    87: "100", 88: "2147483647", 89: "0", 90: "Not an insider or substantial shareholder", 93: "9223372036854775807",
    94: "20230306 15:28:30 US/Eastern", 95: "Filled Size: 100", 97: "100",
}  # fmt: skip


def fields(message: list[object]) -> list[str]:
    return [("1" if one else "0") if isinstance(one, bool) else str(one) for one in message]


def test_open_order_has_what_was_recorded_where_it_was() -> None:
    sent = fields(open_order(SEEN, 176))
    assert {number: sent[number] for number in OPEN_ORDER} == OPEN_ORDER


@pytest.mark.parametrize(("version", "count"), [(164, 131), (170, 136), (176, 136), (177, 135), (178, 135)])
def test_open_order_has_as_many_fields_as_its_version(version: int, count: int) -> None:
    assert len(open_order(SEEN, version)) == count


def test_a_completed_order_has_what_was_recorded_where_it_was() -> None:
    sent = fields(completed_order(SEEN, 176))
    assert {number: sent[number] for number in COMPLETED} == COMPLETED
    assert (len(completed_order(SEEN, 164)), len(sent), len(completed_order(SEEN, 178))) == (96, 101, 100)


def test_an_execution_has_31_fields_and_one_more_from_178_on() -> None:
    sent = fields(execution(FILL, 176))
    assert (len(sent), len(execution(FILL, 178))) == (31, 32)
    assert sent[:3] == ["11", "-1", "5"]
    assert sent[14:20] == [
        "0000e0d5.67fe667b.01.01", "20250415 15:38:31 US/Eastern", "DU1234567", "ISLAND", "BOT", "100",
    ]  # fmt: skip
    assert sent[20:27] == ["202.54", "600745656", "100", "0", "100", "202.54", "intent-1"]


def test_the_other_messages_have_their_number_of_fields() -> None:
    held = position("DU1", "AAPL", 1, Decimal(10), Decimal("99.5"))
    assert (len(order_status(SEEN)), len(commission(FILL)), len(held)) == (12, 8, 16)
    assert fields(order_status(SEEN))[:6] == ["3", "5", "Filled", "100", "0", "202.54"]
    assert fields(commission(FILL)) == ["59", "1", FILL.exec_id, "1.0", "USD", UNSET, UNSET, ""]
