"""Splits and dividends in the cache: of each symbol one span of time that is known, asked for anew when it is old."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import msgspec
from msgspec import Struct

from appliance.data.cache.counting import Counts
from appliance.data.cache.disk import Disk, Line, Stored
from appliance.data.cache.flights import Flights
from appliance.data.cache.memory import Memory
from appliance.data.cache.policy import Block, Terms, actions_fresh
from appliance.data.sources.base import HistorySource
from appliance.data.spans import Span
from appliance.domain.market import DAY, CorporateAction, Dividend, Split

KEPT = 4_000_000
"""Bytes of actions in memory."""
_YEAR = 365 * DAY
_ACTION_BYTES = 300
_DECODE = msgspec.json.Decoder(tuple[Split | Dividend, ...]).decode


class _Told(Struct, frozen=True):
    """The actions of a symbol in a span (ns UTC), asked for at ``asked``."""

    span: Span
    asked: int
    actions: tuple[CorporateAction, ...]


class Acting:
    """The splits and dividends that sources told. May be used by several threads."""

    def __init__(self, disk: Disk | None, clock: Callable[[], int], terms: Terms, counts: Counts) -> None:
        self._disk, self._clock, self._terms, self._counts = disk, clock, terms, counts
        self._memory: Memory[_Told] = Memory(KEPT)
        self._lock = threading.Lock()  # of the memory
        self._flights = Flights()

    def actions(self, source: HistorySource, symbols: Sequence[str], span: Span) -> tuple[CorporateAction, ...]:
        """See ``DataCache.actions``."""
        found: dict[str, _Told] = {}
        wanted = sorted(set(symbols))
        while lacking := [symbol for symbol in wanted if symbol not in found]:
            found |= self._known(source.name, lacking, span)
            lacking = [symbol for symbol in lacking if symbol not in found]
            with self._flights.alone((source.name, symbol) for symbol in lacking) as is_ours:
                if is_ours:  # another thread may have landed just before we took off
                    found |= self._known(source.name, lacking, span)
                    found |= self._heard(source, [symbol for symbol in lacking if symbol not in found], span)
        everything = (action for symbol in wanted for action in found[symbol].actions)
        return tuple(action for action in everything if span[0] <= action.time < span[1])

    def clear(self) -> None:
        """Forget what is in memory."""
        with self._lock:
            self._memory.clear()

    def _known(self, source: str, symbols: Sequence[str], span: Span) -> dict[str, _Told]:
        now = self._clock()
        held = {symbol: self._held(_line(source, symbol), now) for symbol in symbols}
        return {
            symbol: told
            for symbol, told in held.items()
            if told is not None and actions_fresh(told.span, told.asked, span, now, self._terms)
        }

    def _held(self, line: Line, now: int) -> _Told | None:
        with self._lock:
            told = self._memory.get(line)
        if told is None and self._disk is not None:
            told = next(filter(None, map(_read, self._disk.get(line, 0, 2**62, now))), None)
            if told is not None:
                self._remember(line, told)
        return told

    def _heard(self, source: HistorySource, symbols: Sequence[str], span: Span) -> dict[str, _Told]:
        """What the source tells of ``symbols``: of whole years, and until after tomorrow, for later questions too."""
        if not symbols:
            return {}
        asked = self._clock()
        held = [told.span for symbol in symbols if (told := self._held(_line(source.name, symbol), asked)) is not None]
        start = min([span[0] - span[0] % _YEAR, *(one[0] for one in held)])
        end = max([span[1] - span[1] % DAY + 2 * DAY, *(one[1] for one in held)])
        actions = source.actions(symbols, start, end)
        self._counts.add(calls=1)
        found = {
            symbol: _Told((start, end), asked, tuple(one for one in actions if one.symbol == symbol))
            for symbol in symbols
        }
        for symbol, told in found.items():
            self._keep(_line(source.name, symbol), told)
        return found

    def _keep(self, line: Line, told: _Told) -> None:
        self._remember(line, told)
        if self._disk is not None:
            body = msgspec.json.encode(told.actions)
            stored = Stored(*told.span, told.asked, told.asked, told.asked, 0, b"", body)
            self._disk.put(line, [stored], told.asked, alone=True)

    def _remember(self, line: Line, told: _Told) -> None:
        with self._lock:
            self._memory.put(line, told, _ACTION_BYTES * (1 + len(told.actions)))


def marks(actions: Iterable[CorporateAction], blocks: Iterable[Block]) -> dict[Block, bytes]:
    """What bars of each block depend on when they are adjusted: the actions since its start."""
    told = tuple(actions)
    return {block: _digest([one for one in told if one.time > block.start]) for block in blocks}


def _digest(actions: Sequence[CorporateAction]) -> bytes:
    return blake2b(msgspec.json.encode(actions), digest_size=8).digest()


def _line(source: str, symbol: str) -> Line:
    return Line(source, symbol, "", "actions")


def _read(stored: Stored) -> _Told | None:
    try:
        return _Told((stored.start, stored.end), stored.asked, _DECODE(stored.body))
    except msgspec.MsgspecError:
        return None
