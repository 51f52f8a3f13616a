"""What Alpaca does to the account without an order, as its non-trade activities tell it. Pure.

A split and a change of symbol are two rows, what goes and what comes; one without the other is not told yet. A row
says by how many shares it changed a position, an Activity how many there are after it: the positions of now, without
what has happened since, are what there was then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from appliance.domain.messages import VenueActivity, VenueFill
from appliance.domain.trading import ZERO, Activity, ActivityKind
from appliance.venues.alpaca.names import crypto_pair
from appliance.venues.alpaca.reading import Body, maybe_number, maybe_text, moment, stamp, text

_K = ActivityKind
KINDS: dict[str, ActivityKind] = {
    **dict.fromkeys(("DIV", "DIVCGL", "DIVCGS", "DIVROC", "DIVTXEX"), _K.DIVIDEND),
    **dict.fromkeys(
        ("FEE", "PTC", "PTR", "DIVFEE", "DIVFT", "DIVNRA", "DIVTW", "DIVWH", "INTNRA", "INTTW"), _K.FEE
    ),
    "INT": _K.INTEREST,
    **dict.fromkeys(("CSD", "CSW", "CSR", "TRANS", "JNL", "JNLC", "JNLS", "ACATC", "ACATS", "FOPT"), _K.TRANSFER),
    "CFEE": _K.TRANSFER,  # a fee that is taken out of the coins
    "SPLIT": _K.SPLIT, "SSP": _K.SPLIT,
    "NC": _K.SYMBOL_CHANGE, "SC": _K.SYMBOL_CHANGE,
    "REORG": _K.DELISTING,
}  # fmt: skip
"""What a type of activity is to us; mergers, spin-offs, options and what we do not know are OTHER."""
PAIRED = (_K.SPLIT, _K.SYMBOL_CHANGE)
FILL = "FILL"
_RATIO_MAX = 1_000
"""Splits are of no larger numbers; the rest of a ratio is the rounding of shares."""


class Row(Struct, frozen=True):
    """One row, read: ``shares`` is the change of the position, ``label`` REMOVE or ADD where it says so."""

    id: str
    type: str
    kind: ActivityKind
    time: int
    symbol: str
    shares: Decimal
    cash: Decimal
    amount: Decimal
    price: Decimal
    text: str
    label: str
    group: str
    canceled: bool

    @property
    def moves(self) -> bool:
        """Whether it changed a position; a dividend only names it."""
        return bool(self.shares) and not self.canceled and not self.type.startswith("DIV")


def read(row: Body) -> Row:
    """A row of the account's activities. Raises Odd."""
    kind, said = text(row, "activity_type"), maybe_text(row, "description")
    canceled = maybe_text(row, "status") == "canceled"
    amount = maybe_number(row, "per_share_amount") or ZERO
    found = _K.OTHER if canceled else KINDS.get(kind, _K.OTHER)
    if found is _K.DIVIDEND and not amount:
        found = _K.OTHER
    symbol, shares = crypto_pair_of(row), maybe_number(row, "qty") or ZERO
    together = f"{abs(shares)}" if found is _K.SYMBOL_CHANGE else symbol
    return Row(
        id=text(row, "id"), type=kind, kind=found, time=_time(row), symbol=symbol, shares=shares,
        cash=ZERO if canceled else maybe_number(row, "net_amount") or ZERO,
        amount=amount, price=maybe_number(row, "price") or ZERO,
        text=f"{kind}{' canceled' if canceled else ''}: {said}" if said or canceled else kind,
        label=next((label for label in ("REMOVE", "ADD") if said.upper().startswith(label)), ""),
        group=maybe_text(row, "group_id") or f"{kind} {together} {maybe_text(row, 'date')}", canceled=canceled,
    )  # fmt: skip


def crypto_pair_of(row: Body) -> str:
    """The symbol of a row, "" where it has none. Only fees of crypto have pairs, and no / in them."""
    symbol = maybe_text(row, "symbol")
    return crypto_pair(symbol) if row.get("activity_type") == "CFEE" else symbol


def _time(row: Body) -> int:
    return moment(row, "created_at") if row.get("created_at") else stamp(row)


