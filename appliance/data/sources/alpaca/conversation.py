"""What Alpaca's stream says after the subscription was asked for, as what a source tells. No socket, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.alpaca.parsing import Odd, Reader, Row, text, time_of
from appliance.data.sources.alpaca.refusals import SHOWN, stream_refusal
from appliance.data.sources.alpaca.times import Spans
from appliance.data.sources.base import Kind, Linked, Oddity, Told
from appliance.domain.market import AlwaysOpen, Bar, TradingStatus

TIMEFRAME = "1m"
CHANNELS: dict[str, dict[Kind, tuple[str, ...]]] = {
    "stocks": {
        Kind.BARS: ("bars", "updatedBars"), Kind.QUOTES: ("quotes",), Kind.TRADES: ("trades",),
        Kind.STATUSES: ("statuses", "lulds"),
    },
    "crypto": {Kind.BARS: ("bars", "updatedBars"), Kind.QUOTES: ("quotes",), Kind.TRADES: ("trades",)},
}  # fmt: skip
"""The channels of each kind; crypto has no trading status."""
COUNTED = ("quotes", "trades")
PLAN = 30
"""Symbols of these channels together that the free plan takes."""
_REMEMBERED = 8
"""Bars of a symbol whose revisions are counted: late trades reach back minutes, not hours."""


class Revisions:
    """Counts what became of each bar since it was told; kept from one connection to the next."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[int, int]] = {}

    def next(self, symbol: str, start: int) -> int:
        """The number of the next revision of the bar of ``symbol`` that begins at ``start`` (ns UTC), from 1."""
        counts = self._counts.setdefault(symbol, {})
        counts[start] = number = counts.pop(start, 0) + 1
        if len(counts) > _REMEMBERED:
            counts.pop(next(iter(counts)))
        return number


