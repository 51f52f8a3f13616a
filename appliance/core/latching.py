"""The latch: ACTIVE → REDUCING → HALTED. Anything may lower it; only the owner, naming what he saw, raises it."""

from __future__ import annotations

from appliance.core.base import Core
from appliance.domain.messages import Now
from appliance.domain.operations import Command, Latch, LatchState, more_severe

UNTOUCHED = Latch()
ACTIVE = LatchState.ACTIVE
LOWERING = {"halt": LatchState.HALTED, "reduce": LatchState.REDUCING, "flatten": LatchState.REDUCING}


class EmergencyStop:
    """The authority on whether new risk may be taken. ``file`` is what the latch files say; never stored here."""

    def __init__(self, core: Core) -> None:
        self._rows = core.table("latch", Latch)
        self.file = LatchState.ACTIVE

    @property
    def latch(self) -> Latch:
        return self._rows.get("", UNTOUCHED)

    @property
    def state(self) -> LatchState:
        """The effective state: the most severe of the latch and the latch files."""
        latch = self._rows.get("", UNTOUCHED).state
        return latch if self.file is ACTIVE else more_severe(latch, self.file)

    def lower(self, state: LatchState, why: str, by: str, now: Now) -> Latch | None:
        """At least as severe as ``state`` from now on; None when it already is."""
        if self.latch.state.severity >= state.severity:
            return None
        return self._set(state, why, by, now)

    def resume(self, command: Command, now: Now) -> tuple[Latch | None, str]:
        """Raise to ACTIVE if the owner names the generation he saw; otherwise None and why not."""
        latch = self.latch
        if self.file is not LatchState.ACTIVE:
            return None, f"a latch file says {self.file.value}: remove it first (`appliance resume` does)"
        if command.generation != latch.generation:
            seen, present = command.generation, latch.generation
            return None, f"the latch has generation {present}, you named {seen}: look again first"
        if latch.state is LatchState.ACTIVE:
            return None, "already active"
        return self._set(LatchState.ACTIVE, command.reason or "resumed", command.by, now), "active"

    def _set(self, state: LatchState, why: str, by: str, now: Now) -> Latch:
        latch = Latch(state, self.latch.generation + 1, why, by, now.time)
        self._rows[""] = latch
        return latch
