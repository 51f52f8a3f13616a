"""The session: who is let in, the notices that greet, the clock, and what is asked at start-up."""

from __future__ import annotations

import time

from tests.standins.ibkr.peer import Handler, Peer

ACCOUNT = "DU1234567"
NOTICES = {
    2104: "Market data farm connection is OK:usfarm",
    2107: "HMDS data farm connection is inactive but should be available upon demand.ushmds",
    2158: "Sec-def data farm connection is OK:secdefil",
}


class Session:
    """Each client id once. ``taken``: ids that another program holds. ``ahead``: how far its clock is ahead (s)."""

    def __init__(self) -> None:
        self.taken: set[int] = set()
        self.peers: list[Peer] = []
        self.ahead = 0
        self.handlers: dict[str, Handler] = {
            "71": self._start,
            "49": lambda peer, fields: peer.send(49, 1, int(time.time()) + self.ahead),
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
        peer.send(15, 1, ACCOUNT)
        peer.send(9, 1, 1)
        for code, text in NOTICES.items():
            peer.error(-1, code, text)


class Account:
    """An account without positions and orders: what the start-up burst asks is answered, each with its end."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {
            "61": lambda peer, fields: peer.send(62, 1),
            "5": lambda peer, fields: peer.send(53, 1),
            "16": lambda peer, fields: peer.send(53, 1),
            "99": lambda peer, fields: peer.send(102),
            "6": lambda peer, fields: peer.send(54, 1, ACCOUNT),
            "76": lambda peer, fields: peer.send(74, 1, fields[2]),
            "7": lambda peer, fields: peer.send(55, 1, fields[2]),
        }

    def gone(self, peer: Peer) -> None:
        """It holds nothing of a client's."""
