"""How long (ns of market time) an order is on its way before the market knows it.

A cancel is not delayed; what fills before it arrives is filled, as ever.
"""

from __future__ import annotations

from hashlib import blake2b

from msgspec import Struct

MILLISECOND = 1_000_000


class Delay(Struct, frozen=True, tag="fixed"):
    """Every order takes ``milliseconds``; 0 is the default."""

    milliseconds: float = 0.0

    def of(self, order_id: str) -> int:
        """Nanoseconds."""
        return round(self.milliseconds * MILLISECOND)


class Drawn(Struct, frozen=True, tag="drawn"):
    """Each order takes one of the ``recorded`` latencies: pairs of ns and how often it was seen, ascending. Which one
    is drawn by ``seed`` and the order's id, so that a run and its repetition draw the same."""

    recorded: tuple[tuple[int, int], ...]
    seed: int = 1

    def of(self, order_id: str) -> int:
        """Nanoseconds."""
        digest = blake2b(f"{self.seed}:{order_id}".encode(), digest_size=8).digest()
        rank = int.from_bytes(digest, "big") * sum(count for _, count in self.recorded) >> 64
        for latency, count in self.recorded:
            rank -= count
            if rank < 0:
                return latency
        return 0


NO_DELAY = Delay()
AnyLatency = Delay | Drawn
