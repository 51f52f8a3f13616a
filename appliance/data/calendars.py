"""Exchange sessions, compiled to a table once, so that no live process imports a calendar library."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from appliance.domain.market import MINUTE, AlwaysOpen, Session, Sessions
from appliance.errors import DataError, UsageError

FIRST_DATE = "1998-01-01"
"""Where the table begins, when the caller does not say."""
YEARS_AHEAD = 2
"""How far beyond the caller's date a table must reach."""
REGULAR, EXTENDED, ALWAYS = "regular", "extended", "always"
HOURS = (REGULAR, EXTENDED, ALWAYS)
"""Which hours of a market count: those of its calendar, those and what is traded before and after them, or all."""
SessionsOf = Callable[[str], Sessions]


class Extended(Struct, frozen=True, forbid_unknown_fields=True):
    """How long (minutes) is traded ``before`` the regular open and ``after`` the regular close. What stands here are US
    stocks': 04:00 to 09:30 and 16:00 to 20:00 in New York; after an early close at 13:00 they are traded to 17:00, and
    before it from 04:00 as ever. 0: not at all."""

    before: int = 330
    after: int = 240


US_STOCKS = Extended()


class CalendarOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Which ``hours`` count, and for single ``symbols`` which others (``{"BTC-USD": "always"}``). Symbols with a slash
    (``BTC/USD``) are pairs, whose market never closes."""

    hours: str = REGULAR
    symbols: Mapping[str, str] = {}
    extended: Extended = US_STOCKS

    def checked(self) -> CalendarOptions:
        """These options. Raises UsageError naming the first one that is wrong and what it may be."""
        named = {"hours": self.hours, **{f"hours of {symbol}": one for symbol, one in self.symbols.items()}}
        for name, value in named.items():
            if value not in HOURS:
                raise UsageError(f"{name}: {value!r}", hint=f"it must be one of {', '.join(HOURS)}")
        for name in ("before", "after"):
            minutes = getattr(self.extended, name)
            if not 0 <= minutes <= _EXTENDED_MAX:
                hint = f"write minutes, 0 to {_EXTENDED_MAX}: sessions must not overlap"
                raise UsageError(f"extended hours: {name} {minutes}", hint=hint)
        return self


_EXTENDED_MAX = 480


def always_open() -> AlwaysOpen:
    """The table of a market that never closes: the simulated one, or crypto."""
    return AlwaysOpen()


def hours(sessions: Sessions, which: str, extended: Extended = US_STOCKS) -> Sessions:
    """The table of ``which`` hours, from that of the regular ones. Extended hours make each session longer: it is still
    one, of the same date, and bars are counted from its longer beginning. They follow the exchange's clock through
    summer time because its open and close do. Raises UsageError for hours there are none of."""
    if which == ALWAYS or isinstance(sessions, AlwaysOpen):
        return always_open()
    if which == REGULAR:
        return sessions
    if which != EXTENDED:
        raise UsageError(f"hours {which!r}", hint=f"they must be one of {', '.join(HOURS)}")
    before, after = extended.before * MINUTE, extended.after * MINUTE
    return Sessions([Session(one.date, one.open - before, one.close + after) for one in sessions])


def calendar_of(options: CalendarOptions, sessions: Sessions) -> SessionsOf:
    """Which sessions each symbol has, given the exchange's regular ones. Raises UsageError for options that make no
    sense. The tables are made once: asking costs nothing."""
    tables = {which: hours(sessions, which, options.checked().extended) for which in HOURS}
    chosen = dict(options.symbols)

    def of(symbol: str) -> Sessions:
        usual = ALWAYS if "/" in symbol else options.hours
        return tables[chosen.get(symbol, usual)]

    return of


class _Table(Struct):
    """The compiled table as it lies on disk; ``library`` is what compiled it, since exchanges add holidays."""

    exchange: str
    library: str
    start: str
    end: str
    sessions: tuple[Session, ...]


def compile_sessions(start_date: str, end_date: str, exchange: str = "XNYS") -> tuple[Session, ...]:
    """The sessions from ``start_date`` to ``end_date`` (inclusive, YYYY-MM-DD). Imports pandas: 1 to 2 s and 70 MB.

    Raises DataError for an exchange or a date that is not known.
    """
    import exchange_calendars  # type: ignore[import-untyped]

    first, last = _day(start_date), _day(end_date)
    try:
        calendar = exchange_calendars.get_calendar(exchange, start=first.isoformat(), end=last.isoformat())
    except (exchange_calendars.errors.InvalidCalendarName, ValueError) as error:
        raise DataError(
            f"no sessions of exchange {exchange!r} from {start_date} to {end_date}: {error}",
            hint="use an ISO 10383 code that exchange_calendars knows, such as XNYS",
        ) from None
    opens = calendar.opens.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype("int64").tolist()
    closes = calendar.closes.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype("int64").tolist()
    dates = calendar.sessions.strftime("%Y-%m-%d").tolist()
    return tuple(map(Session, dates, opens, closes))


def load_sessions(cache_path: Path, today: str, exchange: str = "XNYS", start_date: str = FIRST_DATE) -> Sessions:
    """The session table from ``start_date`` to two years after ``today`` (YYYY-MM-DD), from ``cache_path`` if it can.

    A cache that is missing, damaged, too short or from another library version is compiled again and replaced.
    """
    table = cached_sessions(cache_path, today, exchange, start_date)
    if table is not None:
        return table
    end = date(_years_after(_day(today), YEARS_AHEAD).year, 12, 31).isoformat()
    made = _Table(exchange, _library(), start_date, end, compile_sessions(start_date, end, exchange))
    _write(cache_path, made)
    return Sessions(made.sessions)


def cached_sessions(
    cache_path: Path, today: str, exchange: str = "XNYS", start_date: str = FIRST_DATE
) -> Sessions | None:
    """The table in ``cache_path`` if it is what ``load_sessions`` would give; None where that would have to compile."""
    table = _read(cache_path)
    needed = _years_after(_day(today), YEARS_AHEAD)
    if table is None or not _covers(table, exchange, start_date, needed.isoformat()):
        return None
    return Sessions(table.sessions)


def _covers(table: _Table, exchange: str, start: str, end: str) -> bool:
    same = (table.exchange, table.library) == (exchange, _library())
    return same and table.start <= start and table.end >= end


def _library() -> str:
    return version("exchange_calendars")


def _read(path: Path) -> _Table | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Table)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _write(path: Path, table: _Table) -> None:
    """Replace the cache in one step. A cache that cannot be written costs the next start a second, nothing else."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.encode(table))
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()


def _years_after(day: date, years: int) -> date:
    """The same day some years later; 29 February becomes 1 March."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DataError(f"{text!r} is not a date", hint="write it as YYYY-MM-DD") from None