class Conversation:
    """One connection: ``wanted`` symbols by channel, and every message in turn to ``take``."""

    def __init__(
        self, options: AlpacaOptions, symbols: Sequence[str], kinds: Iterable[Kind], revisions: Revisions
    ) -> None:
        channels = CHANNELS[options.market]
        self._options = options
        self._channels = [channel for kind in kinds for channel in channels.get(kind, ())]
        self._asked = list(dict.fromkeys(symbols))
        self._taken = self._asked
        self._lacking: dict[str, str] = {}
        self._revisions = revisions
        self._halted: dict[str, bool] = {}
        self._reader = Reader(options.name, lots=options.market == "stocks")
        self._spans = Spans(TIMEFRAME, AlwaysOpen())
        self._held: list[Told] = []
        self.linked = False
        self.ask_again = False

    @property
    def wanted(self) -> dict[str, list[str]]:
        """What to subscribe to, by channel."""
        return {channel: list(self._taken) for channel in self._channels}

    def take(self, message: object, received: int) -> Iterator[Told]:
        """What a message that was ``received`` (ns UTC) tells; nothing before ``Linked``, what came earlier after it.
        ``ask_again`` is true when fewer symbols have to be asked for. Raises SourceError for a refusal."""
        told = list(self._told(message, received))
        if self.linked:
            held, self._held = self._held, []
            yield from (*told, *held)  # only what links comes before what was held
        else:
            self._held += told

    def _told(self, message: object, received: int) -> Iterator[Told]:
        if not isinstance(message, Mapping):
            yield message if isinstance(message, Oddity) else odd("a message that is no map", message)
            return
        read = _READERS.get(str(message.get("T")))
        try:
            if read is None:
                raise Odd(f"no such type of message: {message.get('T')!r}")
            yield from read(self, message, received)
        except Odd as error:
            yield odd(str(error), message)

    def _subscription(self, message: Row, received: int) -> Iterator[Told]:
        """The full list of what is subscribed now: what is not in it was not taken."""
        if self.linked or self.ask_again:
            return
        lists = {channel: _symbols(message, channel) for channel in self._channels}
        for symbol in self._taken:
            without = [channel for channel, taken in lists.items() if not taken & {symbol, "*"}]
            if without:
                self._lacking[symbol] = f"{', '.join(without)}: not in the subscription"
        self.linked = True
        yield Linked(tuple(one for one in self._taken if one not in self._lacking), dict(self._lacking))

    def _error(self, message: Row, received: int) -> Iterator[Told]:
        code = message.get("code")
        if code == 403:  # we are in
            yield odd("already authenticated", message)
        elif code == 405 and not self.linked and self._narrow():
            self.ask_again = True
        elif code == 410 and not self.linked and self._without_status():
            self.ask_again = True
            yield odd("this feed tells of no halts and price bands", message)
        elif code == 405:
            limit = f"no {len(self._taken)} symbols in {', '.join(self._channels)}"
            raise stream_refusal({**message, "msg": f"{message.get('msg')}: {limit}"}, self._options)
        else:
            raise stream_refusal(message, self._options)

    def _narrow(self) -> bool:
        """Keep the first symbols that the free plan takes; whether that is fewer than were refused."""
        counted = sum(channel in COUNTED for channel in self._channels)
        most = PLAN // counted if counted else len(self._taken)
        kept, beyond = self._taken[:most], self._taken[most:]
        self._taken = kept
        self._lacking |= {symbol: _beyond(most, self._channels) for symbol in beyond}
        return bool(beyond)

    def _without_status(self) -> bool:
        """Go on without the channels that not every feed has; whether any were asked for, and others are left."""
        status = CHANNELS["stocks"][Kind.STATUSES]
        kept = [channel for channel in self._channels if channel not in status]
        dropped = kept != self._channels and bool(kept)
        self._channels = kept if dropped else self._channels
        return dropped

    def _bar(self, message: Row, received: int) -> Iterator[Told]:
        yield self._bar_of(message, received, 0)

    def _updated_bar(self, message: Row, received: int) -> Iterator[Told]:
        bar = self._bar_of(message, received, 1)
        yield self._bar_of(message, received, self._revisions.next(bar.symbol, bar.start))

    def _bar_of(self, message: Row, received: int, revision: int) -> Bar:
        return self._reader.bar(text(message, "S"), TIMEFRAME, self._spans, message, received, revision)

    def _quote(self, message: Row, received: int) -> Iterator[Told]:
        yield self._reader.quote(text(message, "S"), message, received)

    def _trade(self, message: Row, received: int) -> Iterator[Told]:
        yield self._reader.trade(text(message, "S"), message, received)

    def _status(self, message: Row, received: int) -> Iterator[Told]:
        symbol = text(message, "S")
        status: TradingStatus | None = self._reader.status(symbol, message, self._halted.get(symbol))
        if status is not None:
            self._halted[symbol] = status.halted
            yield status

    def _band(self, message: Row, received: int) -> Iterator[Told]:
        yield self._reader.band(text(message, "S"), message)

    def _correction(self, message: Row, received: int) -> Iterator[Told]:
        symbol, when = text(message, "S"), time_of(message)
        yield Oddity(
            f"{symbol}: a trade of {message.get('os')} at {message.get('op')} is corrected "
            f"to {message.get('cs')} at {message.get('cp')} ({when})"
        )

    def _cancel(self, message: Row, received: int) -> Iterator[Told]:
        symbol, when = text(message, "S"), time_of(message)
        yield Oddity(f"{symbol}: a trade of {message.get('s')} at {message.get('p')} is cancelled ({when})")

    def _nothing(self, message: Row, received: int) -> Iterator[Told]:
        return iter(())


_READERS: dict[str, Callable[[Conversation, Row, int], Iterator[Told]]] = {
    "b": Conversation._bar, "u": Conversation._updated_bar, "q": Conversation._quote, "t": Conversation._trade,
    "s": Conversation._status, "l": Conversation._band, "c": Conversation._correction, "x": Conversation._cancel,
    "subscription": Conversation._subscription, "error": Conversation._error, "success": Conversation._nothing,
}  # fmt: skip
"""How each type of message is read."""


def odd(what: str, message: object) -> Oddity:
    """Something that was left out, and its first bytes."""
    return Oddity(f"{what}: {str(message)[:SHOWN]}")


def _symbols(message: Row, channel: str) -> set[Any]:
    listed = message.get(channel)
    if not isinstance(listed, list | tuple | None):
        raise Odd(f"{channel} is {listed!r}, not a list")
    return {one for one in listed or () if isinstance(one, str)}


def _beyond(most: int, channels: Sequence[str]) -> str:
    counted = " and ".join(channel for channel in channels if channel in COUNTED)
    return f"the plan takes {most} symbols of {counted} (405): name fewer, or subscribe to bars alone"
