"""What the gateway says instead of data: its codes as our errors, and what each notice means for the way to it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from appliance.domain.market import SECOND
from appliance.errors import SourceBusy, SourceDown, SourceError, SourceRefused


class Refusal(NamedTuple):
    """What a code is to us, how long to wait (s), and what to do about it."""

    kind: type[SourceError]
    wait: int = 0
    hint: str = ""


_SUBSCRIBE = "the account has no subscription for it: add one on IB's page, or set delayed"
_FEWER = "the account takes fewer symbols at once: name fewer"
REFUSALS: dict[int, Refusal] = {
    100: Refusal(SourceBusy, 1),
    101: Refusal(SourceRefused, hint=_FEWER),
    102: Refusal(SourceDown),
    200: Refusal(SourceRefused, hint="check the symbol: US stocks, such as SPY or BRK.B"),
    300: Refusal(SourceDown),
    309: Refusal(SourceRefused, hint=_FEWER),
    321: Refusal(SourceRefused, hint="this gateway does not understand the question: update it"),
    326: Refusal(SourceBusy, 5, "another program uses the client ids: set client_id to others"),
    354: Refusal(SourceRefused, hint=_SUBSCRIBE),
    366: Refusal(SourceDown),
    420: Refusal(SourceRefused, hint=_SUBSCRIBE),
    430: Refusal(SourceRefused, hint="IB has no such data of this contract"),
    1100: Refusal(SourceDown),
    1300: Refusal(SourceDown, hint="the gateway's port was changed: set port to the new one"),
    10089: Refusal(SourceRefused, hint=_SUBSCRIBE),
    10090: Refusal(SourceRefused, hint=_SUBSCRIBE),
    10167: Refusal(SourceRefused, hint=_SUBSCRIBE),
    10168: Refusal(SourceRefused, hint=_SUBSCRIBE),
    10186: Refusal(SourceRefused, hint=_SUBSCRIBE),
    10187: Refusal(SourceDown),
    10197: Refusal(SourceBusy, 60, "the account's data go to another session: log that one out"),
}  # fmt: skip
"""The others are failures on their side."""
PACING = 15
"""Seconds after which the same question may be asked again."""
_HISTORY: tuple[tuple[str, Refusal], ...] = (
    ("pacing violation", Refusal(SourceBusy, PACING)),
    ("permission", REFUSALS[354]),
    ("different IP", REFUSALS[10197]),
    ("No historical market data", Refusal(SourceRefused, hint="IB keeps no such data of this contract")),
)
"""Code 162 says everything about history: what its text holds tells them apart."""
_NOTHING = ("no data", "No data")
HISTORY = (162, 420)


def finds_nothing(code: int, text: str) -> bool:
    """Whether this answer means that there is nothing in the range."""
    return code == 162 and any(words in text for words in _NOTHING)


def refusal(source: str, what: str, code: int, text: str) -> SourceError:
    """The error for an answer that is none; ``what`` names the symbol or the question."""
    found = REFUSALS.get(code, Refusal(SourceDown))
    if code in HISTORY:
        found = next((one for words, one in _HISTORY if words in text), found)
    said = f"{what}: {text} (code {code})" if what else f"{text} (code {code})"
    return found.kind(said, source=source, wait=found.wait * SECOND, hint=found.hint)


class Sign(Enum):
    """What a notice says of the way to IB's servers."""

    FINE = "fine"
    LOST = "lost"
    BACK = "back"
    EMPTY = "empty"
    BROKEN = "broken"
    MENDED = "mended"
    ENDED = "ended"
    WORD = "word"

    __hash__ = object.__hash__


SIGNS: dict[int, Sign] = {
    1100: Sign.LOST, 1101: Sign.EMPTY, 1102: Sign.BACK, 2110: Sign.LOST, 1300: Sign.ENDED,
    2103: Sign.BROKEN, 2104: Sign.MENDED, 2108: Sign.MENDED,
    2106: Sign.FINE, 2107: Sign.FINE, 2158: Sign.FINE, 2119: Sign.FINE,
}  # fmt: skip
"""Farms of history (2105) and of contracts (2157) that break are worth a word; live data do not come from them."""


class Way:
    """Whether IB's servers can be reached through the gateway, as its notices say. No clock, no socket."""

    def __init__(self) -> None:
        self._lost = False
        self._broken: set[str] = set()

    @property
    def lost(self) -> bool:
        """True while the gateway is cut off from IB's servers altogether."""
        return self._lost

    @property
    def open(self) -> bool:
        """False while live data cannot come, whatever the gateway itself answers."""
        return not self._lost and not self._broken

    def take(self, code: int, text: str) -> Sign:
        """What a notice (request -1) means."""
        sign = SIGNS.get(code, Sign.WORD)
        farm = text.rpartition(":")[2].strip()
        if sign is Sign.LOST:
            self._lost = True
        elif sign in (Sign.BACK, Sign.EMPTY):
            self._lost = False
            self._broken.clear()
        elif sign is Sign.BROKEN:
            self._broken.add(farm)
        elif sign is Sign.MENDED:  # a farm that can be reached is behind the servers: the way is there, too
            self._lost = False
            self._broken.discard(farm)
        return sign
