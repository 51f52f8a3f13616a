"""What the journal keeps of inputs: streams by reference, the rest whole, quotes only where something came of them."""

from __future__ import annotations

from appliance.core.ports import Input
from appliance.domain import wire
from appliance.domain.market import Quote
from appliance.domain.messages import Event, EventType, Now, Ticks, local


def as_input(event: Event, now: Now) -> Input:
    """One handled message as the journal keeps it."""
    if event.stream:
        return Input(now, event.position)
    return Input(now, event.topic, wire.encode(event, wire.LOCAL_MAX))


class Quiet:
    """Messages that caused nothing lasting are not journalled; the quotes among them are, merged, just before an
    output may have used them."""

    def __init__(self) -> None:
        self._quotes: dict[str, Quote] = {}
        self._last: tuple[int, Now] | None = None

    def note(self, event: Event, now: Now) -> None:
        """Remember the last quote of each symbol."""
        if event.type is EventType.TICKS:
            self._quotes.update((quote.symbol, quote) for quote in event.body.quotes)
            self._last = (event.body.n, now)

    def drain(self) -> list[Input]:
        """The merged tick, if there was any since the last output."""
        if self._last is None:
            return []
        n, now = self._last
        quotes = tuple(self._quotes[symbol] for symbol in sorted(self._quotes))
        self._quotes, self._last = {}, None
        return [as_input(local(Ticks(n, quotes), now.time, "feed/quotes"), now)]
