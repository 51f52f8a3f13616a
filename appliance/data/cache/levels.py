"""Both levels of the cache as one: blocks of bars, from memory where they are, else from the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from appliance.data.cache import policy
from appliance.data.cache.columns import packed, unpacked
from appliance.data.cache.disk import Disk, Line, Stored
from appliance.data.cache.memory import Memory
from appliance.data.cache.policy import Block, Known
from appliance.domain.market import Bar

BAR_BYTES = 380
"""What a bar weighs in memory at most, its numbers included."""
CHUNK_BYTES = 500


class Chunk(Struct, frozen=True):
    """A block of bars and what is known of it. ``mark`` is that of the splits and dividends its prices are adjusted
    for; its copy on the disk was asked for at ``written`` (ns UTC; 0: there is none)."""

    block: Block
    known: Known
    bars: tuple[Bar, ...]
    mark: bytes = b""
    written: int = 0


class Levels:
    """Chunks by line and block; may be used by several threads. ``disk`` None: memory alone."""

    def __init__(self, memory: int, disk: Disk | None, tell: Callable[[str], None]) -> None:
        self._memory: Memory[Chunk] = Memory(memory)
        self._lock = threading.Lock()  # of the memory
        self._disk, self._tell = disk, tell

    @property
    def weight(self) -> int:
        """Bytes in memory."""
        return self._memory.weight

    def in_memory(self, line: Line, blocks: Iterable[Block]) -> dict[Block, Chunk]:
        """Those of the blocks that are in memory."""
        with self._lock:
            held = {block: self._memory.get((line, block)) for block in blocks}
        return {block: chunk for block, chunk in held.items() if chunk is not None}

    def on_disk(self, line: Line, blocks: Sequence[Block], now: int) -> dict[Block, Chunk]:
        """Those of the blocks (in order) that are on the disk; they are in memory then."""
        if self._disk is None or not blocks:
            return {}
        wanted = frozenset(blocks)
        stored = self._disk.get(line, blocks[0].start, blocks[-1].start, now)
        mine = [one for one in stored if Block(one.start, one.end) in wanted]
        found = {chunk.block: chunk for one in mine if (chunk := self._read(line, one, now)) is not None}
        self._remember(line, found.values())
        return found

    def keep(self, line: Line, chunks: Iterable[Chunk], now: int) -> None:
        """Keep chunks in memory, and on the disk those that are worth it."""
        kept = [self._written(line, chunk) for chunk in chunks]
        written = [_stored(chunk) for chunk in kept if chunk.written == chunk.known.asked]
        if self._disk is not None and written:
            self._disk.put(line, written, now)
        self._remember(line, kept)

    def clear(self) -> None:
        """Forget what is in memory."""
        with self._lock:
            self._memory.clear()

    def _written(self, line: Line, chunk: Chunk) -> Chunk:
        worth = policy.is_worth_writing(chunk.known, chunk.written, chunk.block, line.timeframe)
        return replace(chunk, written=chunk.known.asked) if worth else chunk

    def _remember(self, line: Line, chunks: Iterable[Chunk]) -> None:
        with self._lock:
            for chunk in chunks:
                self._memory.put((line, chunk.block), chunk, CHUNK_BYTES + BAR_BYTES * len(chunk.bars))

    def _read(self, line: Line, stored: Stored, now: int) -> Chunk | None:
        try:
            bars = unpacked(line.symbol, line.timeframe, stored.body)
        except ValueError as error:
            if self._disk is not None:
                self._disk.drop(line, [stored.start], now)
            self._tell(f"the data cache had a damaged block of {line.symbol} {line.timeframe}, now removed: {error}")
            return None
        known = Known(stored.asked, stored.until, stored.settled, stored.last)
        return Chunk(Block(stored.start, stored.end), known, bars, stored.mark, stored.asked)


def _stored(chunk: Chunk) -> Stored:
    known = chunk.known
    return Stored(
        *chunk.block, known.asked, known.until, known.settled, known.last, chunk.mark, packed(chunk.bars)
    )  # fmt: skip
