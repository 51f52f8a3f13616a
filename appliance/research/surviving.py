"""State that survives: saved and restored into a new module after every bar, a strategy must decide the same."""

from __future__ import annotations

from collections.abc import Callable

from appliance.core.wishes import Runner
from appliance.domain.market import Bar
from appliance.research.decisions import RAISED, Decisions, carried_over, decide, difference
from appliance.research.scenes import Scene
from appliance.research.verdict import Verdict, failed, passed

CHECK = "state"
HINT = (
    "a restart keeps indicators and self.state, nothing else: no list or dict of the class, of the module or hung on "
    "self in on_start that later hooks change; write self.state[...] = ..."
)


def survives(make: Callable[[], Runner], scene: Scene, whole: Decisions, bars: int) -> Verdict:
    """Restart after each of at most ``bars`` bars, from shortly before the first decision on."""
    first, heard, restarts = _first(scene, whole, bars), 0, 0

    def restart(runner: Runner, bar: Bar, now: int) -> Runner:
        nonlocal heard, restarts
        heard += 1
        if not first < heard <= first + bars:
            return runner
        restarts += 1
        fresh = make()
        fresh.restore(carried_over(runner.snapshot()))
        return fresh

    found = difference(whole, decide(make, scene, restart))
    if found is None:
        return passed(CHECK, f"the same decisions when it is saved and restored after each of {restarts} bars")
    broke = found.other is not None and found.other.hook == RAISED
    what = "it cannot be saved and restored" if broke else "what it remembers is lost at a restart"
    told = found.told("without a restart", "restarted after every bar")
    return failed(CHECK, f"{what}; {told}", HINT)


def _first(scene: Scene, whole: Decisions, bars: int) -> int:
    """Bars to leave alone, so that those restarted after lie about decisions."""
    ends = [event.end for event in scene.events if isinstance(event, Bar)]
    later = [one.time for one in whole if one.time >= ends[0]] if ends else []
    before = sum(end < later[0] for end in ends) if later else 0
    return max(0, min(before - bars // 4, len(ends) - bars))
