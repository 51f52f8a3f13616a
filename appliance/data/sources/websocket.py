"""Any server with a WebSocket/JSON interface as a live source, described in settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.data.sources.base import Kind, Linked, Oddity, Stop, Tell, Told, Traits, Wire
from appliance.data.sources.mapping import (
    BarFields,
    Missing,
    QuoteFields,
    Reader,
    Row,
    TradeFields,
    Unusable,
    has,
    pick,
    shown,
)
from appliance.data.sources.moments import whole
from appliance.data.sources.templates import filled, filled_deep
from appliance.data.sources.unpacking import unpacked
from appliance.data.sources.websocket_options import ANY, KINDS, Echo, Message, WebSocketOptions
from appliance.domain.market import SECOND, Heard, timeframe_ns
from appliance.errors import SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

LOOK = 0.1
"""Seconds between two looks at whether to stop."""
BAD = 100
"""Messages in a row that make no sense, after which the connection makes none."""
STRANGE = 20
"""Kinds of unknown messages that are told, each once."""
_ERRORS: dict[str, type[SourceError]] = {"busy": SourceBusy, "refused": SourceRefused, "down": SourceDown}
_BUSY = 1013
"""Close code: try again later (RFC 6455 registry)."""


class WebSocketSource:
    """Live data from a server that ``options`` describe."""

    def __init__(self, options: WebSocketOptions, clock: Callable[[], int] = time.time_ns) -> None:
        """Raises UsageError for options that make no sense."""
        self._options = options.checked()
        self.name = options.name
        self.traits = _traits(options)
        self._clock = clock

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """See ``LiveSource.run``."""
        from websockets.exceptions import ConnectionClosed, WebSocketException

        secrets = self._options.secrets
        try:
            with _connected(self._options) as connection:
                _Conversation(self._options, connection, self._clock, tell, stop).hold(symbols, kinds)
        except ConnectionClosed as error:
            raise _hung_up(self._options, error) from None
        except WebSocketException as error:
            raise _no_handshake(self._options, error) from None
        except OSError as error:  # TimeoutError too
            text = secrets.masked(
                f"cannot be reached ({type(error).__name__}: {error.strerror or 'no answer in time'})"
            )
            raise SourceDown(text, source=self.name, hint="check the network and the source's url") from None


class _Stopped(Exception):
    """It was told to stop."""


class _Conversation:
    """One connection: hello, subscriptions, then all that comes. Nothing is told before ``Linked``."""

    def __init__(
        self, options: WebSocketOptions, connection: ClientConnection, clock: Callable[[], int], tell: Tell, stop: Stop
    ) -> None:
        self._options, self._connection, self._clock, self._stop = options, connection, clock, stop
        self._secrets = options.secrets
        self._reader = Reader(options.name, options.times)
        self._tell = tell
        self._early: list[Told] = []
        self._linked = False
        self._sent = self._bad = 0
        self._names: dict[str, str] = {}
        self._kinds: frozenset[Kind] = frozenset()
        self._strange: set[str] = set()
        self._beat = _Heart(options, connection)

    def hold(self, symbols: Sequence[str], kinds: Sequence[Kind]) -> None:
        """Speak until ``stop`` or the connection ends."""
        self._names = {self._options.symbols.get(symbol, symbol): symbol for symbol in symbols}
        self._kinds = frozenset(kind for kind in kinds if kind.value in self._options.subscribe)
        try:
            self._hello()
            lacking = self._subscribe()
            if symbols and len(lacking) == len(symbols):
                raise SourceRefused(next(iter(lacking.values())), source=self._options.name)
            self._tell(Linked(tuple(symbol for symbol in symbols if symbol not in lacking), lacking))
            self._linked = True
            for told in self._early:
                self._tell(told)
            while True:
                self._take(self._receive())
        except _Stopped:
            return

    # --- what we say ----------------------------------------------------------------------------------------------

    def _hello(self) -> None:
        if self._options.hello is not None:
            self._send(self._options.hello, {})
        if self._options.accepted:
            self._await(self._options.accepted, "its hello")

    def _subscribe(self) -> dict[str, str]:
        """Subscribe to everything. What symbols are refused, and why."""
        lacking: dict[str, str] = {}
        for kind in sorted(self._kinds, key=lambda kind: kind.value):
            template = self._options.subscribe[kind.value]
            if "{symbol" in str(filled_deep(template, {"symbols": list(self._names)})):
                for theirs, ours in self._names.items():
                    self._subscribe_one(template, theirs, ours, kind, lacking)
            else:
                self._send(template, {"symbols": list(self._names)})
                self._acknowledged(kind, "all symbols")
        return lacking

    def _subscribe_one(self, template: Any, theirs: str, ours: str, kind: Kind, lacking: dict[str, str]) -> None:
        self._send(template, {"symbol": theirs, "symbols": [theirs]})
        try:
            self._acknowledged(kind, ours)
        except SourceRefused as error:
            lacking[ours] = error.text.removeprefix(f"{error.source}: ")

    def _acknowledged(self, kind: Kind, what: str) -> None:
        if self._options.subscribed:
            self._await(self._options.subscribed, f"the subscription to {kind.value} of {what}")

    def _send(self, template: Any, values: dict[str, Any]) -> None:
        self._sent += 1
        message = filled_deep(template, {**self._secrets.values, **values, "id": self._sent})
        self._connection.send(message if isinstance(message, str) else msgspec.json.encode(message).decode())

    # --- what they say --------------------------------------------------------------------------------------------

    def _await(self, where: dict[str, Any], what: str) -> None:
        """Wait for a message with these values. What comes before it is kept. Raises SourceDown without one."""
        until = time.monotonic() + self._options.answer
        while time.monotonic() < until:
            for row in self._rows(self._receive(until)):
                if _fits(row, where):
                    return
                self._one(row)
        raise SourceDown(f"did not answer {what} within {self._options.answer:g} s", source=self._options.name)

    def _receive(self, until: float = float("inf")) -> str | bytes | None:
        """The next message; None when none came until then. Raises _Stopped, SourceDown without a sign of life."""
        while True:
            if self._stop.is_set():
                raise _Stopped
            if self._beat.heard(time.monotonic()):
                self._say(Wire())
            try:
                message = self._connection.recv(timeout=LOOK)
                self._beat.alive()
                return message
            except TimeoutError:
                if time.monotonic() >= until:
                    return None

    def _take(self, message: str | bytes | None) -> None:
        for row in self._rows(message):
            self._one(row)

    def _rows(self, message: str | bytes | None) -> Iterator[Row]:
        """The JSON of a message: one object, or each of a list of objects."""
        if message is None:
            return
        try:
            body = unpacked(message, self._options.packing, self._options.largest) if self._packed(message) else message
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            self._nonsense(f"a message that is no JSON: {shown(message)}")
            return
        self._bad = 0
        yield from value if isinstance(value, list) and value and isinstance(value[0], dict | list) else (value,)

    def _packed(self, message: str | bytes) -> bool:
        return self._options.packing != "none" and isinstance(message, bytes)

    def _one(self, row: Row) -> None:
        for path, meaning in self._options.errors.items():
            if has(row, path):
                text = self._secrets.masked(f"says {path}: {shown(row)}")
                raise _ERRORS[meaning](text, source=self._options.name)
        echo = next((echo for echo in self._options.echoes if _fits(row, echo.where)), None)
        if echo is not None:
            self._echo(echo, row)
            return
        message = next((one for one in self._options.messages if _fits(row, one.where)), None)
        if message is None:
            self._unknown(row)
        elif KINDS[type(message.fields)] in self._kinds:
            self._events(message, row)

    def _echo(self, echo: Echo, row: Row) -> None:
        self._send(echo.send, {"value": pick(row, next(iter(echo.where)))})
        self._say(Wire())

    def _events(self, message: Message, row: Row) -> None:
        try:
            rows = pick(row, message.rows)
            for one in rows if isinstance(rows, list) and rows and isinstance(rows[0], dict | list) else (rows,):
                self._event(message, one)
        except Missing as error:
            self._odd(f"{error} in {shown(row)}")
        except Unusable as error:
            self._odd(f"left out, {error}: {shown(row)}")

    def _event(self, message: Message, row: Row) -> None:
        path = message.fields.symbol
        theirs = str(pick(row, path)) if path else ""
        symbol = self._names.get(theirs) if path else next(iter(self._names.values()))
        if symbol is None:
            self._unknown(row, f"the symbol {theirs!r}, which was not asked for")
            return
        event = self._read(message, row, symbol, self._clock())
        self._say(event if event is not None else Wire())

    def _read(self, message: Message, row: Row, symbol: str, received: int) -> Heard | None:
        fields = message.fields
        if isinstance(fields, BarFields):
            return self._reader.bar(row, fields, symbol, message.timeframe, received)
        if isinstance(fields, QuoteFields):
            return self._reader.quote(row, fields, symbol, received)
        if isinstance(fields, TradeFields):
            return self._reader.trade(row, fields, symbol, received)
        return self._reader.status(row, fields, symbol, received)

    # --- telling --------------------------------------------------------------------------------------------------

    def _say(self, told: Told) -> None:
        if self._linked:
            self._tell(told)
        else:
            self._early.append(told)

    def _odd(self, text: str) -> None:
        self._say(Oddity(self._secrets.masked(f"{self._options.name}: {text}")))

    def _nonsense(self, text: str) -> None:
        self._odd(text)
        self._bad += 1
        if self._bad >= BAD:
            text = self._secrets.masked(f"sends nothing but nonsense: {BAD} messages in a row, the last {text}")
            raise SourceNonsense(text, source=self._options.name, hint="check the source's url and packing")

    def _unknown(self, row: Row, what: str = "an unknown message") -> None:
        """Of each form once: a server may say things that nobody asked for all day."""
        form = what + (str(sorted(row)) if isinstance(row, dict) else type(row).__name__)
        if form not in self._strange and len(self._strange) < STRANGE:
            self._strange.add(form)
            self._odd(f"{what}: {shown(row)}")


class _Heart:
    """Asks for a sign of life, and wants one in time."""

    def __init__(self, options: WebSocketOptions, connection: ClientConnection) -> None:
        self._options, self._connection = options, connection
        self._due = time.monotonic() + options.beat.every
        self._late = float("inf")
        self._pong: Any = None

    def alive(self) -> None:
        """Something came: whatever it is, the peer lives."""
        self._late = float("inf")

    def heard(self, now: float) -> bool:
        """Whether a pong came since the last look; a ping is sent when one is due. Raises SourceDown."""
        came = self._pong is not None and self._pong.is_set()
        if came:
            self._pong = None
            self.alive()
        if now > self._late:
            within = self._options.beat.every + self._options.beat.within
            raise SourceDown(f"gives no sign of life: nothing for {within:g} s", source=self._options.name)
        if now >= self._due:
            self._ask(now)
        return came

    def _ask(self, now: float) -> None:
        beat = self._options.beat
        self._due = now + beat.every
        self._late = min(self._late, now + beat.within)
        if beat.send is None:
            self._pong = self._connection.ping()
        else:
            text = beat.send if isinstance(beat.send, str) else msgspec.json.encode(beat.send).decode()
            self._connection.send(text)


def _fits(row: Row, where: dict[str, Any]) -> bool:
    try:
        return all(_same(pick(row, path), value) for path, value in where.items())
    except Missing:
        return False


def _same(found: Any, wanted: Any) -> bool:
    return wanted == ANY or found == wanted or (isinstance(wanted, str) and str(found) == wanted)


def _traits(options: WebSocketOptions) -> Traits:
    """Bars come once a timeframe, quotes and trades all the time."""
    kinds = tuple(kind for kind in Kind if kind.value in options.subscribe)
    longest = max((timeframe_ns(name) for name in options.timeframes), default=0)
    only_bars = Kind.QUOTES not in kinds and Kind.TRADES not in kinds
    mute = 10 * SECOND + (longest if only_bars else 0)
    return Traits(live=kinds, timeframes=options.timeframes, symbols=options.at_once, mute=mute)


# --- the connection ---------------------------------------------------------------------------------------------------


def _connected(options: WebSocketOptions) -> ClientConnection:
    from websockets.sync.client import connect

    values = options.secrets.values
    headers = {name: filled(text, values) for name, text in options.headers.items()}
    return connect(
        filled(options.url, values, encode=True), additional_headers=headers, open_timeout=options.answer,
        ping_interval=None, close_timeout=0.5, max_size=options.largest, create_connection=_staying(),
    )  # fmt: skip


def _staying() -> type[ClientConnection]:
    """websockets' connection, which follows no redirection, so that no secret goes to another address."""
    from websockets.exceptions import InvalidHandshake, InvalidStatus
    from websockets.sync.client import ClientConnection

    class Staying(ClientConnection):
        def handshake(self, *args: Any, **named: Any) -> None:
            try:
                super().handshake(*args, **named)
            except InvalidStatus as error:
                status = error.response.status_code
                if 300 <= status < 400:
                    raise InvalidHandshake(f"a redirection (HTTP {status}), which is not followed") from None
                raise

    return Staying


