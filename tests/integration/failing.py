"""A box on two live sources while the preferred one fails, and what its feed's journal says of it afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from appliance.data.sources.base import Kind
from appliance.domain import wire
from appliance.domain.market import Bar
from appliance.domain.messages import Event
from appliance.domain.operations import Notice, SourceState
from appliance.shell import audit
from appliance.shell.paths import StatePaths
from tests.data.live.floor import SYMBOLS, specs
from tests.integration.driving import rows
from tests.integration.running import Box, until
from tests.standins.exchange import SECOND, Exchange, Fault

SETTINGS = f"""
[market]
source = "live"
symbols = {list(SYMBOLS)}
timeframe = "1m"

[data]
hours = "always"
kinds = {[Kind.BARS.value, Kind.QUOTES.value, Kind.STATUSES.value]}
return_seconds = 2

[data.limits]
late_bar_seconds = 86400

[validity]
intent_seconds = 86400
approval_seconds = 86400

[limits]
price_collar_percent = "off"
stale_price_seconds = "off"
"""
"""Minutes that are over four times a second end in the past: what may be acted on for a day is acted on."""


class Measured(NamedTuple):
    """Of one fault, in seconds: until the first source was known to be down (None: it never was), until the box had
    changed over, until it had changed back after the fault's end, and how late the latest bar was meanwhile."""

    found: float | None
    over: float | None
    back: float | None
    latest: float


