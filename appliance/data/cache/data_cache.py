"""The data cache: what a source told is asked for once, by whatever strategy, thread or process wants it.

First level memory, second level a file, behind them the source; how long what is good is the policy's. The answers are
those of the source, bar for bar.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from appliance.data.cache import policy
from appliance.data.cache.acting import Acting, marks
from appliance.data.cache.counting import CacheStats, Counts
from appliance.data.cache.disk import Disk, Line
from appliance.data.cache.flights import Flights
from appliance.data.cache.levels import Chunk, Levels
from appliance.data.cache.policy import Asked, Block, Known, Run, Terms
from appliance.data.calendars import SessionsOf
from appliance.data.sources.base import HistorySource
from appliance.domain.market import Bar, CorporateAction
from appliance.errors import DataError, SourceNonsense

RAW = "raw"
_start, _end = attrgetter("start"), attrgetter("end")


class CacheLimits(Struct, frozen=True):
    """How much is kept: million bytes in memory, and in the file."""

    memory_mb: int = 32
    disk_mb: int = 512


USUAL_LIMITS, USUAL_TERMS = CacheLimits(), Terms()


class _Wish(Struct, frozen=True):
    """What a caller wants of a line: the question, and of each block the mark of the actions it depends on."""

    line: Line
    asked: Asked
    marks: dict[Block, bytes]


class _Answer(Struct, frozen=True):
    """What the source said when it was ``asked`` (ns UTC): bars, page after page."""

    asked: int
    bars: list[Bar]


class DataCache:
    """Answers questions about the past from memory, from the file at ``path`` (None: without one) or from the source.
    May be used by several threads; several processes may share the file.

    A source is known by its name: one that tells other data (another feed, another plan) needs another name, or
    ``clear``. ``sessions_of`` has the market hours of a symbol: outside them nothing new is asked. ``clock`` is the
    wall's (ns UTC). ``tell`` hears what was wrong with the file, which is never the caller's problem. What a source
    raises is heard by every thread that waited for it, and not kept.
    """

    def __init__(
        self, path: Path | None, sessions_of: SessionsOf, clock: Callable[[], int] = time.time_ns,
        limits: CacheLimits = USUAL_LIMITS, terms: Terms = USUAL_TERMS, tell: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self._sessions_of, self._clock, self._terms = sessions_of, clock, terms
        self._disk = Disk(path, limits.disk_mb * 1_000_000, tell) if path is not None else None
        self._levels = Levels(limits.memory_mb * 1_000_000, self._disk, tell)
        self._counts = Counts()
        self._flights = Flights()
        self._acting = Acting(self._disk, clock, terms, self._counts)

    def history(
        self, source: HistorySource, symbol: str, timeframe: str, start: int, end: int, adjusted: str = RAW
    ) -> tuple[Bar, ...]:
        """Complete bars with ``start <= bar.start`` and ``bar.end <= end`` (ns UTC), by end, as ``source`` tells them.

        ``adjusted`` says what its prices are adjusted for; unless that is "raw", a new split or dividend of the symbol
        makes all bars before it unknown, and where the source tells none of them, all bars are asked for anew twice a
        day (``Terms.actions``). Raises what the source raises; what came before is kept.
        """
        now = self._clock()
        if not 0 <= start < min(end, now):  # about the future, or without sense: the source says so in its own words
            return tuple(chain.from_iterable(source.bars([symbol], timeframe, start, end)))
        wanted = policy.blocks(timeframe, start, min(end, now))
        line = Line(source.name, symbol, timeframe, adjusted)
        found = self._found(source, self._wish(source, line, wanted, end))
        while lacking := [block for block in wanted if block not in found]:
            with self._flights.alone((line, block) for block in lacking) as is_ours:
                wish = self._wish(source, line, lacking, end)
                heard = self._in_memory(wish)  # by another thread, which has just landed
                self._counts.add(shared=len(heard))
                found |= heard
                if is_ours:
                    found |= self._heard(source, wish, [block for block in lacking if block not in found])
        return _within([found[block].bars for block in wanted], start, end)

    def actions(
        self, source: HistorySource, symbols: Sequence[str], start: int, end: int
    ) -> tuple[CorporateAction, ...]:
        """Splits and dividends with an ex-date in ``[start, end)`` (ns UTC), by symbol, then time; () where the source
        knows none. Raises what the source raises."""
        if not source.traits.actions or start >= end:
            return ()
        return self._acting.actions(source, symbols, (start, end))

    # --- what it holds --------------------------------------------------------------------------------------------

    def stats(self) -> CacheStats:
        """What has happened so far."""
        disk, written = (self._disk.weight, self._disk.written) if self._disk is not None else (0, 0)
        return replace(self._counts.so_far(), memory=self._levels.weight, disk=disk, written=written)

    def clear_memory(self) -> None:
        """Forget the first level."""
        self._levels.clear()
        self._acting.clear()

    def clear(self) -> None:
        """Forget all, for instance when a source was set up anew."""
        if self._disk is not None:
            self._disk.clear(self._clock())
        self.clear_memory()

    def close(self) -> None:
        """Close the file."""
        if self._disk is not None:
            self._disk.close()

    # --- looking --------------------------------------------------------------------------------------------------

    def _wish(self, source: HistorySource, line: Line, blocks: Sequence[Block], end: int) -> _Wish:
        now = self._clock()
        asked = Asked(line.timeframe, self._sessions_of(line.symbol), end, now, self._terms)
        if line.adjusted == RAW:
            return _Wish(line, asked, dict.fromkeys(blocks, b""))
        if not source.traits.actions:  # nobody says when there is one
            return _Wish(line, asked, dict.fromkeys(blocks, b"%d" % (now // self._terms.actions)))
        actions = self.actions(source, [line.symbol], blocks[0].start, now + 1)
        return _Wish(line, asked, marks(actions, blocks))

    def _found(self, source: HistorySource, wish: _Wish) -> dict[Block, Chunk]:
        """What either level has that is fresh."""
        found = self._in_memory(wish)
        held = self._levels.in_memory(wish.line, wish.marks)
        absent = [block for block in wish.marks if block not in held]
        read = _fresh(wish, self._levels.on_disk(wish.line, absent, wish.asked.now))
        silent = len(found) + len(read) == len(wish.marks)
        self._counts.add(memory_hits=len(found), disk_hits=len(read), requests=1, silent=silent)
        return found | read

    def _in_memory(self, wish: _Wish) -> dict[Block, Chunk]:
        return _fresh(wish, self._levels.in_memory(wish.line, wish.marks))

    # --- asking ---------------------------------------------------------------------------------------------------

    def _heard(self, source: HistorySource, wish: _Wish, lacking: Sequence[Block]) -> dict[Block, Chunk]:
        """What the source says of blocks that are not fresh, and which is kept then."""
        held = self._levels.in_memory(wish.line, lacking)
        known = {block: chunk for block, chunk in held.items() if _is_base(wish, chunk)}
        questions = [(block, policy.question(_known(known.get(block)), block, wish.asked)) for block in lacking]
        found: dict[Block, Chunk] = {}
        for run in policy.runs(questions):
            self._counts.add(misses=len(run.blocks), calls=1)
            answer = _Answer(self._clock(), [])
            try:
                for page in source.bars([wish.line.symbol], wish.line.timeframe, run.start, run.end):
                    answer.bars.extend(_checked(page, wish.line, source.name))
            except DataError:
                if answer.bars:  # what came before is true, and need not come again
                    self._keep(wish, known, policy.cut(run, answer.bars[-1].end), answer)
                raise
            found |= self._keep(wish, known, run, answer)
        return found

    def _keep(self, wish: _Wish, known: dict[Block, Chunk], run: Run, answer: _Answer) -> dict[Block, Chunk]:
        answer.bars.sort(key=_end)
        chunks = {block: _chunk(wish, known.get(block), block, begin, run, answer) for block, begin in run.blocks}
        self._levels.keep(wish.line, chunks.values(), answer.asked)
        self._counts.add(bars=len(answer.bars))
        return chunks


def _checked(page: Sequence[Bar], line: Line, source: str) -> Sequence[Bar]:
    for bar in page:
        if bar.symbol != line.symbol or bar.timeframe != line.timeframe:
            raise SourceNonsense(
                f"was asked for {line.symbol} {line.timeframe}, and told {bar.symbol} {bar.timeframe}", source=source
            )
    return page


def _chunk(wish: _Wish, before: Chunk | None, block: Block, begin: int, run: Run, answer: _Answer) -> Chunk:
    """A block after an answer: what was told before ``begin``, and what is told now."""
    bars = answer.bars
    old = before.bars[: bisect_left(before.bars, begin, key=_start)] if before is not None else ()
    held = (*old, *bars[bisect_left(bars, begin, key=_start) : bisect_left(bars, block.end, key=_start)])
    last = held[-1].end if held else 0
    known = policy.learned(_known(before), block, run, answer.asked, last, wish.asked)
    return Chunk(block, known, held, wish.marks[block], before.written if before is not None else 0)


def _is_base(wish: _Wish, chunk: Chunk) -> bool:
    """Whether what is known of a block can be gone on with."""
    return chunk.mark == wish.marks[chunk.block] and policy.believed(chunk.known, wish.asked.now) is not None


def _known(chunk: Chunk | None) -> Known | None:
    return chunk.known if chunk is not None else None


def _fresh(wish: _Wish, chunks: dict[Block, Chunk]) -> dict[Block, Chunk]:
    return {
        block: chunk
        for block, chunk in chunks.items()
        if chunk.mark == wish.marks[block] and policy.fresh(chunk.known, block, wish.asked)
    }


def _within(parts: Iterable[tuple[Bar, ...]], start: int, end: int) -> tuple[Bar, ...]:
    """The bars of ``parts`` between two times; a part that lies inside is taken as it is."""
    cut = (part[bisect_left(part, start, key=_start) : bisect_right(part, end, key=_end)] for part in parts if part)
    return tuple(chain.from_iterable(cut))