def _hung_up(options: WebSocketOptions, error: Any) -> SourceError:
    code, reason = (error.rcvd.code, error.rcvd.reason) if error.rcvd is not None else (0, "")
    sent = error.sent.code if error.sent is not None else 0
    if sent == 1009:
        return SourceNonsense(f"sends a message of more than {options.largest} bytes", source=options.name)
    if sent in (1002, 1007):
        return SourceNonsense(f"breaks the protocol ({error.sent.reason or sent})", source=options.name)
    said = options.secrets.masked(f"code {code}: {reason}" if reason else f"code {code}" if code else "without a word")
    kind = SourceBusy if code == _BUSY else SourceDown
    return kind(f"hung up ({said})", source=options.name)


def _no_handshake(options: WebSocketOptions, error: Exception) -> SourceError:
    """The server answered, but not with a WebSocket."""
    from websockets.exceptions import InvalidStatus

    name, hint = options.name, "check the source's url"
    if not isinstance(error, InvalidStatus):
        text = options.secrets.masked(f"is no WebSocket server ({type(error).__name__}: {error})")
        return SourceNonsense(text, source=name, hint=hint)
    status, headers = error.response.status_code, error.response.headers
    if status in (401, 403):
        return SourceRefused(f"refuses our key (HTTP {status})", source=name, hint="check the source's credential")
    if status == 429:
        wait = (whole(headers.get("Retry-After")) or 0) * SECOND
        return SourceBusy("wants fewer connections (HTTP 429)", source=name, wait=wait)
    if status >= 500:
        return SourceDown(f"fails on its side (HTTP {status})", source=name)
    body = (error.response.body or b"")[:80]
    said = options.secrets.masked(
        f"answers with HTTP {status}, no WebSocket: {shown(bytes(body).decode(errors='replace'))}"
    )
    return SourceNonsense(said, source=name, hint=hint)
