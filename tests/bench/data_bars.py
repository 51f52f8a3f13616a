"""Minutes built from the recorded seconds of SPY beside the recorded minutes, and what a bar's provenance costs."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from appliance.core.building import BarBuilder
from appliance.data.building import PartBars
from appliance.data.calendars import load_sessions
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import Bar, Sessions
from tests.data.real import real

TIMES = 20_000
Compared = dict[str, int]


class _Bare(Struct, frozen=True, gc=False, tag="bar", omit_defaults=True):
    """A bar as it was before it said where it is from."""

    symbol: str
    timeframe: str
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float


def minutes() -> dict[str, Any]:
    """Both builders over all recorded seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sessions = load_sessions(Path(folder) / "sessions.json", "2013-10-14", start_date="2013-01-01")
    seconds, recorded = read(sessions)
    begin = time.perf_counter()
    ordered = in_order(seconds, sessions)
    middle = time.perf_counter()
    live = as_told(seconds, sessions)
    end = time.perf_counter()
    return {
        "seconds": len(seconds), **compared(ordered, recorded), "live_builder": compared(live, recorded),
        "ns_a_second_in_order": round((middle - begin) / len(seconds) * 1e9),
        "ns_a_second_live": round((end - middle) / len(seconds) * 1e9),
    }  # fmt: skip


def read(sessions: Sessions) -> tuple[list[Bar], list[Bar]]:
    """SPY's recorded seconds, and its recorded minutes of the same days; in session."""
    found = []
    for name in ("equity_1sec_bars", "equity_1min_bars"):
        options = FileOptions(
            bar_stamp="start", symbols=("SPY",), sessions=sessions, start="2013-10-07", end="2013-10-11"
        )
        source, bars, done = FileSource([real(name)], options), list[Bar](), False
        while not done:
            offer = source.batch(10_000)
            bars += [event for event in offer.events if isinstance(event, Bar)]
            done = offer.done
        found.append(bars)
    return found[0], found[1]


def in_order(seconds: list[Bar], sessions: Sessions) -> list[Bar]:
    """By the builder that strategies and history have."""
    builder = BarBuilder("SPY", "1m", sessions)
    return [*(bar for one in seconds for bar in builder.add(one)), *builder.finish(2**62)]


def as_told(seconds: list[Bar], sessions: Sessions) -> list[Bar]:
    """By the builder that live sources have."""
    builder = PartBars("SPY", "1m", sessions)
    return [*(bar for one in seconds for bar in builder.add(one)), *builder.tick(2**62)]


def compared(made: list[Bar], recorded: list[Bar]) -> Compared:
    """Minutes that both have, in how many high, low and close are equal, and in how many the open too."""
    theirs = {bar.end: bar for bar in recorded}
    pairs = [(bar, theirs[bar.end]) for bar in made if bar.end in theirs]
    equal = sum((one.high, one.low, one.close) == (two.high, two.low, two.close) for one, two in pairs)
    opens = sum(one.open == two.open for one, two in pairs)
    return {
        "compared": len(pairs), "equal": equal, "differing": len(pairs) - equal, "open_equal": opens,
        "only_built": len(made) - len(pairs), "only_recorded": len(recorded) - len(pairs),
    }  # fmt: skip


def cost() -> dict[str, Any]:
    """Bytes in memory and on the wire, and ns to encode: of a bar without provenance, and with it."""
    row = ("SPY", "1m", 1_381_152_600 * 10**9, 1_381_152_660 * 10**9, 100.25, 101.5, 99.75, 100.5, 120_000.0)
    kinds = {"bare": _Bare(*row), "recorded": Bar(*row), "live": Bar(*row, "alpaca", 1_381_152_660_123_456_789, 1)}
    encoder = msgspec.json.Encoder()
    return {name: _cost(bar, encoder) for name, bar in kinds.items()}


def _cost(bar: Struct, encoder: msgspec.json.Encoder) -> dict[str, int]:
    """The best of five rounds: another process at work makes none of them faster."""
    own = sum(sys.getsizeof(getattr(bar, name)) for name in ("received",) if getattr(bar, name, 0))
    best = 0.0
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(TIMES):
            encoder.encode(bar)
        taken = time.perf_counter() - begin
        best = min(best or taken, taken)
    return {
        "bytes": sys.getsizeof(bar) + own, "wire_bytes": len(encoder.encode(bar)),
        "encode_ns": round(best / TIMES * 1e9),
    }  # fmt: skip
