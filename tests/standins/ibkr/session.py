"""The session: who is let in, the notices that greet, the clock, and what is asked at start-up."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.standins.ibkr.faults import Faults
from tests.standins.ibkr.peer import Handler, Peer

ACCOUNT = "DU1234567"
NOTICES = {
    2104: "Market data farm connection is OK:usfarm",
    2107: "HMDS data farm connection is inactive but should be available upon demand.ushmds",
    2158: "Sec-def data farm connection is OK:secdefil",
}


class Session:
    """Each client id once. ``taken``: ids that another program holds. ``ahead``: how far its clock is ahead (s).
    ``next_id`` is a client's next order id, ``greet`` tells what it is told first."""

    def __init__(self, next_id: Callable[[int], int], greet: Callable[[Peer], None], faults: Faults) -> None:
        self._next_id, self._greet, self._faults = next_id, greet, faults
        self._told = float("-inf")
        self.taken: set[int] = set()
        self.peers: list[Peer] = []
        self.ahead = 0
        self.handlers: dict[str, Handler] = {
            "71": self._start,
            "49": self._time,
        }

    def gone(self, peer: Peer) -> None:
        """The client's id is free again."""
        if peer in self.peers:
            self.peers.remove(peer)

    def _start(self, peer: Peer, fields: list[str]) -> None:
        client = int(fields[2])
        if client in self.taken | {other.client for other in self.peers}:
            peer.error(-1, 326, "Unable to connect as the client id is already in use. Retry with a unique client id.")
            peer.close()
            return
        peer.client = client
        self.peers.append(peer)
        self._greet(peer)
        peer.send(15, 1, ACCOUNT)
        peer.send(9, 1, self._next_id(client))
        for code, text in NOTICES.items():
            peer.error(-1, code, text)

    def _time(self, peer: Peer, fields: list[str]) -> None:
        now = time.monotonic()
        if now - self._told >= self._faults.clock_gap:
            self._told = now
            peer.send(49, 1, int(time.time()) + self.ahead)
