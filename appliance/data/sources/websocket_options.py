"""What describes a WebSocket/JSON source: what to say on connecting, and which message is which."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from appliance.data.sources.base import Kind
from appliance.data.sources.mapping import BarFields, Fields, QuoteFields, StatusFields, Times, TradeFields
from appliance.data.sources.rest_options import (
    ERRORS,
    SECRET,
    check_address,
    check_credential,
    check_timeframes,
    check_times,
)
from appliance.data.sources.templates import Secrets, check, chosen
from appliance.errors import UsageError

PACKINGS = ("none", "gzip", "deflate")
KINDS: dict[type, Kind] = {
    BarFields: Kind.BARS, QuoteFields: Kind.QUOTES, TradeFields: Kind.TRADES, StatusFields: Kind.STATUSES,
}  # fmt: skip
ANY = "*"
"""A value in ``where`` that stands for any, null too: the field has to be there."""


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """Messages in which each path of ``where`` has its value hold ``rows`` of the kind that ``fields`` are for (a path
    to one row, or to a list of them). ``timeframe`` is that of its bars."""

    where: dict[str, Any]
    fields: Fields
    rows: str = "$"
    timeframe: str = "1m"


class Echo(Struct, frozen=True, forbid_unknown_fields=True):
    """A message of the server's that wants an answer, such as a ping in JSON: ``{value}`` in ``send`` is what stands
    at the first path of ``where``."""

    where: dict[str, Any]
    send: Any


class Beat(Struct, frozen=True, forbid_unknown_fields=True):
    """Signs of life. Every ``every`` seconds ``send`` is sent (a message; null: a ping of the protocol), and
    something has to come back within ``within`` seconds."""

    every: float = 5.0
    within: float = 5.0
    send: Any = None


class WebSocketOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A WebSocket/JSON source.

    ``url`` and ``headers`` may hold ``{key}``, ``{secret}`` and ``{basic}`` of the credential; ``hello`` is sent first,
    if there is one, and a message with the values of ``accepted`` has to come back (empty: nothing is waited for).
    ``subscribe`` has a message for each kind (bars, quotes, trades, statuses): a list in it with ``{symbol}`` is spread
    over all of them, ``{symbols}`` alone becomes their list, and one with ``{symbol}`` elsewhere is sent for each;
    ``{symbol:lower}`` is in lower case, ``{id}`` counts messages. Each is answered by one with the values of
    ``subscribed``. ``errors`` are paths that only a refusal has, and what it means: busy, refused or down.

    ``messages`` say which is which: the first that fits counts, and one that fits none is told as odd, once.
    ``answer`` (seconds) is how long to wait for the connection and each reply, ``largest`` the most bytes of a message,
    ``packing`` how binary messages are packed: none, gzip or deflate.
    """

    name: str
    url: str
    subscribe: dict[str, Any]
    messages: tuple[Message, ...]
    headers: dict[str, str] = {}
    hello: Any = None
    accepted: dict[str, Any] = {}
    subscribed: dict[str, Any] = {}
    errors: dict[str, str] = {}
    echoes: tuple[Echo, ...] = ()
    beat: Beat = Beat()
    times: Times = Times("ms")
    symbols: dict[str, str] = {}
    at_once: int = 0
    packing: str = "none"
    answer: float = 5.0
    largest: int = 4 << 20
    key: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"WebSocketOptions(name={self.name!r}, url={self.secrets.masked(self.url)!r})"

    @property
    def secrets(self) -> Secrets:
        """Its credential."""
        return Secrets(self.key, self.secret)

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Those of its bars."""
        return tuple(dict.fromkeys(one.timeframe for one in self.messages if isinstance(one.fields, BarFields)))

    def checked(self) -> WebSocketOptions:
        """Itself. Raises UsageError naming the option, its value, and what it may be."""
        check_address(self.name, "url", self.url, ("ws", "wss"))
        for option, template in (("url", self.url), ("headers", self.headers), ("hello", self.hello)):
            check(self.name, option, template, SECRET | {"id"})
        check(self.name, "subscribe", self.subscribe, SECRET | {"symbol", "symbols", "id"})
        check_times(self.name, self.times)
        chosen(self.name, "packing", self.packing, PACKINGS)
        for meaning in self.errors.values():
            chosen(self.name, "errors", meaning, ERRORS)
        if self.timeframes:
            check_timeframes(self.name, dict.fromkeys(self.timeframes, ""))
        check_credential(self.name, (self.url, self.headers, self.hello, self.subscribe), self.key, self.secret)
        self._kinds()
        return self

    def _kinds(self) -> None:
        """What is subscribed to has to be understood, and the other way round."""
        kinds = tuple(kind.value for kind in Kind)
        for name in self.subscribe:
            chosen(self.name, "subscribe", name, kinds)
        known = {KINDS[type(one.fields)].value for one in self.messages}
        for name in [*self.subscribe, *known]:
            if name not in known or name not in self.subscribe:
                there, lacking = ("subscribe", "messages") if name in self.subscribe else ("messages", "subscribe")
                raise UsageError(
                    f"source {self.name}: {there} has {name}, but {lacking} has none",
                    hint=f"say in {lacking} what {name} are, or leave them out of {there}",
                )
        if not self.subscribe:
            raise UsageError(f"source {self.name}: subscribe is empty", hint="name at least bars or quotes")
        if min(self.beat.every, self.beat.within, self.answer, self.largest) <= 0:
            raise UsageError(f"source {self.name}: every, within, answer and largest are above 0", hint="correct them")
