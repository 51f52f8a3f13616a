"""How often the owner is told the same: what happens again and again is counted, what is over is lifted. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.domain.operations import Notice, Severity

MINUTE = 60_000_000_000
CODES_MAX = 500
"""Codes that are kept apart; what happens beyond them is told under one."""
OVERFLOW = "live_data/more"


class _Ongoing:
    """One code that has been told and is not over."""

    def __init__(self, now: int) -> None:
        self.told = self.last = now
        self.count = 1
        self.untold = 0
        self.text = ""
        self.severity = Severity.WARNING


class Notices:
    """Times are ns UTC. What happens (``happened``) is told at once, then once in ``quiet`` ns with how often it did,
    and lifted when it has not happened for so long; what lasts (``hold``) is told when it begins, changes, or ends."""

    def __init__(self, quiet: int = MINUTE) -> None:
        self._quiet = quiet
        self._ongoing: dict[str, _Ongoing] = {}
        self._held: dict[str, tuple[str, int]] = {}

    def happened(self, code: str, text: str, now: int, severity: Severity = Severity.WARNING) -> list[Notice]:
        """Something went wrong once (more)."""
        if code not in self._ongoing and len(self._ongoing) >= CODES_MAX:
            code = OVERFLOW
        one = self._ongoing.get(code)
        if one is None:
            one = self._ongoing[code] = _Ongoing(now)
            one.text, one.severity = text, severity
            return [Notice(code, severity, text)]
        one.count += 1
        one.untold += 1
        one.last, one.text, one.severity = now, text, severity
        return []

    def over(self, code: str, text: str) -> list[Notice]:
        """It is known to be over, whenever it happened last."""
        one = self._ongoing.pop(code, None)
        return [] if one is None else [Notice(code, Severity.INFO, text, holds=False)]

    def hold(self, code: str, text: str, now: int, severity: Severity = Severity.WARNING) -> list[Notice]:
        """Something lasts; "" is not wrong any more. Another text of the same is told once in ``quiet`` ns."""
        told = self._held.get(code)
        if not text:
            self._held.pop(code, None)
            return [] if told is None else [Notice(code, Severity.INFO, f"{told[0]}: this is over", holds=False)]
        if told is not None and (told[0] == text or now - told[1] < self._quiet):
            return []
        self._held[code] = text, now
        return [Notice(code, severity, text)]

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        self._held = {code: (text, told + by) for code, (text, told) in self._held.items()}
        for one in self._ongoing.values():
            one.told, one.last = one.told + by, one.last + by

    def tick(self, now: int) -> list[Notice]:
        """What is told again, with its count, and what is over."""
        found = []
        for code, one in list(self._ongoing.items()):
            if now - one.last >= self._quiet:
                del self._ongoing[code]
                text = f"{one.text}: no more since {self._quiet // 1_000_000_000} s, {_times(one.count)} in all"
                found.append(Notice(code, Severity.INFO, text, holds=False))
            elif one.untold and now - one.told >= self._quiet:
                found.append(Notice(code, one.severity, f"{one.text} (and {_times(one.untold)} before it)"))
                one.told, one.untold = now, 0
        return found

    @property
    def counts(self) -> Mapping[str, int]:
        """How often what goes on has happened, by code."""
        return {code: one.count for code, one in self._ongoing.items()}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
