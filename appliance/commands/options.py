"""The options `up` and `backtest` share: data, strategy, money, limits, results. Written once, meaning the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import replace

from appliance.choosing import NAMES as CHOICES
from appliance.choosing import explained, market_model, words
from appliance.commands.progress import Progress
from appliance.core.limits import LimitValues
from appliance.core.models import MarketModel
from appliance.data.calendars import cached_sessions, load_sessions
from appliance.data.options import FileOptions
from appliance.domain.market import SECOND, Session, Sessions
from appliance.domain.trading import AccountKind
from appliance.errors import DataError, EnvironmentFault, UsageError
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from appliance.settings import Limits, Settings, load_limits
from appliance.strategy import loader

if TYPE_CHECKING:
    from appliance.data.sources.files import FileReport, FileSource


class RunOptions(Struct, frozen=True):
    """What the owner asked for, as given; paths are not checked yet. ``cash`` is USD, None: as in the settings.
    ``warm_up`` is how many bars before ``--start`` each strategy is fed with, None: what it asks for; ``account`` what
    it lends, None: as in the settings.
    """

    data: tuple[str, ...] = ()
    files: FileOptions = FileOptions()
    strategies: tuple[StrategySpec, ...] = ()
    cash: Decimal | None = None
    limits: Path | None = None
    orders_out: Path | None = None
    state: Path | None = None
    as_json: bool = False
    warm_up: int | None = None
    model: dict[str, str] = {}
    account: AccountKind | None = None

    def market_model(self, settings: Settings) -> MarketModel:
        """How the paper broker fills, what it charges and lends: as the settings choose, and single choices over them;
        with ``--model`` as that one has it, whatever the settings say. Raises UsageError."""
        below = {} if self.model.get("model") else settings.paper.choices
        account = self.account or AccountKind(settings.paper.account)
        return replace(market_model({**below, **self.model}, dashes=True), account=account)

    def checked_files(self) -> tuple[FileOptions, FileReport, tuple[Session, ...] | None]:
        """The files' options without the table of sessions, what is in the files, and the table; see ``source``."""
        source, options = self.source()
        sessions = tuple(options.sessions) if options.sessions is not None else None
        return replace(options, sessions=None), source.report, sessions

    def source(self) -> tuple[FileSource, FileOptions]:
        """The files, read and checked, and how they were read.

        Without ``--symbols`` the strategies' own are taken. Raises DataError naming file, row and rule, UsageError
        when ``--symbols`` leaves out what a strategy trades.
        """
        wanted = {spec.name: runner_factory(spec)().symbols for spec in self.strategies}
        symbols = self.files.symbols or tuple(dict.fromkeys(symbol for named in wanted.values() for symbol in named))
        for name, named in wanted.items():
            _check_heard(name, named, symbols)
        from appliance.data.sources.files import FileSource  # it brings numpy along

        sessions = sessions_for(sessions_cache()) if self.files.session == "regular" else None
        options = replace(self.files, symbols=symbols, sessions=sessions)
        try:
            with Progress("reading", _size(self.data)) as bar:
                return FileSource(self.data, options, told=bar.advance), options
        except DataError as error:
            if not self.files.symbols and "no symbol" in error.text:
                way = "trade another with --param symbol=…"
                raise DataError(error.text, hint=f"{error.hint}; {way}" if error.hint else way) from None
            raise

    def limit_values(self, settings: Settings) -> LimitValues:
        """The guard's limits: from ``--limits``, else from the settings."""
        return limit_values(load_limits(self.limits) if self.limits is not None else settings.limits)


def _size(paths: Iterable[str]) -> int:
    """Bytes of files, as far as they are there."""
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))


def limit_values(limits: Limits) -> LimitValues:
    """The owner's limits as the guard takes them."""
    stale = limits.stale_price_seconds
    return LimitValues(
        limits.max_order_shares,
        limits.max_position_shares,
        limits.max_order_notional,
        limits.price_collar_percent,
        int(stale * SECOND) if stale is not None else None,
    )


def _check_heard(name: str, named: tuple[str, ...], symbols: tuple[str, ...]) -> None:
    """A strategy that would never hear of a bar is a mistake, not a quiet run."""
    if not set(named) & set(symbols):
        raise UsageError(
            f"--symbols {','.join(symbols)} leaves out what {name} trades: {', '.join(named)}",
            hint=f"leave --symbols away, or trade one of them: --param symbol={symbols[0]}",
        )


