"""Looking ahead: what is decided at a time may not change when the future is cut off, or when it is another one."""

from __future__ import annotations

from collections.abc import Callable

from appliance.research.decisions import Decisions, difference, when
from appliance.research.scenes import Scene
from appliance.research.verdict import Verdict, failed, passed

CHECK = "look-ahead"
HINT = "decide from what on_bar has been given so far: no array that holds more, no index that counts from the future"


def look_ahead(decide: Callable[[Scene], Decisions], scene: Scene, whole: Decisions, points: int = 6) -> Verdict:
    """``whole`` is what ``decide`` decides on all of ``scene``; it is compared at ``points`` times, most of them
    times of decisions."""
    cuts = _cuts(scene, whole, points)
    for time in cuts:
        for words, cut in (("the data cut off there", scene.until(time)),
                           ("other data after it", scene.changed_after(time))):  # fmt: skip
            found = difference(whole, decide(cut), time)
            if found is not None:
                told = found.told("with all the data", f"with {words}")
                return failed(CHECK, f"what it decides until {when(time)} depends on what comes later; {told}", HINT)
    return passed(
        CHECK, f"the same decisions with the data cut off, and with other data, after each of {len(cuts)} times"
    )


def _cuts(scene: Scene, whole: Decisions, points: int) -> list[int]:
    times = scene.times
    heard = set(times)
    decided = list(dict.fromkeys(one.time for one in whole if one.time in heard))
    return sorted({*_spread(decided, points - 1), *_spread(times[:-1], 1)})


def _spread(times: list[int], count: int) -> list[int]:
    """At most ``count`` of some times, spread evenly."""
    return [times[(2 * index + 1) * len(times) // (2 * count)] for index in range(count)] if times else []
