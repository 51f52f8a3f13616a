"""The owner's settings: one TOML file, environment overrides, three profiles; every mistake reported at once.

``APPLIANCE_SECTION__KEY=value`` overrides a key of a section; lists and tables are written as in TOML, a list of names
also as ``SPY,QQQ``. Later wins: defaults, profile, file, environment."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache, reduce
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from appliance.domain.market import SECOND
from appliance.domain.topics import WINDOWS
from appliance.errors import SettingsError
from appliance.settings_broker import Broker, Paper
from appliance.settings_kinds import OFF, Count, Limit, Name, Parameter, Seconds, Section
from appliance.settings_market import Data, Market, Source, set_by_name
from appliance.settings_text import MASK, mistakes, read_toml, secrets_in, toml, unsecret

ENV_PREFIX = "APPLIANCE_"
PROFILES = ("paper", "live", "test")
_M = TypeVar("_M", bound=BaseModel)
Beyond = Callable[[Mapping[str, Any]], Iterable[str]]
"""One line for each mistake in a settings tree that only others can know, such as an option of a source."""


def _nothing(tree: Mapping[str, Any]) -> Iterable[str]:
    return ()


class Box(Section):
    """Which box this is; ``name`` is a level of every MQTT topic."""

    name: Name = "box"


class Log(Section):
    """``json`` unset: JSON lines unless standard error is a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool | None = Field(default=None, alias="json")


class Strategy(Section):
    """One strategy of the owner's. ``group`` shares a host; ``cash`` is its own (USD), else a share of what is left."""

    name: Name
    file: str = Field(min_length=1)
    class_name: str = Field(default="", alias="class")
    params: dict[str, Parameter] = Field(default_factory=dict)
    group: Name | None = None
    cash: Annotated[Decimal, Field(gt=0)] | None = None

    @property
    def host(self) -> str:
        """The name of the host it runs in."""
        return self.group or self.name


class Limits(Section):
    """What the guard allows: shares, USD, percent of the last price, seconds. None (``"off"``): not checked."""

    max_order_shares: Limit = Decimal(1_000)
    max_position_shares: Limit = Decimal(1_000)
    max_order_notional: Limit = Decimal(100_000)
    price_collar_percent: Limit = Decimal(5)
    stale_price_seconds: Limit = Decimal(120)

    @classmethod
    def off(cls) -> Self:
        """No limit at all, as a backtest without ``--limits`` has it."""
        return cls.model_validate(dict.fromkeys(cls.model_fields))


class Validity(Section):
    """How long (seconds) a decision may be acted on."""

    intent_seconds: Seconds = Decimal(30)
    approval_seconds: Seconds = Decimal(5)

    @property
    def intent(self) -> int:
        """Nanoseconds from the decision to the gateway."""
        return int(self.intent_seconds * SECOND)

    @property
    def approval(self) -> int:
        """Nanoseconds from the guard's word to the gateway."""
        return int(self.approval_seconds * SECOND)


class Host(Section):
    """What a process that runs strategies may use: ``memory_mb`` is MiB beyond what it has when it has loaded."""

    memory_mb: int = Field(default=512, ge=64, le=65_536)

    @property
    def memory(self) -> int:
        """Bytes."""
        return self.memory_mb << 20


class Watchdog(Section):
    """How long (seconds) a process may go without a turn of work before it is killed and started again."""

    seconds: Seconds = Decimal(12)


class Journal(Section):
    """How many rows each journal keeps, and whether every quote is recorded or only those an output used."""

    messages: Count = 100_000
    inputs: Count = 200_000
    dead_letters: Count = 1_000
    record: bool = False


