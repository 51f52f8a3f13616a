"""How long an answer about the past is good, and what has to be asked again. Pure: times are given, ns UTC.

The past of a symbol is cut into blocks, the same for every question, so that overlapping questions share. A block holds
the bars that *start* in it; bars that reach beyond it are why a question goes on a little (``reach``). Of each block we
know when it was asked for, until when the answer told (``until``), and until when nothing will change any more
(``settled``): a source may tell or correct a bar until ``Terms.late`` after its end. A closed day is settled for ever;
of the one that forms, only what is not settled is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from appliance.data.spans import Span
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, WEEK, Sessions, timeframe_ns, timeframe_parts

_SPANS = ((MINUTE, HOUR), (5 * MINUTE + 1, DAY), (DAY, 4 * WEEK), (2 * DAY, 365 * DAY))
"""Bars shorter than the first are cut into blocks of the second: some hundreds of bars, at most a few thousand."""
_LONG = 3_650 * DAY
_MONTH_MAX = 31 * DAY
_HOLIDAYS = 4 * DAY
"""How much longer than nominal a bar of days may be, which begins and ends with sessions."""
_CLOCK_MAX = MINUTE
"""An answer from so far in the future was noted by a clock that was wrong: it is not believed."""
WRITTEN_EVERY = 15 * MINUTE
"""How often a block that still forms is written to the disk: a restart asks for the rest."""


class Terms(Struct, frozen=True):
    """Durations (ns). ``late``: so long after its end a source may still tell or correct a bar (the delay of a delayed
    feed included). ``settle``: so long after its end a bar that is lacking is asked for again at once, because sources
    need a moment. ``actions``: how long an answer about recent splits and dividends is good, and ``announced`` how long
    after their ex-date they may be told."""

    late: int = 30 * MINUTE
    settle: int = 2 * SECOND
    actions: int = 12 * HOUR
    announced: int = 7 * DAY


class Block(NamedTuple):
    """The bars that start in ``[start, end)``, ns UTC."""

    start: int
    end: int


class Known(Struct, frozen=True):
    """What is known of a block: it was ``asked`` for, all bars that end at or before ``until`` were told, nothing that
    ends at or before ``settled`` changes any more, and the last bar ends at ``last`` (0: there is none). ns UTC."""

    asked: int
    until: int
    settled: int
    last: int = 0


class Asked(Struct, frozen=True):
    """A question: bars of ``timeframe`` up to ``end``, asked at ``now`` (ns UTC) of a market with these sessions."""

    timeframe: str
    sessions: Sessions
    end: int
    now: int
    terms: Terms


class Run(Struct, frozen=True):
    """One question to the source, and the blocks its answer goes to, each with where its new bars begin."""

    start: int
    end: int
    blocks: tuple[tuple[Block, int], ...]


def span(timeframe: str) -> int:
    """Length (ns) of the blocks of a timeframe. Raises ValueError for what is none."""
    length = timeframe_ns(timeframe)
    return next((size for shorter, size in _SPANS if length < shorter), _LONG)


def blocks(timeframe: str, start: int, end: int) -> tuple[Block, ...]:
    """The blocks that ``[start, end)`` (ns UTC) touches, in order."""
    size = span(timeframe)
    return tuple(Block(one, one + size) for one in range(start - start % size, end, size))


def reach(timeframe: str) -> int:
    """How long (ns) a bar may be: so far one that starts in a block may go beyond it."""
    count, unit = timeframe_parts(timeframe)
    if unit == "mo":
        return count * _MONTH_MAX + _HOLIDAYS
    length = timeframe_ns(timeframe)
    return length if length < DAY else length + _HOLIDAYS


def over(block: Block, timeframe: str) -> int:
    """When every bar of a block has ended (ns UTC)."""
    return block.end + reach(timeframe)


def last_end(timeframe: str, sessions: Sessions, time: int) -> int:
    """The last end of a bar at or before ``time`` (ns UTC), by the sessions; of days and longer the last close. Beyond
    the table of sessions the clock alone counts."""
    length = min(timeframe_ns(timeframe), DAY)
    before = sessions.previous(time)
    if before is None or sessions.coming(time) is None:
        return time - time % length
    session = sessions.at(time)
    ended = (time - session.open) // length * length if session is not None and length < DAY else 0
    return session.open + ended if session is not None and ended else before.close


def due(block: Block, asked: Asked) -> int:
    """Until when (ns UTC) the answer has to tell. Outside market hours nothing new is due; but what is so old that it
    no longer changes is due by the clock, because a source may know hours that the sessions do not."""
    limit = min(asked.end, over(block, asked.timeframe))
    if limit + asked.terms.late <= asked.now:
        return limit
    return max(block.start, last_end(asked.timeframe, asked.sessions, min(limit, asked.now)))


def fresh(known: Known | None, block: Block, asked: Asked) -> bool:
    """Whether what is known of a block answers a question as the source would."""
    if known is None or believed(known, asked.now) is None:
        return False
    until, terms = due(block, asked), asked.terms
    if until <= known.settled:
        return True
    told = known.last >= until or known.asked >= until + terms.settle
    return told and known.until >= until and asked.now < until + terms.late


def believed(known: Known | None, now: int) -> Known | None:
    """What is known, unless it was noted by a clock that was wrong."""
    return known if known is not None and known.asked <= now + _CLOCK_MAX else None


def question(known: Known | None, block: Block, asked: Asked) -> Span:
    """What has to be asked of a block that is not fresh: what is not settled of it, and of one that still forms no more
    than somebody wants (a source may refuse the last minutes)."""
    begin = block.start if known is None else max(block.start, known.settled - reach(asked.timeframe))
    end = over(block, asked.timeframe)
    if end + asked.terms.late > asked.now:
        end = min(end, asked.now, max(asked.end, known.until if known is not None else 0))
    return begin, max(end, begin + 1)


def runs(questions: Iterable[tuple[Block, Span]]) -> tuple[Run, ...]:
    """As few questions to the source as there can be: those that touch are one."""
    found: list[Run] = []
    for block, (begin, end) in sorted(questions):
        if found and begin <= found[-1].end:
            last = found[-1]
            found[-1] = Run(last.start, max(last.end, end), (*last.blocks, (block, begin)))
        else:
            found.append(Run(begin, end, ((block, begin),)))
    return tuple(found)


def cut(run: Run, until: int) -> Run:
    """The part of a question that was answered before the source failed: up to ``until`` (ns UTC)."""
    return Run(run.start, until, tuple(part for part in run.blocks if part[1] < until))


def learned(before: Known | None, block: Block, run: Run, at: int, last: int, asked: Asked) -> Known:
    """What is known of a block after the answer to ``run``, which the source was asked at ``at`` (ns UTC)."""
    until = min(run.end, over(block, asked.timeframe))
    settled = max(at - asked.terms.late, before.settled if before else 0)
    return Known(at, until, min(until, settled), last)


def is_final(known: Known, block: Block, timeframe: str) -> bool:
    """Whether nothing of a block changes any more."""
    return known.settled >= over(block, timeframe)


def is_worth_writing(known: Known, written: int, block: Block, timeframe: str) -> bool:
    """Whether a block goes to the disk, where its copy was asked for at ``written`` (ns UTC; 0: there is none): a card
    does not last long when each minute rewrites a day."""
    return not written or is_final(known, block, timeframe) or known.asked - written >= WRITTEN_EVERY


def actions_fresh(covered: Span, asked: int, wanted: Span, now: int, terms: Terms) -> bool:
    """Whether splits and dividends of the span ``covered``, asked for at ``asked``, answer for ``wanted``."""
    if not (covered[0] <= wanted[0] and wanted[1] <= covered[1]) or asked > now + _CLOCK_MAX:
        return False
    return now < asked + terms.actions or wanted[1] + terms.announced <= asked
