"""A source as the owner's settings describe it, and how it is made. What a kind brings along is imported only here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from appliance.core.rate_limit import Rate
from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.base import HistorySource, Kind, LiveSource, Stop, Tell, Traits
from appliance.data.sources.describing import described
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.data.sources.rest_options import RestOptions
from appliance.data.sources.websocket_options import WebSocketOptions
from appliance.domain.market import Sessions, Split
from appliance.errors import SourceRefused, UsageError

Options = AlpacaOptions | IbkrOptions | RestOptions | WebSocketOptions
OPTIONS: dict[str, type[Any]] = {
    "alpaca": AlpacaOptions, "ibkr": IbkrOptions, "rest": RestOptions, "websocket": WebSocketOptions,
}  # fmt: skip
"""Every kind of source there is."""
RATES: dict[str, Rate] = {
    "alpaca": Rate(3, burst=20, reserve=4),
    "ibkr": Rate(0.1, burst=6),
    "rest": Rate(2, burst=5),
    "websocket": Rate(1, burst=1),
}
"""How often each kind of source is asked, unless settings say otherwise. Alpaca allows 200 requests a minute, IB 60
questions of history in 10 minutes; who runs a generic source did not say, so it is asked gently."""
Splits = Callable[[str], Sequence[Split]]
"""The splits of a symbol up to today."""
_ABSENT = "not-given"


class SourceSpec(Struct, frozen=True):
    """One source without its credential: ``table`` has the options of its ``kind``. It is used for ``live`` data, for
    ``history``, or both. ``rate`` is requests a second and ``burst`` how many at once (0: as is usual for its kind)."""

    name: str
    kind: str
    table: dict[str, Any] = {}
    live: bool = True
    history: bool = True
    rate: float = 0.0
    burst: int = 0

    @property
    def needs(self) -> tuple[str, ...]:
        """Which parts of a credential it has a place for: key, secret."""
        if self.kind == "ibkr":
            return ()
        if self.kind == "alpaca":
            return ("key", "secret")
        text = str(self.table)
        return tuple(name for name in ("key", "secret") if f"{{{name}}}" in text or "{basic}" in text)

    @property
    def asks(self) -> Rate:
        """How often it is asked. Raises UsageError for what makes no sense."""
        usual = RATES[self.kind]
        rate, burst = self.rate or usual.per_second, self.burst or usual.burst
        if not (rate > 0 and burst >= 1):
            raise UsageError(
                f"source {self.name}: rate {self.rate:g}, burst {self.burst}",
                hint="rate is above 0 requests a second, burst 1 or more at once",
            )
        return Rate(rate, burst, min(usual.reserve, burst - 1))

    def options(self, key: str = _ABSENT, secret: str = _ABSENT) -> Options:
        """Its options, checked; without a credential those of one that has none yet. Raises UsageError."""
        if self.kind not in OPTIONS:
            raise UsageError(f"source {self.name}: kind {self.kind!r}", hint=f"it must be one of {', '.join(OPTIONS)}")
        given = {"name": self.name, **self.table}
        if self.kind == "rest":
            given |= {"rate": self.asks.per_second, "burst": self.asks.burst}
        made: Options = described(OPTIONS[self.kind], given, key, secret)
        return made


class Unready:
    """A live source that cannot even be tried, such as one without its key: it says why whenever it is."""

    def __init__(self, name: str, why: SourceRefused) -> None:
        self.name, self.traits, self.why = name, Traits(live=tuple(Kind)), why

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """Raises SourceRefused."""
        raise self.why


def live_of(options: Options) -> LiveSource | None:
    """The source of live data; None where a kind has none (a REST source that is not polled)."""
    if isinstance(options, AlpacaOptions):
        from appliance.data.sources import alpaca

        return alpaca.live(options)
    if isinstance(options, IbkrOptions):
        from appliance.data.sources import ibkr

        return ibkr.live(options)
    if isinstance(options, WebSocketOptions):
        from appliance.data.sources.websocket import WebSocketSource

        return WebSocketSource(options)
    from appliance.data.sources.rest import RestSource

    return RestSource(options) if options.poll else None


def history_of(options: Options, sessions: Sessions, splits: Splits | None = None) -> HistorySource | None:
    """The source of past data, with ``sessions`` and ``splits`` where its kind needs them; None where it has none."""
    if isinstance(options, AlpacaOptions):
        from appliance.data.sources import alpaca

        return alpaca.history(options, sessions)
    if isinstance(options, IbkrOptions):
        from appliance.data.sources import ibkr

        return ibkr.history(options, sessions, splits)
    if isinstance(options, WebSocketOptions):
        return None
    from appliance.data.sources.rest import RestSource

    return RestSource(options)
