"""The parts of live data put together by a run's specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.core.breaker import Dice
from appliance.core.ports import Clock
from appliance.data.calendars import SessionsOf
from appliance.data.live.agreement import Agreement
from appliance.data.live.desk import Desk
from appliance.data.live.feed import Keep, LiveFeed
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Selection, Terms
from appliance.data.live.sequencer import Key, Sequencer
from appliance.data.live.spec import LiveSpec
from appliance.data.live.staleness import Staleness
from appliance.data.sources.base import HistorySource, Kind, LiveSource
from appliance.data.validation.validator import DataValidator
from appliance.domain.market import SECOND, timeframe_ns

QUIET = 30 * SECOND
"""Quotes of a symbol that are silent for so long (ns) in session are late, for twice as long they are stale."""
TICKS = (Kind.QUOTES, Kind.TRADES)


def live_feed(
    spec: LiveSpec, live: Sequence[LiveSource], history: Sequence[HistorySource], sessions_of: SessionsOf, clock: Clock,
    random: Dice, keep: Keep | None = None, past: Mapping[Key, int] | None = None,
) -> LiveFeed:  # fmt: skip
    """The hooks of a feed process. ``past`` has the ends (ns UTC) of the last bars that strategies were warmed up
    with: what came since is asked for, where the journal knows of no later one."""

    def make(lasts: Mapping[Key, int]) -> Desk:
        return desk_of(spec, live, sessions_of, clock.now(None).time, random, {**(past or {}), **lasts})

    return LiveFeed(live, history, spec.symbols, spec.subscribed, make, clock, keep)


def desk_of(
    spec: LiveSpec,
    live: Sequence[LiveSource],
    sessions_of: SessionsOf,
    now: int,
    random: Dice,
    lasts: Mapping[Key, int],
) -> Desk:
    """The desk that judges and chooses. Pure."""
    staleness = {source.name: Staleness(sessions_of, _limits(spec, source), now) for source in live}
    first = next(iter(staleness.values()))

    def open_since(symbol: str, now: int) -> int | None:
        session = sessions_of(symbol).at(now)
        return session.open if session is not None and first.telling(symbol, now) else None

    terms = {source.name: Terms(mute=mute_of(spec, source), hold=spec.hold) for source in live}
    wanted = {key: end for key, end in lasts.items() if key[0] in spec.symbols and key[1] == spec.timeframe}
    return Desk(
        Selection([source.name for source in live], spec.symbols, open_since, random, terms),
        Sequencer(sessions_of, wanted),
        Reserve(),
        staleness,
        Agreement(),
        DataValidator(sessions_of, spec.limits),
    )


def mute_of(spec: LiveSpec, source: LiveSource) -> int:
    """The longest silence (ns) of a source in session: bars alone come once in their length."""
    ticks = any(kind in TICKS and kind in source.traits.live for kind in spec.subscribed)
    pause = 0 if ticks else timeframe_ns(spec.timeframe)
    return max(spec.mute + pause, source.traits.mute)


def _limits(spec: LiveSpec, source: LiveSource) -> dict[Kind, int]:
    told = Kind.QUOTES in spec.subscribed and Kind.QUOTES in source.traits.live
    return {Kind.QUOTES: QUIET} if told else {}