class Settings(Section):
    """All there is to set; ``show`` prints it, ``settings_hash`` names it."""

    profile: Literal["paper", "live", "test"] = "paper"
    box: Box = Box()
    log: Log = Log()
    market: Market = Market()
    sources: tuple[Source, ...] = ()
    data: Data = Data()
    strategies: tuple[Strategy, ...] = ()
    broker: Broker = Broker()
    paper: Paper = Paper()
    limits: Limits = Limits()
    validity: Validity = Validity()
    host: Host = Host()
    watchdog: Watchdog = Watchdog()
    journal: Journal = Journal()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if wrong := [*self._names(), *self._money(), *self._broker()]:
            raise ValueError("\n".join(wrong))
        return self

    def _names(self) -> Iterator[str]:
        for table, names in (
            ("strategies", [s.name for s in self.strategies]),
            ("sources", [s.name for s in self.sources]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                yield f"{table}: two {table} are named {', '.join(twice)}; names must differ"
        if self.market.source == "live" and not any(source.live for source in self.sources):
            yield "sources: name at least one that is used live, since market.source is 'live'"

    def _money(self) -> Iterator[str]:
        allotted = sum((strategy.cash for strategy in self.strategies if strategy.cash is not None), Decimal(0))
        cash, key = (self.broker.cash, "broker.cash") if self.broker.real else (self.paper.cash, "paper.cash")
        if cash is not None and allotted > cash:
            yield f"strategies: their cash is {allotted} USD in all, more than the account's {cash} USD ({key})"

    def _broker(self) -> Iterator[str]:
        """Live money needs two settings that say so, and a real broker a real market."""
        broker = self.broker
        if broker.live and self.profile != "live":
            yield (
                f"broker.account: {broker.name!r} is live money, and the profile is {self.profile!r}; to trade it set "
                f"profile = 'live' as well, else name a paper account{broker.live_by_address}"
            )
        if broker.real and self.market.source != "live":
            yield (
                f"broker.venue: {broker.venue!r} with market.source {self.market.source!r} would trade a fiction; set "
                "market.source = 'live' and name [[sources]], or trade it on paper"
            )
        if broker.real and self.paper.manners.table:
            yield f"paper.manners: are the paper broker's, and broker.venue is {broker.venue!r}; leave them away"
        for source in self.sources:
            if taken := broker.shares_ids_with(source.kind, source.table):
                yield (
                    f"broker.client_id: {broker.client_id} and the one after it are taken for orders, and {taken} is "
                    f"one of source {source.name}'s at the same gateway; choose another"
                )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all hosts, in the order of their first strategy."""
        return tuple(dict.fromkeys(strategy.host for strategy in self.strategies))

    @property
    def processes(self) -> tuple[str, ...]:
        """The processes of the money path, in start order."""
        return ("monitor", "gateway", "guard", *(f"host@{host}" for host in self.hosts), "feed")

    @property
    def users(self) -> tuple[str, ...]:
        """Every MQTT user: the processes and the windows."""
        return (*self.processes, *WINDOWS)

    @property
    def topic_root(self) -> str:
        """What every MQTT topic begins with."""
        return f"appliance/1/{self.box.name}/"


_PROFILE_DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {"market": {"timeframe": "5s"}},  # a first look shows its first trades within minutes
    "live": {"log": {"level": "warning"}},
    "test": {"market": {"speed": "max"}, "log": {"level": "debug"}},
}


def default_settings(profile: str = "paper") -> Settings:
    """A profile's settings with nothing else said. Raises SettingsError for an unknown profile."""
    return load_settings(None, profile, {})


def load_settings(
    path: Path | None = None,
    profile: str | None = None,
    env: Mapping[str, str] | None = None,
    beyond: Beyond = _nothing,
) -> Settings:
    """The effective settings. ``profile`` (else APPLIANCE_PROFILE, else the file's, else paper) gives the defaults.

    Relative paths in the file start at the file's directory; ``beyond`` names mistakes in what others understand.
    Raises SettingsError listing every mistake."""
    env = os.environ if env is None else env
    tree = read_toml(path) if path is not None else {}
    chosen = profile or env.get(f"{ENV_PREFIX}PROFILE") or tree.get("profile", "paper")
    merged = _merge({}, _anchored(tree, path.parent) if path is not None else tree)
    origins = {}
    for variable, keys, value in _overrides(env):
        if keys[0] == "sources":
            set_by_name(merged, variable, keys[1:], value)
            continue
        merged = _merge(merged, reduce(lambda inner, key: {key: inner}, reversed(keys), value))
        origins[".".join(keys)] = variable
    merged = _merge(_defaults(str(chosen), merged.get("market")), merged)
    tree = merged | {"profile": chosen}
    return _checked(Settings, tree, str(path) if path else "settings", origins, beyond(tree))


def _defaults(profile: str, market: object) -> dict[str, dict[str, Any]]:
    """A profile's defaults; those of the market are for one that is not live."""
    defaults = _PROFILE_DEFAULTS.get(profile, {})
    live = isinstance(market, dict) and market.get("source") == "live"
    return {name: table for name, table in defaults.items() if not (live and name == "market")}


def load_limits(path: Path) -> Limits:
    """The limits in a TOML file of their own, with or without a ``[limits]`` header. Raises SettingsError."""
    tree = read_toml(path)
    table = tree["limits"] if list(tree) == ["limits"] and isinstance(tree["limits"], dict) else tree
    return _checked(Limits, table, str(path), {})


def show(settings: Settings) -> str:
    """The effective settings as TOML, secrets masked; without secrets it loads back to the same settings."""
    return toml(_tree(settings, MASK))


def secret_values(settings: Settings) -> tuple[str, ...]:
    """Every secret that is set, for the log's mask."""
    return tuple(found for found in secrets_in(settings.model_dump()) if found)


def settings_hash(settings: Settings) -> str:
    """Twelve hex digits that differ when any setting but a secret does; processes compare it before they trade."""
    canonical = json.dumps(_tree(settings, None), sort_keys=True, separators=(",", ":"), default=_canonical)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def build_hash() -> str:
    """Twelve hex digits over this package's sources; processes of different builds must not trade together."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        content = source.read_bytes()
        digest.update(f"{source.relative_to(package).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _checked(
    model: type[_M], tree: Mapping[str, Any], source: str, origins: Mapping[str, str], beyond: Iterable[str] = ()
) -> _M:
    lines = []
    try:
        made = model.model_validate(tree)
    except ValidationError as error:
        lines = mistakes(model, error, origins)
    lines += beyond
    if not lines:
        return made
    count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    raise SettingsError(
        "\n".join([f"{source}: {count}", *(f"  {line}" for line in lines)]),
        hint="correct them, then run 'appliance config check'",
    )


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees in one, ``above`` where they differ."""
    merged = {key: _merge(value, {}) if isinstance(value, dict) else value for key, value in below.items()}
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merge(under if isinstance(under, dict) else {}, value) if isinstance(value, dict) else value
    return merged


def _overrides(env: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    for variable in sorted(env):
        if variable.startswith(ENV_PREFIX) and "__" in variable:
            yield variable, tuple(variable.removeprefix(ENV_PREFIX).lower().split("__")), _env_value(env[variable])


def _env_value(text: str) -> Any:
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return text  # the check of its key says what is expected


def _anchored(tree: dict[str, Any], base: Path) -> dict[str, Any]:
    """The tree with the files it names made relative to ``base``; what has the wrong type is left to the check."""

    def anchor(table: object, key: str) -> None:
        value = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict) and isinstance(value, str):
            table[key] = str(base / value)
        elif isinstance(table, dict) and isinstance(value, list):
            table[key] = [str(base / item) if isinstance(item, str) else item for item in value]

    anchor(tree.get("market"), "files")
    anchor(tree.get("market"), "factors")
    strategies = tree.get("strategies")
    for strategy in strategies if isinstance(strategies, list) else ():
        anchor(strategy, "file")
    return tree


def _tree(settings: Settings, mask: str | None) -> dict[str, Any]:
    """Plain data by the file's keys; secrets are replaced by ``mask``, or left out without one."""
    plain: dict[str, Any] = unsecret(settings.model_dump(by_alias=True), mask)
    plain["limits"] = {key: OFF if value is None else value for key, value in plain["limits"].items()}
    return plain


def _canonical(value: object) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
