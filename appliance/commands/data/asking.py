"""What the commands on the history store ask for alike: where it is, what of it, which days, and when markets open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.domain.market import SECOND, Sessions
from appliance.errors import ApplianceError, DataError, UsageError

if TYPE_CHECKING:
    from appliance.data.calendars import SessionsOf
    from appliance.data.store import HistoryStore, Holding

Command = Callable[..., Any]
FOREVER = 2**63 - 1
"""Where an open end of a range lies (ns UTC)."""


def held_symbols(context: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """What a shell offers: the symbols that the store holds; nothing where it cannot be read."""
    try:
        with opened(context.params.get("state") or Path("state")) as store:
            return sorted({one.symbol for one in store.holdings() if one.symbol.startswith(begun)})
    except ApplianceError:
        return []


state_option = click.option(
    "--state", type=click.Path(path_type=Path), default=Path("state"), show_default=True, metavar="DIR",
    help="state directory", is_eager=True,
)  # fmt: skip
settings_option = click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path), metavar="FILE", help="the settings (TOML)",
    is_eager=True,
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
progress_option = click.option("--progress", is_flag=True, help="say how far it is, also where there is no terminal")
session_option = click.option(
    "--session", type=click.Choice(("regular", "extended", "always")), default=None,
    help="when bars are due  [default: as the settings say, without settings in regular hours of the exchange, and "
    "always for pairs such as BTC/USD]",
)  # fmt: skip


def dates(start: str, end: str) -> Callable[[Command], Command]:
    """``--start`` and ``--end``, with what they say of themselves."""

    def given(command: Command) -> Command:
        last = click.option("--end", default="", metavar="DATE", help=f"last New York date, inclusive{end}")
        first = click.option("--start", default="", metavar="DATE", help=f"first New York date, inclusive{start}")
        return first(last(command))

    return given


def timeframe_option(default: str) -> Callable[[Command], Command]:
    """``--timeframe``, one of those that data come in."""
    from appliance.domain.market import TIMEFRAMES

    return click.option(
        "--timeframe", default=default, metavar="LENGTH", help="of the bars, such as 1m or 1d",
        shell_complete=lambda context, param, begun: [name for name in TIMEFRAMES if name.startswith(begun)],
        show_default=bool(default),
    )  # fmt: skip


def names(given: Iterable[str]) -> tuple[str, ...]:
    """Symbols as they were named, in order, each once; commas separate too."""
    parts = (part.strip() for text in given for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def span(start: str, end: str) -> tuple[int, int]:
    """``[start, end)`` (ns UTC) of two New York dates, each open where it is empty. Raises UsageError."""
    from appliance.data.options import FileOptions

    return FileOptions(session="all", start=start, end=end).checked().span


def known_timeframe(text: str) -> str:
    """A timeframe that bars can have. Raises UsageError naming what is allowed."""
    from appliance.domain.market import timeframe_ns

    try:
        timeframe_ns(text)
    except ValueError as error:
        raise UsageError(f"--timeframe {error}") from None
    return text


def history_file(state: Path) -> Path:
    """Where a state directory keeps its history."""
    from appliance.shell.paths import StatePaths

    return StatePaths(state).root / "data" / "history.db"


@contextmanager
def opened(state: Path, writing: bool = False) -> Iterator[HistoryStore]:
    """The history store of a state directory; that of a directory without one is empty. Raises EnvironmentFault."""
    from appliance.data.store import HistoryStore

    store = HistoryStore(history_file(state), read_only=not writing)
    try:
        if store.replaced:
            click.echo(f"note: {store.replaced}", err=True)
        yield store
    finally:
        store.close()


def tell_short_memory(store: HistoryStore, timeframes: Iterable[str], now: int) -> None:
    """Say it where the store holds bars that it will not keep for long, for they are old and short."""
    from appliance.domain.market import DAY

    for timeframe in dict.fromkeys(timeframes):
        days = store.limits.days.get(timeframe, 0)
        old = [one.symbol for one in store.holdings() if one.timeframe == timeframe and one.first < now - days * DAY]
        if days and old:
            click.echo(
                f"note: {timeframe} bars are kept for {days} days: a running box removes the older ones of "
                f"{', '.join(old[:5])}; 'appliance data export' writes them to a file",
                err=True,
            )


def chosen(store: HistoryStore, symbols: Sequence[str], timeframe: str = "") -> tuple[Holding, ...]:
    """What the store holds of symbols and a timeframe (of all where none is named). Raises DataError for a symbol it
    has nothing of."""
    from appliance.data.layout import nearest

    held = store.holdings()
    some = tuple(one for one in held if not timeframe or one.timeframe == timeframe)
    absent = [symbol for symbol in symbols if symbol not in {one.symbol for one in some}]
    if absent:
        known = sorted({f"{one.symbol} {one.timeframe}" for one in held})
        what = f"{timeframe} bars" if timeframe else "bars"
        near = nearest(absent[0], sorted({one.symbol for one in some}))
        raise DataError(
            f"the store holds no {what} of {', '.join(absent)}",
            hint=f"{near} it holds {', '.join(known[:20]) or 'nothing yet'}; 'appliance data fetch' gets more".strip(),
        )
    return tuple(one for one in some if not symbols or one.symbol in symbols)


class Calendars:
    """The sessions of symbols: those of ``session`` for all, else as the settings say, which has its defaults without a
    file. Raises SettingsError."""

    def __init__(self, session: str | None = None, settings_file: Path | None = None) -> None:
        from appliance.settings import load_settings

        self._session, self._settings = session, load_settings(settings_file)
        self._of: SessionsOf | None = None
        self._exchange: Sessions | None = None

    def __call__(self, symbol: str) -> Sessions:
        if self._of is None:
            self._of = self._made()
        return self._of(symbol)

    @property
    def exchange(self) -> Sessions:
        """The regular sessions of the exchange."""
        if self._exchange is None:
            from appliance.commands.options import sessions_cache, sessions_for

            self._exchange = sessions_for(sessions_cache())
        return self._exchange

    def _made(self) -> SessionsOf:
        from appliance.data.calendars import calendar_of, hours
        from appliance.sourcing import live_spec

        options = live_spec(self._settings).calendar
        if self._session is None:
            return calendar_of(options, self.exchange)
        table = hours(self.exchange, self._session, options.extended)
        return lambda symbol: table


def counted(number: int, what: str) -> str:
    """``1 gap``, ``3,000 gaps``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def moment(at: int) -> str:
    """A time (ns UTC) as a person reads it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at // SECOND)) if at else "-"
