"""What can be wrong with a server, each switched on and off while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.standins.faults import Switches

if TYPE_CHECKING:
    from tests.standins.alpaca.data_rest import Request


class Faults(Switches):
    """Those of Alpaca's servers; each change is in their log."""

    latency: float = 0.0
    """Seconds before each reply."""
    mute: bool = False
    """REST gives no reply; the stream sends no data, but answers pings."""
    half_open: bool = False
    """Nothing is read any more, no ping answered, nothing sent; the connection stays open."""
    busy: bool = False
    """429 for every request and every handshake."""
    retry_after: int = 0
    """Seconds that a 429 or 503 asks for in Retry-After; 0: it does not say."""
    taken: bool = False
    """Another program holds the one connection: 406."""
    broken: int = 0
    """An HTTP status from 500 on, with a page of HTML as its body."""
    html: bool = False
    """200 and a page of HTML."""
    damaged: str = ""
    """``json`` cuts the body off (and its length is right), ``gzip`` the archive, ``short`` sends less than it said."""
    drip: float = 0.0
    """Seconds between each few bytes of a body."""
    reset: bool = False
    """Requests and handshakes are answered by resetting the connection."""
    garbled: bool = False
    """Rows without their fields; frames that are no msgpack."""
    greeting: int = 0
    """An error code of the stream instead of ``authenticated``."""
    subscribing: int = 0
    """An error code of the stream instead of the subscription."""

    without: str = ""
    """A channel that this feed does not have: 410."""

    def mishap(self, request: Request) -> Any:
        """What befalls this one request; None for nothing."""
        return None
