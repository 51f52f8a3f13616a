"""The validator where several sources tell the same: form before anything, all else in the order of the feed. Pure.

Sources repeat themselves and each other, and a hole is filled late: out of order that is no fault of the data. So a
bar's form is judged when it is heard, before it can do harm, and its place among the others when it is published.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from appliance.data.validation.bars import BarJudge
from appliance.data.validation.limits import DEFAULTS
from appliance.data.validation.rules import broken_quote, broken_trade, finding, judged
from appliance.data.validation.validator import DataValidator
from appliance.data.validation.verdicts import Finding, Judged, Outcome
from appliance.domain.market import Bar, Heard, Quote, Sessions, Split, Trade

EXPECTED = frozenset({"bar_goes_back", "duplicate"})
"""Rules that a revision or a filled hole breaks by being one."""
WORTH_TELLING = frozenset({
    "clock_skew", "clock_skew_inhibits", "looks_like_a_split", "level_confirmed", "jump", "jump_reverted",
    "absurd_volume",
})  # fmt: skip
"""Of what passes, the owner hears of these."""
GRAVE = frozenset({"clock_skew_inhibits"})
"""Of these, at once."""
NO_SESSIONS = Sessions(())


class Judge:
    """``validator`` None: form is judged all the same."""

    def __init__(self, validator: DataValidator | None = None) -> None:
        self._validator = validator
        self._limits = validator.limits if validator is not None else DEFAULTS

    def form(self, event: Heard, now: int) -> Judged:
        """What ``event`` is by itself, from whomever: whole, possible, and not ahead of ``now`` (ns UTC)."""
        if isinstance(event, Bar):
            return self._bar_by_itself(event, now)
        broken = None
        if isinstance(event, Quote):
            broken = broken_quote(event)
        elif isinstance(event, Trade):
            broken = broken_trade(event)
        return judged(event, [finding(broken[0], event, event.time, broken[1])] if broken is not None else [])

    def in_turn(self, event: Heard, now: int) -> Judged:
        """The next of the feed, judged by those before it."""
        return self.form(event, now) if self._validator is None else self._validator.check(event, now)

    def revised(self, bar: Bar, now: int) -> Judged:
        """A bar at or before the last one that the feed tells again, or late; its revision stays."""
        verdict = self.in_turn(bar, now)
        if verdict.event is None and {one.rule for one in verdict.findings} <= EXPECTED:
            known = any(one.rule == "duplicate" for one in verdict.findings)
            return Judged(None if known else bar)
        if isinstance(verdict.event, Bar):
            return Judged(replace(verdict.event, revision=bar.revision), verdict.outcome, verdict.findings)
        return verdict

    def splits(self, splits: Iterable[Split]) -> None:
        """Splits that are known from now on."""
        for split in splits if self._validator is not None else ():
            self._validator.split(split)  # type: ignore[union-attr]

    def silent(self, now: int) -> tuple[Finding, ...]:
        """What should have been told by now."""
        return self._validator.silent(now) if self._validator is not None else ()

    def _bar_by_itself(self, bar: Bar, now: int) -> Judged:
        try:
            return BarJudge(bar.timeframe, NO_SESSIONS, self._limits, ()).check(bar, now)
        except ValueError as error:
            return judged(bar, [finding("bad_span", bar, bar.end, str(error))])


def worth_telling(verdict: Judged) -> tuple[Finding, ...]:
    """Of a verdict, what the owner should hear: why something was set aside, and what is odd about what was not."""
    if verdict.event is None:
        return tuple(one for one in verdict.findings if one.outcome is Outcome.QUARANTINED)
    return tuple(one for one in verdict.findings if one.rule in WORTH_TELLING)
