"""The publisher's side of a gap: messages from the journal, or a snapshot where they are gone."""

from __future__ import annotations

from appliance.core.base import Core
from appliance.core.ports import Store
from appliance.core.streams import Writers
from appliance.domain import wire
from appliance.domain.messages import Ask, Compacted, Replayed

REPLAY_BYTES_MAX = 90_000
REPLAY_MESSAGES_MAX = 500


class Server:
    """Answers who asks for messages of our streams."""

    def __init__(self, process: str, store: Store, writers: Writers, core: Core) -> None:
        self._process = process
        self._store = store
        self._writers = writers
        self._core = core

    def answer(self, ask: Ask) -> list[Compacted | Replayed]:
        """Up to 500 messages beyond ``ask.after``, preceded by a snapshot when that is below our retention."""
        if ask.stream not in self._writers.heads():
            return []
        found: list[Compacted | Replayed] = []
        after = ask.after
        floor = self._store.floor(ask.stream)
        if after < floor:
            snapshot = tuple(wire.encode(event).decode() for event in self._core.compact(ask.stream))
            found.append(Compacted(ask.stream, floor, snapshot))
            after = floor
        payloads = self._store.read(ask.stream, after, min(ask.limit, REPLAY_MESSAGES_MAX))
        events = _fitting(payloads)
        head = self._writers[ask.stream].head
        more = len(events) < len(payloads) or len(payloads) == REPLAY_MESSAGES_MAX
        found.append(Replayed(ask.stream, tuple(payload.decode() for payload in events), more, head))
        return found


def _fitting(payloads: list[bytes]) -> list[bytes]:
    """As many as fit into one message (quotes in JSON strings are escaped, so count them twice)."""
    total = 0
    found: list[bytes] = []
    for payload in payloads:
        total += len(payload) + payload.count(b'"') + 4
        if found and total > REPLAY_BYTES_MAX:
            break
        found.append(payload)
    return found