def names_symbol(listed: Sequence[Row]) -> bool:
    """Whether positions are needed to tell of these rows."""
    return any(row.symbol and row.kind not in (*PAIRED, _K.DIVIDEND) for row in listed) or any(
        row.kind is _K.SPLIT and not row.label for row in listed
    )


class Holdings(Struct, frozen=True):
    """What explains how many shares there were at a time: ``positions`` of now, and the ``fills`` and ``rows`` before
    it."""

    positions: Mapping[str, Decimal] = {}
    fills: Sequence[VenueFill] = ()
    rows: Sequence[Row] = ()

    def after(self, row: Row) -> Decimal:
        """Shares of a row's symbol after it."""
        symbol, then = row.symbol, (row.time, row.id)
        bought = (
            fill.quantity * fill.side.sign for fill in self.fills if fill.symbol == symbol and fill.time > then[0]
        )
        moved = (one.shares for one in self.rows if one.symbol == symbol and one.moves and (one.time, one.id) > then)
        return self.positions.get(symbol, ZERO) - sum(bought, ZERO) - sum(moved, ZERO)


def told(holdings: Holdings, at: int) -> tuple[VenueActivity, ...]:
    """All that the rows amount to, oldest first; the half of a pair whose other half is not there yet is left out."""
    found: list[Activity] = []
    groups: dict[str, list[Row]] = {}
    for row in holdings.rows:
        if row.kind in PAIRED and row.label:
            groups.setdefault(row.group, []).append(row)
        elif row.kind is _K.SPLIT:
            found.append(_split_alone(row, holdings.after(row)))
        else:
            found.append(_single(row, holdings))
    for rows in groups.values():
        found.extend(_pairs(rows))
    return tuple(VenueActivity(one, at) for one in sorted(found, key=lambda one: (one.time, one.key)))


def _single(row: Row, holdings: Holdings) -> Activity:
    after = row.shares if row.kind is _K.DIVIDEND else holdings.after(row) if row.symbol else ZERO
    kind = row.kind
    if kind is _K.SYMBOL_CHANGE or (kind is _K.DELISTING and after):
        kind = _K.OTHER  # what has come of it is not in this row
    return Activity(
        row.id, kind, row.symbol, row.time, row.cash, after, amount=row.amount if kind is _K.DIVIDEND else ZERO,
        text=row.text,
    )  # fmt: skip


def _pairs(rows: Sequence[Row]) -> list[Activity]:
    gone = [row for row in rows if row.label == "REMOVE"]
    come = [row for row in rows if row.label == "ADD"]
    if len(gone) != 1 or len(come) != 1:
        return []
    old, new = gone[0], come[0]
    cash = old.cash + new.cash
    if new.kind is _K.SPLIT:
        return [_split(new, old.symbol, -old.shares, new.shares, cash, old.price)]
    if old.symbol == new.symbol:  # the company's name alone
        return [Activity(new.id, _K.OTHER, new.symbol, new.time, cash, new.shares, text=new.text)]
    changed = Activity(
        new.id, _K.SYMBOL_CHANGE, old.symbol, new.time, cash, new.shares, becomes=new.symbol, text=new.text
    )
    return [changed]


def _split_alone(row: Row, after: Decimal) -> Activity:
    """A split of one row, which says what came to what was there."""
    return _split(row, row.symbol, after - row.shares, after, row.cash, row.price)


def _split(row: Row, symbol: str, before: Decimal, after: Decimal, cash: Decimal, price: Decimal) -> Activity:
    if not before or not after or (before > 0) != (after > 0):
        return Activity(row.id, _K.OTHER, symbol, row.time, cash, after, text=row.text)
    ratio = (Fraction(after) / Fraction(before)).limit_denominator(_RATIO_MAX)
    return Activity(
        row.id, _K.SPLIT, symbol, row.time, cash, after, new=ratio.numerator, old=ratio.denominator, price=price,
        text=row.text,
    )  # fmt: skip


def listed(rows: Sequence[Body]) -> list[Row]:
    """The rows that are no trade's. Raises Odd."""
    return [read(row) for row in rows if row.get("activity_type") != FILL]
