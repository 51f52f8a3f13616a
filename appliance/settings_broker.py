"""Which broker trades, as the owner writes it: ``[broker]``, and ``[paper]`` for the simulated one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, model_validator

from appliance.choosing import NAMES as CHOICES
from appliance.choosing import market_model
from appliance.errors import UsageError
from appliance.settings_kinds import ClockTime, Section, Url, Words

Funds = Literal["secured", "cash", "margin"]
Rate = Annotated[float, Field(ge=0, le=1)]
KEYS: dict[str, tuple[str, ...]] = {
    "paper": (),
    "alpaca": ("key", "secret", "account", "url", "stream_url", "extended_hours", "funds", "cash"),
    "ibkr": ("host", "port", "client_id", "account", "restart", "timezone", "outside_rth", "funds", "cash"),
}
"""The keys of ``[broker]`` that mean something at each venue. ``key`` and ``secret`` alone may stand there anyway."""
LIVE_PORTS = (4001, 7496)
"""Where Interactive Brokers' Gateway and TWS listen when they are logged in to a live account."""
PRACTICE = ("paper-api.alpaca.markets", "127.0.0.1", "::1", "localhost")
"""Hosts where no live money is: Alpaca's own for paper accounts, and this machine."""
SOURCE_IDS = 8
"""How many client ids a source of market data at Interactive Brokers takes, from its own on."""
_IB_ACCOUNT = re.compile(r"[A-Z]{1,3}[0-9]{3,12}")


class Broker(Section):
    """Which broker trades. On a box the keys come as systemd credentials; here they are for a desk.

    ``account``: at Alpaca ``paper`` or ``live``, at Interactive Brokers its number. ``cash`` (USD) is what the
    strategies divide among themselves, ``funds`` what of the account's lending may be used. ``restart`` is when the
    gateway restarts each day (HH:MM) in ``timezone`` ("": this machine's). ``client_id`` is for orders, the one after
    it for ``appliance broker check``."""

    venue: Literal["paper", "alpaca", "ibkr"] = "paper"
    key: SecretStr = SecretStr("")
    secret: SecretStr = SecretStr("")
    account: str = ""
    url: Url = ""
    stream_url: Url = ""
    extended_hours: bool = False
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 4002
    client_id: Annotated[int, Field(ge=1, le=2**31 - 2)] = 7
    restart: ClockTime = "23:45"
    timezone: str = ""
    outside_rth: bool = False
    funds: Funds = "secured"
    cash: Annotated[Decimal, Field(gt=0)] | None = None

    @property
    def real(self) -> bool:
        """Whether orders leave the box."""
        return self.venue != "paper"

    @property
    def live(self) -> bool:
        """Whether it is live money: what is not surely a practice account is."""
        if self.venue == "ibkr":
            return self.port in LIVE_PORTS or not self.account.startswith("DU")
        elsewhere = [url for url in (self.url, self.stream_url) if url and urlsplit(url).hostname not in PRACTICE]
        return self.venue == "alpaca" and (self.account == "live" or bool(elsewhere))

    @property
    def live_by_address(self) -> str:
        """What else than the account's name makes it live money, as the end of a sentence; "" where nothing does."""
        if self.venue == "ibkr" and self.port in LIVE_PORTS:
            return f" at another port: {self.port} is a live gateway's"
        if self.venue == "alpaca" and self.live and self.account != "live":
            return " and leave url and stream_url away: they are not the paper account's"
        return ""

    @property
    def name(self) -> str:
        """The account in two words: ``paper alpaca``, ``live U1234567``."""
        return f"{'live' if self.live else 'paper'} {self.account if self.venue == 'ibkr' else self.venue}"

    @property
    def options(self) -> dict[str, bool | int | str]:
        """What only this venue understands, by name."""
        apart = ("key", "secret", "account", "funds", "cash")
        return {name: getattr(self, name) for name in KEYS[self.venue] if name not in apart}

    def shares_ids_with(self, kind: str, source: Mapping[str, Any]) -> int:
        """A client id of ours at the gateway that a source of market data with these options would take; 0: none."""
        same = (source.get("host", "127.0.0.1"), source.get("port", 4002)) == (self.host, self.port)
        first = source.get("client_id", 17)
        if self.venue != "ibkr" or kind != "ibkr" or not same or not isinstance(first, int):
            return 0
        return next((one for one in (self.client_id, self.client_id + 1) if first <= one < first + SOURCE_IDS), 0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if wrong := [*self._foreign(), *self._account(), *self._zone()]:
            raise ValueError("\n".join(wrong))
        return self

    def _zone(self) -> Iterator[str]:
        try:
            if self.timezone:
                ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield f"timezone: {self.timezone!r} is none; write one such as America/New_York, or leave it away"

    def _foreign(self) -> Iterator[str]:
        """What is set and means nothing here, for its owner believes that it does."""
        for name, field in type(self).model_fields.items():
            known = name in ("venue", "key", "secret") or name in KEYS[self.venue]
            if not known and getattr(self, name) != field.default:
                venues = " and ".join(venue for venue, names in KEYS.items() if name in names)
                yield f"{name}: is a key of venue {venues}, and venue is {self.venue!r}; leave it away"

    def _account(self) -> Iterator[str]:
        if self.venue == "alpaca" and self.account not in ("", "paper", "live"):
            yield f"account: {self.account!r} must be 'paper' or 'live'"
        elif self.venue == "ibkr" and not _IB_ACCOUNT.fullmatch(self.account):
            said = f"{self.account!r} is no account number" if self.account else "name the account"
            yield f"account: {said}; it is like DU1234567 (paper) or U1234567 (live)"


class Manners(Section):
    """How badly the paper broker behaves, for drills (see ``appliance.venues.unruly``): ``latency_ms`` milliseconds
    until a request arrives, and how often (0 to 1) it does what. Nothing of it when all are 0."""

    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    reject: Rate = 0.0
    partial: Rate = 0.0
    disconnect: Rate = 0.0
    ambiguous: Rate = 0.0
    seed: Annotated[int, Field(ge=0)] = 1

    @property
    def table(self) -> dict[str, Any]:
        """What is asked for, by name; empty for good manners."""
        found = self.model_dump()
        return found if any(value for name, value in found.items() if name != "seed") else {}


class Paper(Section):
    """The paper broker: opening cash (USD), what it lends, and how its market fills and what it charges, as
    ``appliance.choosing`` has it; "" is as the ``model`` says."""

    currency: Literal["USD"] = "USD"
    account: Funds = "secured"
    cash: Annotated[Decimal, Field(gt=0)] = Decimal(100_000)
    model: Words = ""
    commission: Words = ""
    slippage: Words = ""
    impact: Words = ""
    sizing: Words = ""
    latency: Words = ""
    market_fill: Words = ""
    limit_fill: Words = ""
    bar_fill: Words = ""
    trailing_fill: Words = ""
    stop_limit_fill: Words = ""
    slippage_bound: Words = ""
    fill_on: Words = ""
    participation: Words = ""
    borrow: Words = ""
    margin_interest: Words = ""
    manners: Manners = Manners()

    @property
    def choices(self) -> dict[str, str]:
        """What is chosen, by name."""
        return {name: getattr(self, name) for name in CHOICES}

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            market_model(self.choices)
        except UsageError as error:
            raise ValueError(f"{error.text}; {error.hint}") from None
        return self
