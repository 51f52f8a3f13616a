"""How Interactive Brokers' gateway is reached for trading, and with how much patience."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from appliance.errors import UsageError

_SECONDS = ("connect", "answer", "commission")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_LARGEST_ID = 2**31 - 1


class IbkrTerms(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the gateway listens (4002: paper, 4001: live), and as whom we trade there.

    ``client_id`` is ours for good and no other program's: an order can be changed and cancelled by the client alone
    that placed it. ``account`` may be left out where the login has only one. ``outside_rth``: limit orders work before
    and after the regular session too. ``restart`` is when the gateway restarts each day, in ``timezone`` ("": this
    machine's), which is also the gateway's own where it tells times without one.
    Seconds: ``connect`` for each step to get in, ``answer`` for an answer, ``commission`` for what a fill cost before
    it is told without.
    """

    name: str = "ibkr"
    host: str = "127.0.0.1"
    port: int = 4002
    client_id: int = 7
    account: str = ""
    outside_rth: bool = False
    restart: str = "23:45"
    timezone: str = ""
    connect: float = 4.0
    answer: float = 5.0
    commission: float = 1.0

    def checked(self) -> IbkrTerms:
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
                hint=f"write 1 to {_LARGEST_ID}, and one that no other program uses; 0 would take manual orders over",
            )
        if not _CLOCK.fullmatch(self.restart):
            raise UsageError(f"{self.name}: restart {self.restart!r}", hint="write hours and minutes, such as 23:45")
        self._check_zone()
        for name in _SECONDS:
            if not 0 < getattr(self, name) <= 600:
                raise UsageError(f"{self.name}: {name} {getattr(self, name)}", hint="write seconds, above 0, up to 600")
        return self

    def _check_zone(self) -> None:
        try:
            self.zone()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(
                f"{self.name}: timezone {self.timezone!r}", hint="write one such as America/New_York, or leave it out"
            ) from None

    def zone(self) -> ZoneInfo | None:
        """The zone of ``restart``; None: this machine's. Raises ZoneInfoNotFoundError."""
        return ZoneInfo(self.timezone) if self.timezone else None

    @property
    def where(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"
