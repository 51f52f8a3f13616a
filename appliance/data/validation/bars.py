"""The bars of one symbol and timeframe, judged one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from appliance.data.validation import gaps
from appliance.data.validation.limits import ValidationLimits, ns
from appliance.data.validation.rules import INFINITE, QUARANTINED, Said, broken_bar, finding, judged, moment
from appliance.data.validation.splits import nearest_split, way
from appliance.data.validation.verdicts import Finding, Judged
from appliance.domain.market import DAY, HOUR, Bar, Sessions, Split, timeframe_ns

WARM = 20
"""Bars before the usual deviation is known well enough to be asked."""
SLOWEST = 1 / 32
"""The weight of a new bar in the usual deviation and volume."""
CALM = 4.0
"""A move counts in the deviation with at most so many deviations, a volume with so many usual ones: robust."""
TO_SIGMA = math.sqrt(math.pi / 2)
"""Standard deviation by mean absolute deviation of a normal distribution."""
CLOSED = 6 * HOUR
"""A market that told nothing for so long was closed: a split may have happened."""
CLOSED_BARS = 100
"""A night moves prices no more than so many bars do, however short they are."""
FORGOTTEN = 90 * DAY
"""After so long a price says nothing about the next one."""
REMEMBERED = 64
"""Bars that can still be told again, or revised."""
CLOSED_LONGEST = 4 * DAY
"""Days, weeks and months of sessions may be longer than those of a clock by as much as a market stays closed."""
NEVER = 2**63 - 1


class BarJudge:
    """Judges each bar by itself (form) and by those before it (order, gaps, moves, volume).

    A move beyond ``jump_sigmas`` usual deviations passes and is *flagged*: markets do that. *Quarantined* is what no
    market does: a low or high that is ``impossible_ratio`` away from both open and close (it came back within the bar),
    and a move by that factor that neither a known split nor a usual one over a closed market explains. The next bar
    near the refused price confirms it; nothing is confirmed by itself. A jump that the next bar takes back was
    delivered already: the next bar's finding ``jump_reverted`` names it. A price that a usual split explains is flagged
    ``looks_like_a_split`` and is the measure from then on.

    The usual deviation is the mean absolute move (an exponential average, each move cut at four deviations: one wild
    bar changes little) times sqrt(pi / 2), at least ``sigma_floor``; over missing bars it grows with the square root of
    their number, a night counting as at most ``CLOSED_BARS``. A quarantined bar never moves it, nor the price that the
    next bar is measured against.
    """

    def __init__(self, timeframe: str, sessions: Sessions, limits: ValidationLimits, splits: Sequence[Split]) -> None:
        self._timeframe, self._sessions, self._limits = timeframe, sessions, limits
        self._length = timeframe_ns(timeframe)
        self._longest = self._length if self._length < DAY else self._length * 11 // 10 + CLOSED_LONGEST
        self._future = ns(limits.future_seconds)
        self._shortest_gap = ns(limits.gap_seconds)
        self._splits: list[Split] = []
        self._split_at = NEVER
        self._cap = math.log(limits.jump_ratio)
        self._recent: dict[int, Bar] = {}
        self.end = 0
        """When the last bar ended that was heard in order, good or bad (ns UTC); ``before`` the one before it."""
        self.before = 0
        self._close = 0.0
        self._taken = 0
        self._count = 0
        self._deviation = 0.0
        self._usual = 0.0
        self._refused = 0.0
        self._jumped: tuple[int, float, float] | None = None
        self._bounds()
        for one in splits:
            self.split(one)

    def split(self, split: Split) -> None:
        """A split that is known from now on."""
        self._splits = sorted([*self._splits, split], key=lambda one: one.time, reverse=True)
        self._split_at = self._splits[-1].time

    def check(self, bar: Bar, now: int) -> Judged:
        """The verdict on the next bar."""
        if (
            0.0 < bar.low <= bar.open <= bar.high < INFINITE
            and bar.low <= bar.close <= bar.high
            and bar.start == self.end < bar.end < self._split_at
            and bar.end - bar.start == self._length
            and self._low <= bar.low
            and bar.high <= self._high
            and 0.0 < bar.volume < self._busy
            and bar.end <= now + self._future
        ):
            self._remember(bar)
            self._learn(bar)
            return Judged(bar)
        return self._closely(bar, now)

    def due(self) -> tuple[int, int]:
        """When the next bar ends if it is traded and the market is open, and the length of bars (ns)."""
        return self.end + self._length, self._length

    # --- what the quick test does not settle -------------------------------------------------------------------------

    def _closely(self, given: Bar, now: int) -> Judged:
        bar, findings = self._repaired(given)
        fault = self._untimely(bar, now) or broken_bar(bar)
        if fault is not None and fault[0] in ("bad_span", "from_the_future"):
            return self._refuse(bar, *fault)
        if bar.end <= self.end:
            return self._again(bar, findings, fault)
        gap = self._gap(bar)
        self._remember(bar)
        if fault is not None:
            return judged(bar, [*findings, *gap, finding(fault[0], bar, bar.end, fault[1])])
        findings += gap
        self._known_splits(bar)
        findings += self._moves(bar)
        if any(one.outcome is QUARANTINED for one in findings):
            return judged(bar, findings)
        findings += self._volume(bar)
        self._learn(bar)
        return judged(bar, findings)

    def _repaired(self, bar: Bar) -> tuple[Bar, list[Finding]]:
        """A high that open or close miss by less than half a tick (and by less than 0.01 %) is moved to them; so is a
        low. Sums and averages of floats end there; nothing is said that the bar did not say itself."""
        top, bottom = max(bar.open, bar.close), min(bar.open, bar.close)
        noise = min(self._limits.tick / 2, bottom * 1e-4)
        over, under = top - bar.high, bar.low - bottom
        if not (0 < over < noise or 0 < under < noise) or not bar.low - bar.high < noise:
            return bar, []
        mended = replace(
            bar, high=top if 0 < over < noise else bar.high, low=bottom if 0 < under < noise else bar.low
        )  # fmt: skip
        text = f"high {bar.high!r} and low {bar.low!r} set to {mended.high!r} and {mended.low!r}"
        return mended, [finding("float_noise", bar, bar.end, text, max(over, under))]

    def _untimely(self, bar: Bar, now: int) -> Said | None:
        if not 0 < bar.end - bar.start <= self._longest:
            return "bad_span", f"{moment(bar.start)} to {moment(bar.end)} is no {self._timeframe}"
        if bar.end > now + self._future:
            return "from_the_future", f"ends {(bar.end - now) / 1e9:.1f} s from now"
        return None

    def _refuse(self, bar: Bar, rule: str, text: str, amount: float = 0.0) -> Judged:
        return judged(bar, [finding(rule, bar, bar.end, text, amount)])

    def _again(self, bar: Bar, findings: list[Finding], fault: Said | None) -> Judged:
        """A bar that is not after the last one: told twice, revised, or far too late."""
        before = self._recent.get(bar.end)
        if before is None:
            return self._refuse(bar, "bar_goes_back", f"ends {(self.end - bar.end) / 1e9:.0f} s before the last one")
        if _content(bar) == _content(before):
            return self._refuse(bar, "duplicate", f"the bar until {moment(bar.end)} came before")
        worse = (*fault, 0.0) if fault is not None else self._spike(bar) or self._impossible(bar)
        if worse is not None:
            return self._refuse(bar, *worse)
        number = max(bar.revision, before.revision + 1)
        revised = replace(bar, revision=number)
        self._recent[bar.end] = revised
        if bar.end == self.end:
            self._refused = 0.0  # what was refused is corrected: the next bar confirms nothing
            self._measure(bar.close, bar.end)
        text = f"close {before.close:g} is now {bar.close:g}"
        return judged(revised, [*findings, finding("revision", bar, bar.end, text, number)])

    def _gap(self, bar: Bar) -> list[Finding]:
        if not self.end or bar.start == self.end:
            return []
        lost = gaps.missing(self._sessions, self._timeframe, self.end, bar.start, bar.end)
        text = f"{lost} missing from {moment(self.end)} to {moment(bar.start)}"
        long = lost * self._length >= self._shortest_gap
        return [finding("gap", bar, bar.end, text, lost)] if lost and long else []

    def _known_splits(self, bar: Bar) -> None:
        """A split that we know of changes what the price and volume before it are worth."""
        while bar.end > self._split_at:
            split = self._splits.pop()
            if split.time >= self._taken:
                self._rescale(split.new, split.old)
            self._split_at = self._splits[-1].time if self._splits else NEVER

    def _rescale(self, new: int, old: int) -> None:
        self._close *= old / new
        self._usual *= new / old
        self._refused = 0.0
        self._jumped = None
        self._bounds()

    # --- moves --------------------------------------------------------------------------------------------------------

    def _moves(self, bar: Bar) -> list[Finding]:
        spike = self._spike(bar)
        if spike is not None:
            return [finding(spike[0], bar, bar.end, spike[1], spike[2])]
        last = self._close
        if not last or bar.end - self._taken > FORGOTTEN:
            self._count, self._deviation, self._jumped = 0, 0.0, None
            return []
        limit = self._limit(bar)
        at_open, at_close = way(last, bar.open), way(last, bar.close)
        if max(abs(at_open), abs(at_close)) <= limit:
            furthest = max(way(last, bar.high), -way(last, bar.low))
            return self._said(bar, "long_wick", furthest) if furthest > limit else []
        back = self._reverted(bar)
        if back:
            return back
        return self._jump(bar, at_open if abs(at_open) > abs(at_close) else at_close)

    def _jump(self, bar: Bar, moved: float) -> list[Finding]:
        last = self._close
        split = nearest_split(last, bar) if self.end - self._taken > CLOSED else None
        if split is not None:
            self._rescale(*split)
            text = f"from {last:g} to {bar.open:g}: near {split[0]}:{split[1]}, which nobody told of"
            return [finding("looks_like_a_split", bar, bar.end, text, bar.open / last)]
        impossible = self._impossible(bar)
        if impossible is None:
            self._jumped = bar.end, last, bar.close
            return self._said(bar, "jump", moved)
        if self._refused and abs(way(self._refused, bar.close)) < self._cap:
            text = f"{bar.close:g} after {last:g}, as the bar that was set aside"
            return [finding("level_confirmed", bar, bar.end, text, bar.close / last)]
        self._refused = bar.close
        return [finding(impossible[0], bar, bar.end, impossible[1], impossible[2])]

    def _spike(self, bar: Bar) -> tuple[str, str, float] | None:
        """A low or high that is impossibly far from both ends of its own bar."""
        body_low, body_high = min(bar.open, bar.close), max(bar.open, bar.close)
        far = max(body_low / bar.low, bar.high / body_high)
        if far < self._limits.impossible_ratio:
            return None
        name = "low" if body_low / bar.low == far else "high"
        return "spike", f"{name} {getattr(bar, name):g}, open {bar.open:g}, close {bar.close:g}", far

    def _impossible(self, bar: Bar) -> tuple[str, str, float] | None:
        last = self._close
        far = (
            max((max(price, last) / min(price, last) for price in (bar.open, bar.close)), default=0.0) if last else 0.0
        )
        if far < self._limits.impossible_ratio:
            return None
        return "impossible_jump", f"open {bar.open:g}, close {bar.close:g} after {last:g}", far

    def _reverted(self, bar: Bar) -> list[Finding]:
        """Whether this bar takes back the jump of the one before it: back by two thirds or more of the way."""
        jumped, self._jumped = self._jumped, None
        if jumped is None or jumped[0] != self.before:
            return []
        time, origin, top = jumped
        if abs(way(origin, bar.close)) > abs(way(origin, top)) / 3:
            return []
        text = f"{origin:g}, {top:g}, {bar.close:g}: the bar between is doubtful"
        return [finding("jump_reverted", bar, time, text, top / origin)]

    def _said(self, bar: Bar, rule: str, moved: float) -> list[Finding]:
        sigma = self._sigma
        text = f"{100 * math.expm1(abs(moved)):.2f} % from {self._close:g}, {abs(moved) / sigma:.0f} usual deviations"
        return [finding(rule, bar, bar.end, text, abs(moved) / sigma)]

    def _limit(self, bar: Bar) -> float:
        """How far (in logarithms) this bar may go without a word."""
        lengths = min(max(1.0, (bar.end - self._taken) / self._length), CLOSED_BARS)
        return min(self._cap, self._usual_limit * math.sqrt(lengths))

    @property
    def _sigma(self) -> float:
        return max(self._deviation * TO_SIGMA, self._limits.sigma_floor)

    @property
    def _usual_limit(self) -> float:
        return self._cap if self._count < WARM else min(self._cap, self._limits.jump_sigmas * self._sigma)

    # --- volume and what is kept --------------------------------------------------------------------------------------

    def _volume(self, bar: Bar) -> list[Finding]:
        if bar.volume == 0:
            return [finding("zero_volume", bar, bar.end, f"close {bar.close:g}")]
        if bar.volume < self._busy:
            return []
        times = bar.volume / self._usual
        return [finding("absurd_volume", bar, bar.end, f"{bar.volume:g}, {times:.0f} times the usual", times)]

    def _remember(self, bar: Bar) -> None:
        recent = self._recent
        recent[bar.end] = bar
        if len(recent) > REMEMBERED:
            del recent[next(iter(recent))]
        self.before, self.end = self.end, bar.end

    def _learn(self, bar: Bar) -> None:
        """A good bar becomes the measure for the next."""
        self._count = count = self._count + 1
        weight = 1 / count if count < 32 else SLOWEST
        if self._close:
            moved = abs(bar.close / self._close - 1)
            if count > WARM:
                moved = min(moved, CALM * max(self._deviation, self._limits.sigma_floor))
            else:
                moved = min(moved, self._cap)
            self._deviation += weight * (moved - self._deviation)
        volume = bar.volume
        self._usual += weight * (min(volume, CALM * self._usual) - self._usual) if self._usual else volume
        self._refused = 0.0
        self._measure(bar.close, bar.end)

    def _measure(self, close: float, end: int) -> None:
        self._close, self._taken = close, end
        self._bounds()

    def _bounds(self) -> None:
        """What the quick test asks: within these, a bar that follows at once breaks no rule of moves or volume."""
        # e^x is above 1 + x; a low and a high within the root of what is impossible are not impossibly far apart.
        reach = min(1 + self._usual_limit, math.sqrt(self._limits.impossible_ratio))
        self._low, self._high = self._close / reach, self._close * reach
        self._busy = self._limits.volume_times * self._usual if self._count >= WARM and self._usual else INFINITE


def _content(bar: Bar) -> tuple[float, ...]:
    return bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume
