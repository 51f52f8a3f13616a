"""What Alpaca does to the account without an order, as its non-trade activities tell it. Pure.

A split and a change of symbol are two rows, what goes and what comes; one without the other is not told yet. A row
says by how many shares it changed a position, an Activity how many there are after it: the positions of now, without
what has happened since, are what there was then.
"""

from __future__ import annotations

import re
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
    **dict.fromkeys(("FEE", "PTC", "PTR", "DIVFEE", "DIVFT", "DIVNRA", "DIVTW", "DIVWH", "INTNRA", "INTTW"), _K.FEE),
    "INT": _K.INTEREST,
    **dict.fromkeys(("CSD", "CSW", "CSR", "TRANS", "JNL", "JNLC", "JNLS", "ACATC", "ACATS", "FOPT"), _K.TRANSFER),
    **dict.fromkeys(("OPASN", "OPEXP", "OPEXC", "OPXRC", "OPTRD", "OPCSH", "OPCA"), _K.TRANSFER),
    "CFEE": _K.TRANSFER,  # a fee that is taken out of the coins
    "SPLIT": _K.SPLIT, "SSP": _K.SPLIT,
    "NC": _K.SYMBOL_CHANGE, "SC": _K.SYMBOL_CHANGE,
    **dict.fromkeys(("REORG", "MA", "SPIN", "SSO", "VOF"), _K.DELISTING),
}  # fmt: skip
"""What a type of activity is to us. DELISTING are those of a company's reorganising: shares that all go are delisted,
shares that come are a transfer, and what lets a part of them go is OTHER, as is what we do not know."""
PAIRED = (_K.SPLIT, _K.SYMBOL_CHANGE)
FILL = "FILL"
_DONE = ("", "executed", "correct", "canceled")
"""States of a row that is to be told; one that is pending has not happened yet."""
_RATIO_MAX = 1_000
"""Splits are of no larger numbers; the rest of a ratio is the rounding of shares."""
_RENAMED = re.compile(r"from (\S+) to (\S+)", re.IGNORECASE)


class Row(Struct, frozen=True):
    """One row, read: ``shares`` is the change of the position, ``label`` REMOVE or ADD where it says so, ``group`` what
    is the same for all rows that belong together."""

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
        """Whether it changed a position; a dividend in cash only names it."""
        return bool(self.shares) and not self.canceled and (self.kind is _K.SPLIT or not self.type.startswith("DIV"))

    @property
    def goes(self) -> bool:
        """Of a pair, whether this is what goes: as it says, or by its sign, as of a position that is not short."""
        return self.label == "REMOVE" if self.label else self.shares < 0


def read(row: Body) -> Row:
    """A row of the account's activities. Raises Odd."""
    kind, said = text(row, "activity_type"), maybe_text(row, "description")
    canceled = maybe_text(row, "status") == "canceled"
    cash, shares = maybe_number(row, "net_amount") or ZERO, maybe_number(row, "qty") or ZERO
    amount = maybe_number(row, "per_share_amount") or ZERO
    found = _K.OTHER if canceled else KINDS.get(kind, _K.OTHER)
    if found is _K.DIVIDEND and not (amount and cash):
        found = _K.SPLIT if shares and not cash else _K.OTHER  # a dividend in shares is a small split
    symbol = crypto_pair_of(row)
    together = f"{abs(shares)}" if found is _K.SYMBOL_CHANGE else symbol
    return Row(
        id=text(row, "id"), type=kind, kind=found, time=_time(row), symbol=symbol, shares=shares,
        cash=ZERO if canceled else cash, amount=amount, price=maybe_number(row, "price") or ZERO,
        text=f"{kind}{' canceled' if canceled else ''}: {said}" if said or canceled else kind,
        label=_label(said, symbol), group=maybe_text(row, "group_id") or f"{kind} {together} {maybe_text(row, 'date')}",
        canceled=canceled,
    )  # fmt: skip


