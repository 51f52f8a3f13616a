"""placeOrder as a client sends it: 115 fields at 176, one fewer from 177 on; what this gateway knows of them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import NamedTuple

NO_PROFILE = 177
"""From this version on there is no faProfile."""


class Ticket(NamedTuple):
    """What a client asks for. Prices it did not set are None. ``strange`` names what this gateway does not do, such as
    conditions: it refuses rather than doing something else."""

    order_id: int
    con_id: str
    symbol: str
    kind: str
    action: str
    quantity: Decimal
    type: str
    limit: Decimal | None
    aux: Decimal | None
    tif: str
    oca_group: str
    reference: str
    transmit: bool
    parent: int
    outside_rth: bool
    good_till: str
    oca_type: int
    trail_stop: Decimal | None
    trail_percent: Decimal | None
    strange: str = ""


def read(fields: list[str], version: int) -> Ticket:
    """The ticket in a placeOrder. Raises ValueError with what is wrong, as one who cannot read it."""
    after = fields[:42] + ([""] if version >= NO_PROFILE else []) + fields[42:]
    neutral = 8 if after[65] else 0
    rest = after[67 + neutral :]
    if len(rest) < 24:
        raise ValueError(f"{len(fields)} fields")
    return Ticket(
        order_id=int(fields[1]), con_id=fields[2], symbol=fields[3], kind=fields[4], action=fields[16],
        quantity=_number(fields[17]) or Decimal(0), type=fields[18] or "LMT", limit=_number(fields[19]),
        aux=_number(fields[20]), tif=fields[21] or "DAY", oca_group=fields[22], reference=fields[26],
        transmit=fields[27] == "1", parent=int(fields[28] or 0), outside_rth=fields[33] == "1", good_till=after[38],
        oca_type=int(after[47] or 0), trail_stop=_number(rest[2]), trail_percent=_number(rest[3]),
        strange=_strange(rest),
    )  # fmt: skip


def _strange(rest: list[str]) -> str:
    known = {6: "scale orders", 10: "hedges", 15: "delta neutral", 16: "algorithms", 18: "what-if", 23: "conditions"}
    return ", ".join(name for number, name in known.items() if rest[number] not in ("", "0"))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text) if text else None
    except InvalidOperation:
        raise ValueError(f"no number: {text}") from None
    return None if number is None or abs(number) > 10**300 else number
