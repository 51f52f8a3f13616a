"""What can be said of one market event: it passes, it was repaired (named), or it is set aside."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from appliance.domain.market import Heard


class Outcome(Enum):
    """What becomes of an event. FLAGGED passes as it is: whoever acts on it is told what is odd."""

    PASSED = "passed"
    FLAGGED = "flagged"
    REPAIRED = "repaired"
    QUARANTINED = "quarantined"

    __hash__ = object.__hash__


class Finding(Struct, frozen=True):
    """One rule that an event broke: ``rule`` is its stable name (``low_above_high``), ``text`` names value and bound,
    ``time`` is when the event was known (ns UTC), ``amount`` the figure that was judged, in the unit of the rule."""

    rule: str
    outcome: Outcome
    symbol: str
    time: int
    text: str
    source: str = ""
    amount: float = 0.0


class Judged(Struct, frozen=True):
    """The verdict: what to go on with (None: it is set aside), and what was found; ``outcome`` is the most severe."""

    event: Heard | None
    outcome: Outcome = Outcome.PASSED
    findings: tuple[Finding, ...] = ()