def _label(said: str, symbol: str) -> str:
    """What a row says of itself: a split REMOVE or ADD, a change of name which one was the old one."""
    renamed = _RENAMED.search(said)
    if renamed is not None and renamed[1] != renamed[2] and symbol in renamed.groups():
        return "REMOVE" if symbol == renamed[1] else "ADD"
    return next((label for label in ("REMOVE", "ADD") if said.upper().startswith(label)), "")


def crypto_pair_of(row: Body) -> str:
    """The symbol of a row, "" where it has none. Only fees of crypto have pairs, and no / in them."""
    symbol = maybe_text(row, "symbol")
    return crypto_pair(symbol) if row.get("activity_type") == "CFEE" else symbol


def _time(row: Body) -> int:
    return moment(row, "created_at") if row.get("created_at") else stamp(row)


def names_symbol(listed: Sequence[Row]) -> bool:
    """Whether positions are needed to tell of these rows."""
    return any(row.symbol and (row.kind not in PAIRED or (row.kind is _K.SPLIT and not row.label)) for row in listed)


def halves(listed: Sequence[Row]) -> dict[str, Row]:
    """What has gone by a split or a change of name, and has not come yet, by symbol: it takes minutes at times."""
    groups = _groups(listed)
    alone = [rows[0] for rows in groups.values() if len(rows) == 1 and rows[0].label == "REMOVE"]
    return {row.symbol: row for row in alone}


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


def told(holdings: Holdings) -> tuple[VenueActivity, ...]:
    """All that the rows amount to, oldest first, told as of when it happened; the half of a pair whose other half is
    not there yet is left out."""
    found: list[Activity] = []
    for row in holdings.rows:
        if row.kind not in PAIRED:
            found.append(_single(row, holdings))
    for rows in _groups(holdings.rows).values():
        found.extend(_together(rows, holdings))
    return tuple(VenueActivity(one, one.time) for one in sorted(found, key=lambda one: (one.time, one.key)))


def _groups(listed: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in listed:
        if row.kind in PAIRED:
            groups.setdefault(row.group, []).append(row)
    return groups


def _single(row: Row, holdings: Holdings) -> Activity:
    after = holdings.after(row) if row.symbol else ZERO
    kind = row.kind
    if kind is _K.DIVIDEND and row.shares:
        after = row.shares
    if kind is _K.DELISTING:
        kind = _reorganised(row, after, holdings.rows)
    return Activity(
        row.id, kind, row.symbol, row.time, row.cash, after, amount=row.amount if kind is _K.DIVIDEND else ZERO,
        text=row.text,
    )  # fmt: skip


def _reorganised(row: Row, after: Decimal, listed: Sequence[Row]) -> ActivityKind:
    """What a merger, a spin-off or another reorganising is for one symbol: rows that undo each other are no more than
    a change of cost."""
    net = sum((one.shares for one in listed if one.group == row.group and one.moves), ZERO)
    if not net:
        return _K.OTHER
    if net > 0:
        return _K.TRANSFER
    return _K.OTHER if after else _K.DELISTING


def _together(rows: Sequence[Row], holdings: Holdings) -> list[Activity]:
    """What the rows of a split or a change of name amount to: nothing yet while one is missing."""
    gone, come = [row for row in rows if row.goes], [row for row in rows if not row.goes]
    if len(gone) == len(come) == 1:
        return [_pair(gone[0], come[0])]
    if rows[0].kind is _K.SPLIT and not any(row.label for row in rows):
        return [_split_alone(row, holdings.after(row)) for row in rows]
    return []


def _pair(old: Row, new: Row) -> Activity:
    cash = old.cash + new.cash
    if new.kind is _K.SPLIT:
        return _split(new, old.symbol, -old.shares, new.shares, cash, old.price)
    if old.symbol == new.symbol:  # the company's name alone
        return Activity(new.id, _K.OTHER, new.symbol, new.time, cash, new.shares, text=new.text)
    return Activity(new.id, _K.SYMBOL_CHANGE, old.symbol, new.time, cash, new.shares, becomes=new.symbol, text=new.text)


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
    """The rows that are no trade's and have happened. Raises Odd."""
    return [read(row) for row in rows if row.get("activity_type") != FILL and maybe_text(row, "status") in _DONE]
