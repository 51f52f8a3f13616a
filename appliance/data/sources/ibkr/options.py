"""How Interactive Brokers' gateway is reached, and with how much patience."""

from __future__ import annotations

from msgspec import Struct

from appliance.errors import UsageError

CLIENT_IDS = 8
"""Client ids from ``client_id`` on that are ours: live data take the even ones, history the odd ones."""
_LARGEST_ID = 2**31 - 1 - CLIENT_IDS
_SECONDS = ("connect", "answer", "deadline", "beat", "settle", "retry", "patience")
SHOWS = ("TRADES", "MIDPOINT")


class IbkrOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the gateway listens (4002: paper, 4001: live) and what is asked of it. Orders go through another client id.

    ``delayed``: quotes 15 minutes late, for accounts without a subscription; their times say so, and there are no bars.
    ``extended``: bars from outside the regular session too; those of history also have to be in its sessions.
    ``show``: what bars are of, TRADES or MIDPOINT.
    ``lots``: the gateway is set to tell sizes of US stocks in lots of 100.
    Seconds: ``connect`` for each step to get in, ``answer`` for an answer, ``deadline`` for a page of history, ``beat``
    between two heartbeats and the wait for each, ``settle`` for refusals after subscribing, ``retry`` until live data
    that IB was too busy for are asked for again, ``patience`` for pacing before a page of history: what takes longer is
    told as SourceBusy.
    """

    name: str = "ibkr"
    host: str = "127.0.0.1"
    port: int = 4002
    client_id: int = 17
    delayed: bool = False
    extended: bool = False
    show: str = "TRADES"
    lots: bool = False
    connect: float = 4.0
    answer: float = 5.0
    deadline: float = 30.0
    beat: float = 5.0
    settle: float = 1.0
    retry: float = 15.0
    patience: float = 3.0

    def checked(self) -> IbkrOptions:
        """These options. Raises UsageError naming the first one that is wrong and what it may be."""
        if not self.host:
            raise UsageError(f"{self.name}: no host", hint="write the gateway's, such as 127.0.0.1")
        if not 1 <= self.port <= 65535:
            raise UsageError(
                f"{self.name}: port {self.port}", hint="4001 and 4002 are a gateway's, 7496 and 7497 a TWS's"
            )
        if not 1 <= self.client_id <= _LARGEST_ID:
            raise UsageError(
                f"{self.name}: client_id {self.client_id}",
                hint=f"write 1 to {_LARGEST_ID}; it and the {CLIENT_IDS - 1} after it are for market data",
            )
        if self.show not in SHOWS:
            raise UsageError(f"{self.name}: show {self.show!r}", hint=f"write {' or '.join(SHOWS)}")
        for name in _SECONDS:
            if not 0 < getattr(self, name) <= 600:
                raise UsageError(f"{self.name}: {name} {getattr(self, name)}", hint="write seconds, above 0, up to 600")
        return self

    @property
    def lot(self) -> float:
        """Shares of one unit of size."""
        return 100.0 if self.lots else 1.0

    def ids(self, history: bool) -> tuple[int, ...]:
        """The client ids to try, in this order."""
        return tuple(range(self.client_id + history, self.client_id + CLIENT_IDS, 2))
