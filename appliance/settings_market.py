"""Where market data comes from, as the owner writes it: ``[market]``, ``[[sources]]`` by preference, ``[data]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from appliance.errors import SettingsError
from appliance.settings_kinds import Files, Name, Seconds, Section, Speed, Symbols, Timeframe


class Market(Section):
    """Where market data comes from; ``live`` is from ``[[sources]]``. ``speed`` is a multiple of real time or ``max``
    (recorded data, in lockstep)."""

    source: Literal["simulated", "files", "live"] = "simulated"
    seed: int = Field(default=1, ge=0)
    symbols: Symbols = ("SPY", "QQQ")
    timeframe: Timeframe = "1m"
    speed: Speed = "1"
    files: Files = ()
    bar_stamp: Literal["start", "end"] = "end"
    session: Literal["regular", "all"] = "regular"
    start: date | None = None
    end: date | None = None
    factors: str | None = None
    bad_rows: Literal["refuse", "quarantine"] = "refuse"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source == "files" and not self.files:
            raise ValueError("files: name at least one file, since source is 'files'")
        if self.source != "files" and not self.symbols:
            raise ValueError(f"symbols: name at least one symbol, since source is {self.source!r}")
        if twice := sorted({one for one in self.symbols if self.symbols.count(one) > 1}):
            raise ValueError(f"symbols: {', '.join(twice)} stands there more than once; name each once")
        if self.start and self.end and self.start > self.end:
            raise ValueError(f"start: {self.start} is after end {self.end}")
        return self


Hours = Literal["regular", "extended", "always"]


class Source(BaseModel):
    """One source. Its key and secret are given here on a desk only; on a box they come as credentials. All other keys
    are those of its ``kind`` (``appliance data sources --help`` names them)."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    name: Name
    kind: Literal["alpaca", "ibkr", "rest", "websocket"]
    key: SecretStr = SecretStr("")
    secret: SecretStr = SecretStr("")
    live: bool = True
    history: bool = True
    rate: Annotated[float, Field(ge=0, le=1_000)] = 0.0
    burst: Annotated[int, Field(ge=0, le=10_000)] = 0

    @property
    def table(self) -> dict[str, Any]:
        """The options of its kind, as plain values."""
        return {name: plain(value) for name, value in (self.model_extra or {}).items()}


class Data(Section):
    """What is believed and kept. ``hours``: when data are expected, ``calendars`` for single symbols; ``extended`` is
    how many minutes before the open and after the close. ``kinds``: what is subscribed to. ``mute_seconds``: a
    connection that tells nothing for so long in session is given up. ``limits`` are those of the validator
    (``appliance data quality --rules``)."""

    hours: Hours = "regular"
    calendars: dict[str, Hours] = Field(default_factory=dict)
    extended: dict[str, int] = Field(default_factory=dict)
    kinds: tuple[Literal["bars", "quotes", "trades", "statuses"], ...] = ("bars", "quotes", "statuses")
    mute_seconds: Seconds = Decimal(10)
    return_seconds: Seconds = Decimal(30)
    limits: dict[str, float] = Field(default_factory=dict)
    history_mb: int = Field(default=2_048, ge=1, le=1_000_000)
    cache_mb: int = Field(default=256, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "bars" not in self.kinds:
            raise ValueError("kinds: bars must be among them, since strategies trade on bars")
        return self


def plain(value: Any) -> Any:
    """A TOML value without Decimals: what describes a source is no money."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def set_by_name(tree: Mapping[str, Any], variable: str, keys: Sequence[str], value: Any) -> None:
    """Set what ``APPLIANCE_SOURCES__NAME__KEY`` says (``keys``: name and key) in the table of the source of that name,
    its dashes written as underscores. Where settings have no source at all it is for a run with others, and left
    alone. Raises SettingsError where there is no such one, without the value: it may be a key."""
    tables = {str(one.get("name")): one for one in _tables(tree)}
    if not tables:
        return
    named = next((one for name, one in tables.items() if name.replace("-", "_") == keys[0]), None)
    if named is None or len(keys) != 2:
        raise SettingsError(
            f"{variable}: there is no such source, or not one key of it; there is {', '.join(tables)}",
            hint="name it as in [[sources]], or unset it; APPLIANCE_SOURCES__ALPACA__KEY is the key of source alpaca",
        )
    named[keys[1]] = value if keys[1] in ("key", "secret") else _bare(value)


def _bare(value: Any) -> Any:
    """A number or a truth that a variable can only say as text."""
    if value in ("true", "false"):
        return value == "true"
    for kind in (int, float):
        try:
            return kind(value) if isinstance(value, str) else value
        except ValueError:
            continue
    return value


def _tables(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    sources = tree.get("sources")
    yield from (one for one in sources if isinstance(one, dict)) if isinstance(sources, list) else ()