def sessions_cache() -> Path:
    """Where the compiled session calendar is kept, for all runs of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "appliance" / "sessions.json"


def sessions_for(cache: Path) -> Sessions:
    """The exchange's sessions from a cache; compiled in a child process, which alone pays for pandas."""
    today = datetime.now(UTC).date().isoformat()
    table = cached_sessions(cache, today)
    if table is None:
        subprocess.run([sys.executable, "-W", "ignore", "-c", _COMPILE, str(cache), today], check=False)
        table = load_sessions(cache, today)  # where the cache cannot be written, this process pays after all
    return table


_COMPILE = """
import sys
from pathlib import Path
from appliance.data.calendars import load_sessions
load_sessions(Path(sys.argv[1]), sys.argv[2])
"""


@contextmanager
def orders_file(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    """How to write the orders: whole or not at all. Tried first, since a run takes time; raises EnvironmentFault."""
    if path is None:
        yield lambda rows: None
        return
    part = path.parent / f"{path.name}.part"

    def write(rows: bytes) -> None:
        with _told(path):
            part.write_bytes(rows)
            part.replace(path)

    with _told(path):
        if path.is_dir():
            raise IsADirectoryError(None, "it is a directory")
        part.touch()
    try:
        yield write
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(
            f"{path}: the orders cannot be written: {error.strerror or error}", hint="name another file: --orders-out"
        ) from None


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a click command the shared options; it gets them as one ``options: RunOptions``."""
    return _with(command, _STRATEGIES)


def backtest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same options, with one strategy as the command's argument."""
    return _with(command, _STRATEGY)


def optional_strategy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same options, where the strategy may be left away."""
    return _with(command, _MAYBE_STRATEGY)


def _with(command: Callable[..., Any], strategy: Callable[..., Any]) -> Callable[..., Any]:
    def gathered(**given: Any) -> Any:
        return command(options=_options(given), **given)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed((*_OPTIONS[:1], strategy, *_OPTIONS[1:])):
        option(gathered)
    return gathered


def _completing(allowed: tuple[str, ...]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What a shell offers for a text that has been begun."""
    return lambda context, param, begun: [word for word in allowed if word.startswith(begun)]


_STRATEGIES = click.option(
    "--strategy",
    "strategy",
    multiple=True,
    type=click.Path(),
    metavar="FILE[:CLASS]",
    help="a strategy file (repeatable)",
)
_STRATEGY = click.argument(
    "strategy", type=click.Path(), metavar="STRATEGY", callback=lambda context, param, value: (value,)
)
_MAYBE_STRATEGY = click.argument(
    "strategy", type=click.Path(), metavar="STRATEGY", required=False,
    callback=lambda context, param, value: (value,) if value else (),
)  # fmt: skip

_OPTIONS = (
    click.option("--data", "data", multiple=True, type=click.Path(), metavar="FILE",
                 help="recorded data: CSV, CSV.gz or Parquet (repeatable)"),
    click.option("--bar-stamp", type=click.Choice(("start", "end")), default="end", show_default=True,
                 help="which end of a bar the file's ts is"),
    click.option("--timeframe", default="", metavar="LENGTH", help="of the file's bars, such as 1m  [default: told by "
                 "their distance]"),
    click.option("--symbols", default="", metavar="A,B", help="only these (default: the strategy's)"),
    click.option("--session", type=click.Choice(("regular", "all")), default="regular", show_default=True,
                 help="regular hours of the exchange, or everything in the file"),
    click.option("--start", default="", metavar="DATE", help="first New York date, inclusive"),
    click.option("--end", default="", metavar="DATE", help="last New York date, inclusive"),
    click.option("--warm-up", type=click.IntRange(0, 1_000_000), default=None, metavar="N",
                 help="bars before --start to learn from without trading  [default: what the strategy asks for]"),
    click.option("--factors", type=click.Path(), default="", metavar="FILE", help="split and dividend factors"),
    click.option("--prices", type=click.Choice(("adjusted", "raw")), default="adjusted", show_default=True,
                 help="with --factors: prices adjusted by them, or raw, and splits and dividends happen"),
    click.option("--opens", is_flag=True, help="tell the open of each bar, as a trade, when the bar begins"),
    click.option("--bad-rows", type=click.Choice(("refuse", "quarantine")), default="refuse", show_default=True,
                 help="what to do with rows that cannot be right"),
    click.option("--param", "param", multiple=True, metavar="KEY=VALUE", help="a strategy parameter (repeatable)"),
    click.option("--cash", default=None, metavar="USD", help="opening cash  [default: 100000]"),
    *(click.option(f"--{name.replace('_', '-')}", name, default=None, metavar="NAME" if name == "model" else "CHOICE",
                   help=explained(name), shell_complete=_completing(words(name))) for name in CHOICES),
    click.option("--account", type=click.Choice([kind.value for kind in AccountKind]), default=None,
                 help="cash: no short sales; margin: Regulation T, with borrow fees and interest; secured: short sales "
                 "held to the cash  [default: secured]"),
    click.option("--currency", default="USD", metavar="USD", callback=lambda context, param, value: _currency(value),
                 expose_value=False, help="of the account: USD is the only one"),
    click.option("--limits", type=click.Path(path_type=Path), help="the guard's limits (TOML); with recorded data the "
                 "default is to deny only malformed orders and those the cash does not pay for"),
    click.option("--orders-out", type=click.Path(path_type=Path), metavar="FILE", help="write each intent, one a line"),
    click.option("--state", type=click.Path(path_type=Path), metavar="DIR", help="state directory  [default: state]"),
    click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output"),
)  # fmt: skip


def _options(given: dict[str, Any]) -> RunOptions:
    """Take our own options out of ``given``. Raises UsageError."""
    symbols = tuple(part.strip() for part in given.pop("symbols").split(",") if part.strip())
    files = FileOptions(
        bar_stamp=given.pop("bar_stamp"), symbols=symbols, session=given.pop("session"), start=given.pop("start"),
        end=given.pop("end"), factors=given.pop("factors"), bad_rows=given.pop("bad_rows"), prices=given.pop("prices"),
        timeframe=given.pop("timeframe"), opens=given.pop("opens"),
    )  # fmt: skip
    params = parameters(given.pop("param"))
    if given["warm_up"] and not files.start:
        raise UsageError(
            f"--warm-up {given['warm_up']} without --start", hint="bars before the first date are fed: name it"
        )
    return RunOptions(
        data=given.pop("data"), files=files, strategies=strategy_specs(given.pop("strategy"), params),
        cash=_money(given.pop("cash")), limits=given.pop("limits"), orders_out=given.pop("orders_out"),
        model={name: text for name in CHOICES if (text := given.pop(name)) is not None},
        account=AccountKind(account) if (account := given.pop("account")) else None,
        state=given.pop("state"), as_json=given.pop("as_json"), warm_up=given.pop("warm_up"),
    )  # fmt: skip


def strategy_specs(targets: tuple[str, ...], params: dict[str, str]) -> tuple[StrategySpec, ...]:
    """Strategies named on the command line; names that would be equal get a number."""
    found: list[StrategySpec] = []
    for target in targets:
        path, class_name = loader.split_target(target)
        name = loader.strategy_name(path)
        same = sum(spec.name == name or spec.name.startswith(f"{name[:21]}-") for spec in found)
        unique = f"{name[:21]}-{same + 1}" if same else name
        found.append(StrategySpec(unique, os.path.abspath(path), class_name or "", params))
    return tuple(found)


def parameters(given: Iterable[str]) -> dict[str, str]:
    """``KEY=VALUE`` texts as names and values. Raises UsageError."""
    params = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(f"parameter {item!r}", hint="write it as KEY=VALUE, for instance fast=5")
        params[key] = value
    return params


def _currency(text: str) -> str:
    if text != "USD":
        raise UsageError(
            f"--currency {text!r}: accounts are in USD only",
            hint="convert the opening cash to USD, and give data whose prices are in USD",
        )
    return text


CASH_MAX = 10**12
"""USD: more than any account, and little enough that a float knows the cent."""
_MONEY_OF = re.compile(r"([A-Z]{3}|[€£¥])\s*[0-9.,]+|[0-9.,]+\s*([A-Z]{3}|[€£¥])")
"""An amount with its currency."""


def _money(text: str | None) -> Decimal | None:
    if text is None:
        return None
    if found := _MONEY_OF.fullmatch(text):
        _currency(found[1] or found[2])
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not (value.is_finite() and 0 < value <= CASH_MAX):
        raise UsageError(
            f"--cash {text!r}", hint="an amount in USD above 0 and at most a trillion, for instance --cash 100000"
        )
    return value
