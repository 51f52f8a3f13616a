"""Sources of market data from settings to running objects: descriptions, credentials, one manager for all of them."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import pydantic
from msgspec import Struct, ValidationError, convert, json

from appliance.core.breaker import CircuitBreaker
from appliance.core.ports import Clock
from appliance.core.rate_limit import TokenBucket
from appliance.data import past
from appliance.data.cache import CacheLimits, DataCache
from appliance.data.calendars import CalendarOptions, Extended, SessionsOf
from appliance.data.layout import nearest
from appliance.data.live.feed import LiveFeed
from appliance.data.live.keeping import Keeper
from appliance.data.live.spec import LiveSpec
from appliance.data.manager import DataManager
from appliance.data.polite import Polite
from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.base import HistorySource, LiveSource
from appliance.data.sources.built import BuiltHistory, BuiltLive
from appliance.data.sources.spec import Options, SourceSpec, Splits, Unready, history_of, live_of
from appliance.data.store import HistoryStore, StoreLimits
from appliance.data.validation.limits import ValidationLimits
from appliance.data.warmup import Need
from appliance.domain.market import SECOND, Bar, Sessions, Split
from appliance.errors import DataError, SettingsError, SourceRefused, UsageError
from appliance.settings import Settings
from appliance.settings_market import Data, Source
from appliance.shell import credentials, logs
from appliance.shell.paths import StatePaths

log = logging.getLogger(__name__)
Made = TypeVar("Made", bound=Struct)


# --- from settings ----------------------------------------------------------------------------------------------------


def live_spec(settings: Settings, timeframe: str = "") -> LiveSpec:
    """What the settings ask of live data, checked as far as that can be without asking anybody. ``timeframe`` is for
    other bars than the settings'. Raises SettingsError that names the source, the option, and what is allowed."""
    data, market = settings.data, settings.market
    with _settings():
        sources = tuple(_spec(source, source.table) for source in settings.sources)
        limits = _table("limits", data.limits, ValidationLimits).checked()
        extended = _table("extended", data.extended, Extended)
        calendar = CalendarOptions(data.hours, data.calendars, extended).checked()
    return LiveSpec(
        sources, market.symbols, timeframe or market.timeframe, data.kinds, calendar,
        int(data.mute_seconds * SECOND), int(data.return_seconds * SECOND), limits, data.history_mb, data.cache_mb,
    )  # fmt: skip


def mistakes(tree: Mapping[str, Any]) -> Iterator[str]:
    """One line for each mistake in what settings leave to others to understand: the options of each source, the limits,
    the calendars. ``tree`` is as the owner wrote it; a table that has mistakes of another kind is not looked into."""
    sources = tree.get("sources")
    for number, table in enumerate(sources if isinstance(sources, list) else ()):
        try:
            source = Source.model_validate(table)
        except pydantic.ValidationError:
            continue
        yield from (f"sources[{number}]: {said}" for said in _each(source.table, partial(_spec, source)))
    try:
        data = Data.model_validate(tree.get("data", {}))
    except pydantic.ValidationError:
        return
    yield from _each(data.limits, lambda it: _table("limits", it, ValidationLimits).checked())
    yield from _each(
        data.extended, lambda table: CalendarOptions(extended=_table("extended", table, Extended)).checked()
    )


def _each(table: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object]) -> Iterator[str]:
    """What ``check`` says of a table, then of the table without the key it spoke of, until there is nothing to say."""
    while (said := _said(table, check)) is not None:
        yield said
        for key in table:
            rest = {other: value for other, value in table.items() if other != key}
            next_said = _said(rest, check)
            if next_said is None or (next_said != said and key not in next_said):
                table = rest
                break
        else:  # it is of no single key
            return


def _said(table: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object]) -> str | None:
    try:
        check(table)
    except UsageError as error:
        return f"{error.text}; {error.hint}" if error.hint else error.text
    return None


def keep_credentials(settings: Settings, paths: StatePaths) -> None:
    """Lay the credentials that the settings hold where processes find them. Raises EnvironmentFault."""
    for source in settings.sources:
        for part in ("key", "secret"):
            if value := getattr(source, part).get_secret_value():
                credentials.keep(paths, source.name, part, value)


