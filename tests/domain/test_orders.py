"""The order life cycle: every row of the table, and that there is no other."""

from __future__ import annotations

import itertools

import pytest

from appliance.domain.orders import (
    TERMINAL,
    TRANSITIONS,
    WORKING,
    ImpossibleTransition,
    OrderEvent,
    OrderStatus,
    diagram,
    next_status,
)

ALL = list(itertools.product([None, *OrderStatus], OrderEvent))
MISSING = [pair for pair in ALL if pair not in TRANSITIONS]


@pytest.mark.parametrize(("status", "event"), sorted(TRANSITIONS, key=str))
def test_every_row_leads_where_it_says(status: OrderStatus | None, event: OrderEvent) -> None:
    assert next_status(status, event) is TRANSITIONS[status, event]


@pytest.mark.parametrize(("status", "event"), MISSING)
def test_every_missing_row_raises_and_names_event_state_and_what_is_allowed(
    status: OrderStatus | None, event: OrderEvent
) -> None:
    with pytest.raises(ImpossibleTransition) as raised:
        next_status(status, event)
    text = str(raised.value)
    assert repr(event.value) in text
    assert repr(status.value if status else "new") in text
    for at, allowed in TRANSITIONS:
        if at is status:
            assert allowed.value in text.partition("allowed:")[2]


def test_a_state_without_rows_allows_nothing() -> None:
    with pytest.raises(ImpossibleTransition, match="allowed: nothing"):
        next_status(OrderStatus.FILLED, OrderEvent.CANCEL)


def test_each_state_is_working_or_terminal_or_waits() -> None:
    assert {*TERMINAL, *WORKING, OrderStatus.WAITING} == set(OrderStatus)
    assert not set(TERMINAL) & set(WORKING)
    ended = ("DENIED", "FILLED", "CANCELED", "REJECTED", "EXPIRED", "NOT_PLACED")
    assert set(TERMINAL) == {OrderStatus[name] for name in ended}


@pytest.mark.parametrize("status", [OrderStatus.DENIED, OrderStatus.FILLED, OrderStatus.REJECTED])
def test_nothing_leads_out_of_a_final_state(status: OrderStatus) -> None:
    assert not [event for at, event in TRANSITIONS if at is status]


def test_only_fills_and_a_late_acceptance_lead_out_of_a_terminal_state() -> None:
    leading_out = {(at, event) for at, event in TRANSITIONS if at is not None and at.terminal}
    money = {OrderEvent.PARTIAL_FILL, OrderEvent.FILL}
    assert {event for _, event in leading_out} <= money | {OrderEvent.ACCEPT}
    assert {at for at, event in leading_out if event is OrderEvent.ACCEPT} == {OrderStatus.NOT_PLACED}


def test_a_fill_of_a_cancelled_order_is_allowed() -> None:
    assert next_status(OrderStatus.CANCELED, OrderEvent.FILL) is OrderStatus.FILLED


def test_no_answer_never_becomes_a_rejection() -> None:
    assert next_status(OrderStatus.SENDING, OrderEvent.LOSE) is OrderStatus.UNKNOWN
    assert (OrderStatus.SENDING, OrderEvent.ABSENT) not in TRANSITIONS


def test_every_state_is_reached_from_a_new_order() -> None:
    reached: set[OrderStatus | None] = {None}
    for _ in OrderStatus:
        reached |= {to for (at, _), to in TRANSITIONS.items() if at in reached}
    assert reached == {None, *OrderStatus}


def test_the_diagram_has_one_arrow_a_row() -> None:
    assert diagram().count("->") == len(TRANSITIONS)
    assert '"canceled" -> "filled" [label="fill"]' in diagram()
