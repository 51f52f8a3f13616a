"""The gateway's codes: which of them refuse an order and why, which only warn, and what they say of the way to IB."""

from __future__ import annotations

from typing import NamedTuple

from appliance.domain.venue import Rejection

REFUSED, CANCELLED = 201, 202
READ_ONLY = 321
TOO_FAST = 100
USED_ID = 103
PORT_RESET = 1300
WARNINGS = frozenset((399, 404, 2109, 10349, 10148, 10147, 161, 135, 136))
"""Said of an order that stays as it is; so is all from 2100 to 2199."""
NOT_CANCELLED = frozenset((10147, 10148, 161, 135, 136, 104))
"""Answers to a cancel that did nothing: the order has ended, or there is none."""

REJECTIONS: dict[int, Rejection] = {
    103: Rejection.OTHER,  # the gateway's order id was used, not ours: nothing was placed
    104: Rejection.OTHER,
    105: Rejection.UNSUPPORTED,
    109: Rejection.PRICE,
    110: Rejection.PRICE,
    111: Rejection.UNSUPPORTED,
    113: Rejection.UNSUPPORTED,
    116: Rejection.MARKET_CLOSED,
    200: Rejection.UNKNOWN_SYMBOL,
    201: Rejection.OTHER,
    203: Rejection.NOT_ALLOWED,
    321: Rejection.UNSUPPORTED,
    382: Rejection.QUANTITY,
    383: Rejection.QUANTITY,
    387: Rejection.UNSUPPORTED,
    388: Rejection.QUANTITY,
    391: Rejection.UNSUPPORTED,
    434: Rejection.QUANTITY,
    435: Rejection.NOT_ALLOWED,
    436: Rejection.NOT_ALLOWED,
    10052: Rejection.UNSUPPORTED,
    10243: Rejection.QUANTITY,
    10268: Rejection.UNSUPPORTED,
}
"""Codes that end an order which was just sent, or leave one as it was that was to be changed."""
_TEXTS: tuple[tuple[tuple[str, ...], Rejection], ...] = (
    (("read-only", "read only"), Rejection.NOT_ALLOWED),
    (("buying power", "insufficient", "equity with loan", "margin", "cash"), Rejection.BUYING_POWER),
    (("not available for short", "short sale", "shortable", "locate"), Rejection.NOT_SHORTABLE),
    (("wash",), Rejection.WASH_TRADE),
    (("halt", "suspended"), Rejection.SYMBOL_HALTED_THERE),
    (("closed", "market is not open", "outside of regular", "trading hours"), Rejection.MARKET_CLOSED),
    (("both sides", "opposite side"), Rejection.WASH_TRADE),
    (("maximum number of orders", "too many orders", "active orders"), Rejection.TOO_MANY_ORDERS),
    (("price", "tick"), Rejection.PRICE),
    (("size", "quantity", "lot"), Rejection.QUANTITY),
    (("not supported", "unsupported", "order type", "time in force", "tif"), Rejection.UNSUPPORTED),
    (("restrict", "permission", "not allowed", "liquidat", "blocked", "not permitted"), Rejection.NOT_ALLOWED),
)
"""What the text of a 201, a 202 or a 321 tells: the first of these lines with a word in it."""
_TELLING = frozenset((REFUSED, CANCELLED, READ_ONLY))


def rejection(code: int, text: str) -> Rejection:
    """Why an order was refused."""
    lower = text.lower()
    if code in _TELLING:
        for words, kind in _TEXTS:
            if any(word in lower for word in words):
                return kind
    return REJECTIONS.get(code, Rejection.OTHER)


def warns(code: int) -> bool:
    """Whether a word about an order leaves it as it is."""
    return code in WARNINGS or 2100 <= code < 2200


def reason(text: str) -> str:
    """What a 202 says after its ``reason:``."""
    return text.partition("reason:")[2].strip()


class Meaning(NamedTuple):
    """What a notice says of our way to the market: whether it is cut off (None: as before), and whether what was told
    in between may be gone."""

    cut_off: bool | None = None
    lost: bool = False


FINE = frozenset((2104, 2106, 2107, 2108, 2119, 2158))
"""Farms that are there: nothing to tell."""
_GONE, _BACK = Meaning(cut_off=True), Meaning(cut_off=False, lost=True)
REACHED = frozenset((2104, 2106, 2158))
SERVER_BROKEN = 2110
MEANINGS: dict[int, Meaning] = {1100: _GONE, SERVER_BROKEN: _GONE, 1101: _BACK, 1102: _BACK}
"""The others are worth telling and change nothing: farms of data are not on an order's way."""


def meaning(code: int, cut_off: int = 0) -> Meaning | None:
    """What a notice says; None: nothing worth telling. ``cut_off`` is the code that cut us off: after 2110 the farms
    may be all that is told of its end, after 1100 its end is told itself."""
    if code in FINE:
        return _BACK if code in REACHED and cut_off == SERVER_BROKEN else None
    return MEANINGS.get(code, Meaning())