def _spec(source: Source, table: Mapping[str, Any]) -> SourceSpec:
    spec = SourceSpec(source.name, source.kind, dict(table), source.live, source.history, source.rate, source.burst)
    spec.options()
    return spec


def _table(name: str, given: Mapping[str, object], kind: type[Made]) -> Made:
    """A table of ``[data]`` as what it describes. Raises UsageError that names the key and what there may be."""
    known = kind.__struct_fields__
    for key in given:
        if key not in known:
            hint = f"{nearest(key, known)} there may be {', '.join(known)}"
            raise UsageError(f"data.{name}.{key}: there is no such key", hint=hint.strip())
    try:
        return convert(given, kind, strict=False)
    except ValidationError as error:
        raise UsageError(f"data.{name}: {error}", hint=f"there may be {', '.join(known)}") from None


@contextmanager
def _settings() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise SettingsError(error.text, hint=error.hint) from None


# --- running objects --------------------------------------------------------------------------------------------------


def manager_of(
    spec: LiveSpec, paths: StatePaths, sessions: Sessions, store: HistoryStore | None = None, cached: bool = False
) -> DataManager:
    """The manager of a box's sources, with their credentials; ``sessions`` are the exchange's regular ones,
    ``cached`` remembers what sources told in the state directory.

    A source whose credential is missing is not asked for the past, and live it refuses itself: the others go on.
    """
    hours = spec.sessions_of(sessions)
    ready = {source.name: _options_or_why(source, paths) for source in spec.sources}
    knowing: list[DataManager] = []  # who is asked for splits is only there once the sources are

    def splits(symbol: str) -> tuple[Split, ...]:
        return knowing[0].splits(symbol)

    known = any(_knows_splits(ready[one.name]) and one.history for one in spec.sources)
    live = [_live(one, ready[one.name], spec.timeframe, hours) for one in spec.sources if one.live]
    asked = [
        _history(one, ready[one.name], hours, sessions, splits if known else None)
        for one in spec.sources
        if one.history
    ]  # fmt: skip
    cache = _cache(spec, paths, hours) if cached else None
    rescaled = () if known else [one.name for one in spec.sources if one.kind == "ibkr"]
    manager = DataManager(
        spec, [one for one in asked if one is not None], [one for one in live if one is not None], hours, store, cache,
        rescaled,
    )  # fmt: skip
    knowing.append(manager)
    return manager


def _cache(spec: LiveSpec, paths: StatePaths, sessions_of: SessionsOf) -> DataCache:
    """The cache of these very sources: what one told under another feed or address is forgotten."""
    path = paths.cache(sha256(json.encode(spec.sources)).hexdigest()[:8])
    for other in path.parent.glob("cache-*.db*"):
        if not other.name.startswith(path.name):
            try:
                other.unlink(missing_ok=True)
            except OSError as error:
                log.warning(f"{other}: the cache of other sources cannot be removed: {error.strerror}")
    return DataCache(path, sessions_of, limits=CacheLimits(disk_mb=spec.cache_mb), tell=log.warning)


def _live(
    source: SourceSpec, options: Options | SourceRefused, timeframe: str, sessions_of: SessionsOf
) -> LiveSource | None:
    """The source of live bars of ``timeframe``, built where it has others; one that says why it cannot tell them; None
    where its kind tells nothing live."""
    if isinstance(options, SourceRefused):
        return Unready(source.name, options)
    found = live_of(options)
    if found is None or timeframe in found.traits.timeframes:
        return found
    try:
        return BuiltLive(found, timeframe, sessions_of, lag=getattr(options, "lag", 0))
    except UsageError as error:
        return Unready(source.name, SourceRefused(error.text, hint=error.hint))


