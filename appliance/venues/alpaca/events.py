"""What the stream of trade updates says, as ours. Pure but for the names it learns.

Nothing in it is certain: it is not numbered, and not said again. So a message that cannot be understood is a reason to
compare anew, never to guess, and never the end of the stream.
"""

from __future__ import annotations

from msgspec.structs import replace

from appliance.domain.orders import OrderEvent
from appliance.domain.trading import ZERO
from appliance.domain.venue import LinkState
from appliance.venues.alpaca.executions import Executions
from appliance.venues.alpaca.names import Named, Names, together
from appliance.venues.alpaca.orders import REPLACED, fill_heard, standing
from appliance.venues.alpaca.reading import Body, Odd, beginning, body, maybe_number, maybe_text, moment, number, text
from appliance.venues.base import Condition, Heard

UPDATES = "trade_updates"
_AGREED = ("authorization", "listening")
FILLS = ("fill", "partial_fill")
CORRECTIONS = {"trade_bust": "the execution was undone", "trade_correct": "the execution was corrected"}
STANDING = (
    "new", "accepted", "pending_new", "held", "stopped", "suspended", "calculated", "done_for_day", "pending_cancel",
    "pending_replace", "canceled", "expired", "rejected", "replaced", "restated",
)  # fmt: skip
"""Events that say no more than the order's own status."""
REPLACE_REJECTED = "order_replace_rejected"
REFUSED_CHANGES = {
    REPLACE_REJECTED: "the order stays as it was",
    "order_cancel_rejected": "the order was not cancelled",
}


def heard(message: object, names: Names, executions: Executions, at: int) -> tuple[Heard, ...]:
    """What a message of the stream says, in the order it is to be told; ``at`` is when it came (ns UTC)."""
    try:
        told = body(message)
        stream = text(told, "stream")
        if stream in _AGREED:
            return ()
        if stream != UPDATES:
            return (_look("UNKNOWN_STREAM", f"a message of stream {stream!r}, which was not asked for"),)
        return _update(body(told.get("data")), names, executions, at)
    except Odd as odd:
        return (_look("UNREADABLE", f"a message that cannot be understood ({odd}): {beginning(str(message))}"),)


def _update(data: Body, names: Names, executions: Executions, at: int) -> tuple[Heard, ...]:
    event, order = text(data, "event"), body(data.get("order"))
    if names.nameless(order):
        return (_look("REPLACED", f"order {order['id']} took the place of one that was not heard of"),)
    named = names.learn(order)
    told: list[Heard] = []
    if event in FILLS:
        fill = fill_heard(data, named, at)
        names.witness(text(order, "id"), number(order, "filled_qty") - fill.quantity)
        told.append(executions.heard(maybe_text(data, "execution_id"), fill))
    elif event in CORRECTIONS:
        told.extend(_correction(event, data, executions, at))
    elif event in REFUSED_CHANGES:
        said = maybe_text(data, "reason") or maybe_text(order, "reject_reason") or REFUSED_CHANGES[event]
        why = f"{event} of {named.order_id}: {said}"
        told.append(Condition(LinkState.READY, "REFUSED_THERE", why, lost=event == REPLACE_REJECTED))
    elif event not in STANDING:
        told.append(_look("UNKNOWN_EVENT", f"event {event!r} of order {named.order_id} is not one we know"))
    return (*told, *_stands(data, order, names, named, at))


def _stands(data: Body, order: Body, names: Names, named: Named, at: int) -> tuple[Heard, ...]:
    """How the order stands by its own status. One that took another's place does not say what the others filled, and
    that it was refused leaves ours at work: where we do not know, only a comparison can tell."""
    status = maybe_text(order, "status")
    if status == REPLACED:
        return (
            () if order.get("replaced_by") else (_look("REPLACED", f"{named.order_id} was replaced, not said by what"),)
        )
    found = standing(named.order_id, (order,), at, maybe_text(data, "reason"))
    report, before = found.report, names.filled_before(order)
    if before is None or (order.get("replaces") and report.event is OrderEvent.REJECT):
        return (
            ()
            if report.event is OrderEvent.ACCEPT
            else (_look("REPLACED", f"{named.order_id}, changed before, is {status}"),)
        )
    report = replace(report, filled=together(before, report.filled, names.anew(report.venue_id)))
    return (report, _look("UNKNOWN_STATUS", f"{named.order_id}: {found.odd}")) if found.odd else (report,)


def _correction(event: str, data: Body, executions: Executions, at: int) -> tuple[Heard, ...]:
    """The execution that is undone or corrected; where the message does not say which one, all is to be compared."""
    said = f"{event}: {CORRECTIONS[event]}"
    content = (ZERO, ZERO) if event == "trade_bust" else (number(data, "qty"), number(data, "price"))
    fill = executions.corrected(
        maybe_text(data, "previous_execution_id"), maybe_text(data, "execution_id"), content,
        maybe_number(body(data.get("order")), "filled_qty") or ZERO, moment(data, "timestamp"), at,
    )  # fmt: skip
    return (_look("CORRECTED", said),) if fill is None else (fill, _look("CORRECTED", said))


def _look(code: str, why: str) -> Condition:
    return Condition(LinkState.READY, code, why, lost=True)
