"""How long things take: a histogram of whole nanoseconds in buckets of growing width, mergeable without loss."""

from __future__ import annotations

from msgspec import Struct

BITS = 4
"""Each doubling has 2 ** BITS buckets: a percentile is at most 1/16 above the truth."""
_BUCKETS = 1 << BITS


def _bucket(value: int) -> int:
    shift = max(value.bit_length() - BITS - 1, 0)
    return (shift << BITS) + (value >> shift)


def _upper(bucket: int) -> int:
    """The largest value in a bucket."""
    shift = max((bucket >> BITS) - 1, 0)
    return (((bucket - (shift << BITS)) + 1) << shift) - 1


class Histogram(Struct):
    """Counts by bucket; at most about a thousand buckets, whatever comes. ``largest`` is exact."""

    counts: dict[int, int] = {}
    n: int = 0
    largest: int = 0

    def add(self, value: int) -> None:
        """Count one duration (ns); a negative one (clocks disagree) counts as 0."""
        value = max(value, 0)
        bucket = _bucket(value)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.n += 1
        self.largest = max(self.largest, value)

    def percentile(self, percent: int) -> int | None:
        """What ``percent`` of the durations do not exceed, ns, at most 1/16 too large; None while there are none."""
        rank = -(-self.n * percent // 100)
        for bucket, count in sorted(self.counts.items()):
            rank -= count
            if rank <= 0:
                return min(_upper(bucket), self.largest)
        return None

    def values(self) -> tuple[tuple[int, int], ...]:
        """Each bucket's largest duration (ns) and how many fell into it, ascending."""
        return tuple((min(_upper(bucket), self.largest), count) for bucket, count in sorted(self.counts.items()))

    def merged(self, other: Histogram) -> Histogram:
        """Both together; in whatever order, the result is the same."""
        counts = {
            bucket: self.counts.get(bucket, 0) + other.counts.get(bucket, 0)
            for bucket in sorted({*self.counts, *other.counts})
        }
        return Histogram(counts, self.n + other.n, max(self.largest, other.largest))