def _history(
    source: SourceSpec, options: Options | SourceRefused, sessions_of: SessionsOf, sessions: Sessions,
    splits: Splits | None,
) -> HistorySource | None:  # fmt: skip
    """The source of past data, asked politely and for every timeframe; None where it has none, or cannot be asked."""
    found = None if isinstance(options, SourceRefused) else history_of(options, sessions, splits)
    return None if found is None else BuiltHistory(_polite(source, found), sessions_of)


def _knows_splits(options: Options | SourceRefused) -> bool:
    return isinstance(options, AlpacaOptions) and options.market == "stocks"


def _options_or_why(source: SourceSpec, paths: StatePaths) -> Options | SourceRefused:
    try:
        return _options(source, paths)
    except SourceRefused as error:
        return error


def _options(source: SourceSpec, paths: StatePaths) -> Options:
    """Raises SourceRefused where a part of the credential is missing."""
    parts = {part: credentials.read(paths, source.name, part) for part in ("key", "secret")}
    logs.hide(*parts.values())
    lacking = [part for part in source.needs if not parts[part]]
    if lacking:
        variable = f"APPLIANCE_SOURCES__{source.name.upper().replace('-', '_')}__{lacking[0].upper()}"
        raise SourceRefused(
            f"has no {' and no '.join(lacking)}",
            source=source.name,
            hint=f"set {variable}, or give the credential {source.name}-{lacking[0]} to its systemd unit",
        )
    return source.options(**parts)


def _polite(source: SourceSpec, history: HistorySource) -> Polite:
    now = time.monotonic_ns()
    return Polite(
        history, TokenBucket(source.asks, now), CircuitBreaker(), time.monotonic_ns, time.sleep,
        random.Random(source.name),
    )  # fmt: skip


# --- live -------------------------------------------------------------------------------------------------------------


def open_store(spec: LiveSpec, paths: StatePaths, read_only: bool = False) -> HistoryStore:
    """The box's history store. Raises EnvironmentFault."""
    return HistoryStore(paths.history, read_only, StoreLimits(size_mb=spec.history_mb))


def feed_of(spec: LiveSpec, paths: StatePaths, sessions: Sessions, clock: Clock, seed: int) -> LiveFeed:
    """The hooks of a feed process on live data; what it publishes is kept in the history store."""
    manager = manager_of(spec, paths, sessions)
    keep = Keeper(lambda: open_store(spec, paths), time.time_ns)
    ends = past.read(paths.past).ends()
    return manager.subscribe(spec.symbols, spec.subscribed, clock, random.Random(seed), keep, ends)


def prepare(spec: LiveSpec, paths: StatePaths, sessions: Sessions, needs: Iterable[Need], now: int) -> str:
    """Fetch what strategies with these needs warm up with, adjusted for splits, and leave it for them; "" or what is
    lacking, and why: they then learn as they go. ``now`` is UTC (ns). Raises SettingsError where no source can tell
    live data, EnvironmentFault."""
    hours = spec.sessions_of(sessions)
    found: list[Bar] = []
    whys = []
    with closing(open_store(spec, paths)) as store:
        if store.replaced:
            log.warning(store.replaced)
        manager = manager_of(spec, paths, sessions, store, cached=True)
        _check_live(manager)
        for symbol, start in sorted(past.wanted(needs, hours, spec.timeframe, now).items()):
            try:
                if manager.keeps(spec.timeframe):
                    deque(manager.fetch(symbol, spec.timeframe, start, now), 0)
                found += next(manager.history((symbol,), spec.timeframe, start, now, "split"))
            except DataError as error:
                whys.append(f"{symbol}: {error.text}")
        manager.close()
        if store.replaced:
            log.warning(store.replaced)
    past.write(paths.past, past.Past(now, tuple(sorted(found, key=lambda bar: (bar.end, bar.symbol)))))
    return "; ".join(whys)


def _check_live(manager: DataManager) -> None:
    unready = [source.why for source in manager.live if isinstance(source, Unready)]
    if len(unready) == len(manager.live):
        whys = "; ".join(why.text for why in unready) or "none of them is used live (a rest source needs poll)"
        raise SettingsError(f"sources: no source can tell live data: {whys}", hint=unready[0].hint if unready else "")