class Failing:
    """An exchange whose first source fails, and a box on both; ``feed`` reads the box's journal while it is written."""

    def __init__(self, exchange: Exchange, box: Box) -> None:
        self.exchange, self.box = exchange, box
        self.paths = StatePaths(box.state)

    def source(self, name: str) -> SourceState:
        """How a source does, by the feed's own state."""
        found = rows(self.paths.journal("feed"), "source", SourceState)
        return found.get(name, SourceState(name, "not seen"))

    def believed(self, name: str, seconds: float = 45.0) -> None:
        """Wait until ``name`` tells all symbols."""
        until(lambda: self.source(name).tells == len(SYMBOLS), seconds, f"{name} tells everything")

    def feed(self, stream: str, since: int = 0) -> list[Event]:
        """What the feed has said on a stream since a time (ns UTC)."""
        connection = audit.opened(self.paths.journal("feed"))
        found = connection.execute("SELECT payload FROM output WHERE stream = ? ORDER BY n", (stream,)).fetchall()
        connection.close()
        return [event for (payload,) in found if (event := wire.decode(payload)).ts >= since]

    def switched(self, since: int, holds: bool) -> int:
        """When the feed said that it has changed over (or back, where it does not hold any more) (ns UTC); 0: not."""
        said = [event for event in self.feed("feed/notices", since) if event.body.code == "failover/first"]
        return next((event.ts for event in said if event.body.holds is holds), 0)

    def suffer(self, fault: Fault) -> Measured:
        """One fault from its beginning to the return of the first source."""
        self.believed("first")
        began, over, back = time.time_ns(), None, None
        fault.begin(self.exchange)
        if fault.over:
            over = (until(lambda: self.switched(began, True), 30, "it changes over") - began) / SECOND
        found = self._found(began) if fault.down else None
        self._last(fault.seconds)
        ended = time.time_ns()
        self.exchange.calm()
        if fault.over:
            back = max(until(lambda: self.switched(began, False), 90, "it changes back") - ended, 0) / SECOND
        self._last(1.0)
        return Measured(found, over, back, self._latest(began))

    def vanished(self, seconds: float) -> float:
        """Both sources are away for so long; how late (s) the latest bar was that was traded since."""
        self.believed("first")
        began = time.time_ns()
        self.exchange.vanish()
        self._last(seconds)
        self.exchange.calm()
        self.believed("first")
        self._last(1.0)
        return self._latest(began)

    def killed(self) -> float:
        """The feed is killed; how late (s) the latest bar was that was traded since."""
        began = time.time_ns()
        self.box.hit("feed")
        until(lambda: self.box.rows()["feed"]["restarts"] and self.source("first").since > began, 30, "it is back")
        self.believed("first")
        self._last(1.0)
        return self._latest(began)

    def _found(self, began: int) -> float:
        """When the first source was given up: before it was replaced, unless that was for being late."""
        over = next(event for event in self.feed("feed/notices", began) if event.body.code == "failover/first")
        if "late with" not in over.body.text:
            return (over.ts - began) / SECOND
        down = until(lambda: (one := self.source("first")).down >= began and one.down, 30, "it is given up")
        return (down - began) / SECOND

    def _last(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        until(lambda: time.monotonic() >= ends, seconds + 5)

    def _latest(self, since: int) -> float:
        """How late (s) the latest bar was that was traded since then, or has not come yet."""
        came = {(event.body.symbol, event.body.end): event.ts for event in self.feed("feed/bars")}
        now = time.time_ns()
        traded = [one for one in list(self.exchange.traded) if one.at >= since]
        return max((came.get((one.symbol, one.end), now) - one.at for one in traded), default=0) / SECOND

    # --- when all is over -------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """End trading and wait for the last bar."""
        self.exchange.close()
        last = max(one.end for one in self.exchange.traded)

        def there() -> bool:
            return sum(event.body.end == last for event in self.feed("feed/bars")) == len(SYMBOLS)

        until(there, 20, "the last bars are published")

    def wrong(self) -> list[str]:
        """What is wrong with the bars that were published, by what the stand-ins say was traded."""
        published: list[Bar] = [event.body for event in self.feed("feed/bars")]
        found = []
        for symbol in SYMBOLS:
            mine = [bar for bar in published if bar.symbol == symbol]
            exist = self.exchange.first.market.between("bars", symbol, "1Min", mine[0].start, 1 << 62)
            if [bar.start for bar in mine] != [row["t"] for row in exist]:
                lost = {row["t"] for row in exist} - {bar.start for bar in mine}
                found.append(f"{symbol}: {len(mine)} bars, {len(exist)} exist, {len(lost)} lost")
            if [_content(bar) for bar in mine] != [tuple(float(row[name]) for name in "ohlcv") for row in exist]:
                found.append(f"{symbol}: a bar is not what was traded")
        return found

    def heard(self) -> list[int]:
        """Numbers of the bars that the host of the ten strategies has handled, in its order."""
        connection = audit.opened(self.paths.journal("host@ten"))
        found = connection.execute("SELECT position FROM input WHERE position LIKE 'feed/bars:%' ORDER BY n").fetchall()
        connection.close()
        return [int(position.rpartition(":")[2]) for (position,) in found]

    def notices(self) -> dict[str, list[Notice]]:
        """All the feed's notices, by code."""
        found: dict[str, list[Notice]] = {}
        for event in self.feed("feed/notices"):
            found.setdefault(event.body.code, []).append(event.body)
        return found


@contextmanager
def failing(folder: Path, tick: float = 0.25) -> Iterator[Failing]:
    """A box with ten strategies on two sources, the first believed."""
    with Exchange(SYMBOLS, tick) as exchange:
        file = folder / "box.toml"
        file.write_text(SETTINGS + exchange.settings() + _strategies())
        box = Box(folder / "box", {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"})
        try:
            box.up("--settings", file).ready(40)
            exchange.open()
            made = Failing(exchange, box)
            made.believed("first")
            yield made
        finally:
            box.close()


def _content(bar: Bar) -> tuple[float, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def _strategies() -> str:
    """The ten, in one host."""
    return "".join(
        f'\n[[strategies]]\nname = "{one.name}"\nfile = "{one.file}"\ngroup = "ten"\nparams = {_inline(one.params)}\n'
        for one in specs()
    )


def _inline(params: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f'{name} = "{value}"' for name, value in params.items()) + "}"
