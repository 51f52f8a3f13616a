"""The past of a live run: bars that were fetched before it began, and lie beside its specification until it ends.

They are read once a strategy starts anew. Since they lie in a file, what it learnt from can be learnt again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from appliance.data.calendars import SessionsOf
from appliance.data.warmup import Need
from appliance.domain.market import Bar, Sessions, timeframe_ns, timeframe_parts
from appliance.errors import EnvironmentFault

SPARE = 3
"""Sessions beyond those that should be enough: bars without a trade are not there."""
_SESSIONS = {"d": 1, "w": 5, "mo": 23}
"""The most sessions in a unit of time."""


class Past(Struct, frozen=True):
    """All that ended at or before ``until`` (ns UTC), by end, then symbol: bars of one timeframe."""

    until: int = 0
    bars: tuple[Bar, ...] = ()

    def ends(self) -> dict[tuple[str, str], int]:
        """The end (ns UTC) of the last bar, by symbol and timeframe."""
        return {(bar.symbol, bar.timeframe): bar.end for bar in self.bars}

    def of(self, needs: Sequence[Need], sessions_of: SessionsOf, timeframe: str) -> tuple[Bar, ...]:
        """What a strategy with these needs is fed with, in order: for a need of bars of ``timeframe`` as many as it
        needs, for longer ones those since the first of them began; fewer where there are not so many."""
        first: dict[str, int] = {}
        for need in needs:
            start = self._start(need, sessions_of(need[0]), timeframe)
            first[need[0]] = min(first.get(need[0], start), start)
        return tuple(bar for bar in self.bars if bar.symbol in first and bar.start >= first[bar.symbol])

    def _start(self, need: Need, sessions: Sessions, timeframe: str) -> int:
        symbol, asked, count = need
        if asked and timeframe_ns(asked) > timeframe_ns(timeframe):
            return since(asked, count, sessions, self.until)
        mine = [bar for bar in self.bars if bar.symbol == symbol]
        return mine[-count:][0].start if mine else self.until


def since(timeframe: str, count: int, sessions: Sessions, until: int, spare: int = 0) -> int:
    """When the last ``count`` bars of ``timeframe`` before ``until`` (ns UTC) began, if each was traded: the open of a
    session, and of one ``spare`` sessions earlier. The first of the table where that has no more."""
    number, unit = timeframe_parts(timeframe)
    session = sessions.previous(until)
    if session is None:
        return until
    if unit in _SESSIONS:
        back = count * number * _SESSIONS[unit]
    else:
        a_session = -(-(session.close - session.open) // timeframe_ns(timeframe))
        back = -(-count // a_session) + 1
    for _ in range(back + spare - 1):
        session = sessions.previous(session.open) or session
    return session.open


def wanted(needs: Iterable[Need], sessions_of: SessionsOf, timeframe: str, until: int) -> dict[str, int]:
    """From when on (ns UTC) bars of ``timeframe`` are needed of each symbol."""
    found: dict[str, int] = {}
    for symbol, asked, count in needs:
        start = since(asked or timeframe, count, sessions_of(symbol), until, SPARE)
        found[symbol] = min(found.get(symbol, start), start)
    return found


def write(path: Path, past: Past) -> None:
    """Write it whole or not at all. Raises EnvironmentFault."""
    draft = path.with_suffix(".new")
    try:
        draft.write_bytes(msgspec.msgpack.encode(past))
        os.replace(draft, path)
    except OSError as error:
        raise EnvironmentFault(
            f"{path}: cannot be written: {error.strerror or error}", hint="check the disk's free space"
        ) from error


def read(path: Path) -> Past:
    """What was written; nothing where nothing was, or it cannot be read: a strategy then learns as it goes."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Past)
    except (OSError, msgspec.MsgspecError):
        return Past()
