"""What a status or a word about an order is worth to who has just asked something of it. Pure."""

from __future__ import annotations

from enum import Enum

from appliance.venues.ibkr.book import CANCELLED, FILLED, INACTIVE, ON_ITS_WAY, WORKING
from appliance.venues.ibkr.words import CANCELLED as CANCELLED_WORD
from appliance.venues.ibkr.words import NOT_CANCELLED, REJECTIONS, warns


class Wish(Enum):
    """What was asked of an order."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    REPLACE = "replace"

    __hash__ = object.__hash__


class Verdict(Enum):
    """It is taken; it is refused; the order has ended; it is on its way, and told later; look what became of it, at
    once or when no word explains it soon."""

    TAKEN = "taken"
    REFUSED = "refused"
    ENDED = "ended"
    COMING = "coming"
    LOOK = "look"
    LOOK_SOON = "look_soon"

    __hash__ = object.__hash__


_W, _V = Wish, Verdict
BY_STATUS: dict[Wish, dict[str, Verdict]] = {
    _W.SUBMIT: dict.fromkeys((*WORKING, *ON_ITS_WAY, FILLED), _V.TAKEN),
    _W.CANCEL: {"PendingCancel": _V.COMING, **dict.fromkeys(CANCELLED, _V.ENDED), FILLED: _V.LOOK, INACTIVE: _V.LOOK},
    _W.REPLACE: dict.fromkeys((FILLED, *CANCELLED), _V.REFUSED),
}


def of_status(wish: Wish, status: str) -> Verdict | None:
    """What a status answers; None: nothing yet. A new order that is cancelled, inactive or in a status that did not
    exist yesterday is looked for, unless a word says why."""
    return BY_STATUS[wish].get(status, _V.LOOK_SOON if wish is _W.SUBMIT else None)


def of_word(wish: Wish, code: int) -> Verdict | None:
    """What a word answers; None: a warning, or one that decides nothing."""
    if wish is _W.CANCEL:
        return _V.ENDED if code == CANCELLED_WORD else _V.LOOK if code in NOT_CANCELLED else None
    refuses = code == CANCELLED_WORD or (code in REJECTIONS and not warns(code))
    return _V.REFUSED if refuses else None
