"""What ten strategies ask of the past in two days: recorded once, from the strategies themselves, and read again.

The strategies of ``strategies/`` are started, and tell what they need; the box's own rules (``data/past.py``) make
spans of it. What happens to the box in these days is written below: it starts before the open, a host falls over, a
strategy is reloaded, the box restarts, the owner looks at charts; and after each minute every strategy looks back over
its last ``LOOK`` bars.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from appliance.data import past
from appliance.data.calendars import load_sessions
from appliance.data.warmup import Need, needs_of
from appliance.domain.market import DAY, MINUTE, SECOND, Session, Sessions
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from tests.bench import box

FILE = Path(__file__).with_name("cache_pattern.csv.gz")
TODAY = "2026-03-03"
"""A Tuesday; the pattern goes on into the day after."""
LOOK, WARM_UP = 500, 100
"""Bars each strategy looks back over after each minute, and warms up with where it does not say how many."""
TEN = (
    ("bollinger", {}), ("bollinger", {"symbol": "QQQ"}), ("buy_and_hold", {}), ("donchian_breakout", {}),
    ("momentum_rotation", {}), ("momentum_rotation", {"timeframe": "1d", "lookback": "20"}), ("opening_range", {}),
    ("pairs", {}), ("rsi_reversion", {}), ("sma_cross", {}),
)  # fmt: skip
"""Files of ``strategies/`` and their parameters, where they are not the usual ones."""


class Request(NamedTuple):
    """A question for bars of ``symbol`` that is asked at ``now``, or with ``symbol`` "" a restart of the box; ns UTC.
    ``why`` it is asked."""

    now: int
    why: str
    symbol: str = ""
    timeframe: str = ""
    start: int = 0
    end: int = 0


class Strategy(NamedTuple):
    """What a strategy asks of the past."""

    name: str
    symbols: tuple[str, ...]
    needs: tuple[Need, ...]


def sessions() -> Sessions:
    """New York's, with which the pattern was recorded."""
    with box.state_directory() as paths:
        return load_sessions(paths.root / "sessions.json", TODAY)


def strategies(reloaded: dict[str, str] | None = None) -> list[Strategy]:
    """The ten, started, and what they say they need; ``reloaded``: other parameters of all that take them."""
    return [_strategy(file, {**params, **(reloaded or {})}) for file, params in TEN]


def _strategy(file: str, params: dict[str, str]) -> Strategy:
    runner = runner_factory(StrategySpec(file, str(box.ROOT / f"strategies/{file}.py"), params=params))()
    runner.start(0)
    needs = runner.needs or needs_of((), runner.symbols, WARM_UP)
    return Strategy(file, tuple(runner.symbols), tuple(needs))


def recorded(table: Sessions) -> Iterator[Request]:
    """The two days, in order of time."""
    ten = strategies()
    first = next(one for one in table if one.date == TODAY)
    second = table.coming(first.close)
    assert second is not None
    slow = _strategy("donchian_breakout", {"entry": "400", "leave": "200"})
    happens = {
        first.open + 75 * MINUTE: [("reload", [slow])],
        first.open + 121 * MINUTE: [("host fell over", ten[:5])],
        first.open + 160 * MINUTE: [("box restarted", ten)],
        first.open + 300 * MINUTE: [("host fell over", ten[5:])],
    }
    yield from _warmed("start", ten, table, first.open - 90 * MINUTE)
    yield from _session(first, 390, ten, table, happens)
    yield from _charts(first.close + 10 * MINUTE, table, "evening report")
    yield from _warmed("box restarted", ten, table, second.open - 90 * MINUTE)
    yield from _session(second, 60, ten, table, {})


def _session(
    session: Session,
    minutes: int,
    ten: Sequence[Strategy],
    table: Sessions,
    happens: dict[int, list[tuple[str, Sequence[Strategy]]]],
) -> Iterator[Request]:
    for minute in range(1, minutes + 1):
        now = session.open + minute * MINUTE + SECOND
        for why, who in happens.get(session.open + minute * MINUTE, ()):
            yield from _warmed(why, who, table, now)
        for one in ten:
            for symbol in one.symbols:
                yield Request(now, one.name, symbol, "1m", past.since("1m", LOOK, table, now), now)
        if minute % 60 < 10:  # the owner looks at the page for ten minutes of each hour
            yield from _charts(now, table, "chart")


def _warmed(why: str, who: Sequence[Strategy], table: Sessions, now: int) -> Iterator[Request]:
    """What is fetched before the strategies start; a box that restarts has an empty memory."""
    if why in ("start", "box restarted"):
        yield Request(now, why)
    for one in who:
        for symbol, start in past.wanted(one.needs, lambda symbol: table, "1m", now).items():
            yield Request(now, why, symbol, "1m", start, now)


def _charts(now: int, table: Sessions, why: str) -> Iterator[Request]:
    for symbol in ("SPY", "QQQ"):
        yield Request(now, why, symbol, "5m", past.since("5m", 390, table, now), now)
        yield Request(now, why, symbol, "1d", now - 366 * DAY, now)


def write(requests: Sequence[Request]) -> None:
    """Write the pattern, the same bytes for the same requests."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(Request._fields)
    rows.writerows(requests)
    with FILE.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        file.write(text.getvalue().encode())


def read() -> list[Request]:
    """The pattern, as it was recorded."""
    with gzip.open(FILE, "rt", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return [Request(int(now), why, symbol, of, int(start), int(end)) for now, why, symbol, of, start, end in rows]
