"""Quotes of two sources compared: who disagrees by too much for too long is told. Pure; times are ns UTC."""

from __future__ import annotations

from msgspec import Struct

from appliance.domain.market import Quote
from appliance.domain.operations import Notice, Severity

SECOND = 1_000_000_000


class Tolerance(Struct, frozen=True):
    """Middles of bid and ask may differ by ``percent`` and by ``ticks`` of ``tick`` USD, whichever is more, or by more
    for less than ``patience`` ns. Quotes more than ``apart`` ns from each other are not compared."""

    percent: float = 0.5
    ticks: int = 5
    tick: float = 0.01
    patience: int = 5 * SECOND
    apart: int = 5 * SECOND


USUAL = Tolerance()


class Agreement:
    """The last quote of every source, and since when two of them disagree."""

    def __init__(self, tolerance: Tolerance = USUAL) -> None:
        self._tolerance = tolerance
        self._last: dict[str, dict[str, tuple[int, float]]] = {}
        self._since: dict[tuple[str, str, str], int] = {}
        self._told: set[tuple[str, str, str]] = set()

    def quote(self, quote: Quote, now: int) -> list[Notice]:
        """Compare ``quote`` with the other sources' of its symbol: notices that begin or end."""
        middle = (quote.bid + quote.ask) / 2
        known = self._last.setdefault(quote.symbol, {})
        known[quote.source] = (now, middle)
        found = []
        for other, (when, price) in known.items():
            if other != quote.source and now - when <= self._tolerance.apart:
                first, second = sorted((quote.source, other))
                found += self._compare((quote.symbol, first, second), middle, price, now)
        return found

    def gone(self, source: str) -> list[Notice]:
        """A source is not heard any more: whom it disagreed with disagrees with nobody."""
        for known in self._last.values():
            known.pop(source, None)
        self._since = {key: since for key, since in self._since.items() if source not in key[1:]}
        over = sorted(key for key in self._told if source in key[1:])
        self._told.difference_update(over)
        text = f"{source} is not heard any more"
        return [Notice(_code(key), Severity.WARNING, f"{key[0]}: {text}", False) for key in over]

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        self._since = {key: time + by for key, time in self._since.items()}
        for known in self._last.values():
            known.update({source: (time + by, price) for source, (time, price) in known.items()})

    def _compare(self, key: tuple[str, str, str], one: float, two: float, now: int) -> list[Notice]:
        allowed = max(self._tolerance.percent / 100 * min(one, two), self._tolerance.ticks * self._tolerance.tick)
        if abs(one - two) <= allowed:
            self._since.pop(key, None)
            return [self._ended(key)] if key in self._told else []
        since = self._since.setdefault(key, now)
        if now - since < self._tolerance.patience or key in self._told:
            return []
        self._told.add(key)
        text = f"{key[0]}: quotes of {key[1]} and {key[2]} are {abs(one - two):.4f} USD apart, allowed {allowed:.4f}"
        return [Notice(_code(key), Severity.WARNING, text)]

    def _ended(self, key: tuple[str, str, str]) -> Notice:
        self._told.discard(key)
        return Notice(_code(key), Severity.WARNING, f"{key[0]}: quotes of {key[1]} and {key[2]} agree again", False)


def _code(key: tuple[str, str, str]) -> str:
    return "quotes_disagree/" + "/".join(key)
