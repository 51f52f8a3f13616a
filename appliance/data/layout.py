"""Which kind of market data a file holds, told by its header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from msgspec import Struct

from appliance.errors import DataError

_CANDLE = ("open", "high", "low", "close")
_BID = tuple(f"bid_{name}" for name in _CANDLE)
_ASK = tuple(f"ask_{name}" for name in _CANDLE)


class Kind(Struct, frozen=True):
    """A kind of row. ``rank`` orders events of one time and symbol: quotes before trades, ticks before bars' end."""

    name: str
    rank: int
    prices: tuple[str, ...]
    sizes: tuple[str, ...]
    sizes_needed: bool
    candles: tuple[tuple[str, ...], ...] = ()
    sides: tuple[tuple[str, ...], ...] = ()
    crossing: tuple[tuple[str, str], ...] = ()

    @property
    def is_bar(self) -> bool:
        """Bars cover a span of time; ticks have only an instant."""
        return bool(self.candles)


QUOTE_BARS = Kind(
    "quote bars", 0, _BID + _ASK, ("bid_size", "ask_size"), False,
    (_BID, _ASK), (_BID, _ASK), (("bid_open", "ask_open"), ("bid_close", "ask_close")),
)  # fmt: skip
QUOTES = Kind(
    "tick quotes", 1, ("bid", "ask"), ("bid_size", "ask_size"), False,
    sides=(("bid",), ("ask",)), crossing=(("bid", "ask"),),
)  # fmt: skip
TRADES = Kind("tick trades", 2, ("price",), ("size",), True)
BARS = Kind("trade bars", 3, _CANDLE, ("volume",), True, (_CANDLE,))
OPENS = Kind("opens", 4, ("price",), ("size",), True)
"""No kind of file: the open of each trade bar, told when the bar begins, after the bars that end then."""
KINDS = (QUOTE_BARS, BARS, QUOTES, TRADES)


class Layout(Struct, frozen=True):
    """A file's header and the columns that are read from it, in the order the events take them."""

    kind: Kind
    header: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def width(self) -> int:
        """Fields of a row."""
        return len(self.header)

    @property
    def sizes(self) -> tuple[str, ...]:
        """Columns that count shares; the others are prices in USD."""
        return self.columns[len(self.kind.prices) :]

    @property
    def strict(self) -> bool:
        """Whether two rows of one symbol may not share a time: bars may not, ticks may."""
        return self.kind.is_bar

    @property
    def zero_is_none(self) -> bool:
        """Whether a price of 0 means that nobody quotes: so in tick quotes."""
        return self.kind is QUOTES

    @property
    def sides(self) -> tuple[tuple[str, ...], ...]:
        """The price columns of bid and ask, or nothing."""
        return self.kind.sides

    @property
    def candles(self) -> tuple[tuple[str, ...], ...]:
        """Columns (open, high, low, close) that must agree with each other."""
        return self.kind.candles

    @property
    def crossing(self) -> tuple[tuple[str, str], ...]:
        """Pairs of which the first may not be above the second."""
        return self.kind.crossing

    def index(self, column: str) -> int:
        """Where a column stands, -1 when the file does not have it."""
        return self.header.index(column) if column in self.header else -1


_OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars (|)"}


def recognise(file: str, header: Sequence[str]) -> Layout:
    """The layout a header announces. Raises DataError naming the missing column and the nearest one there is."""
    names = tuple(name.strip().lstrip("\ufeff").lower() for name in header)
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(f"{file}: the header has column {twice[0]!r} twice", hint="rename one of them")
    if len(names) == 1 and (other := next((mark for mark in _OTHERS if mark in names[0]), "")):
        raise DataError(
            f"{file}: its columns are separated by {_OTHERS[other]}",
            hint="separate them by commas, with decimal points",
        )
    best = min(KINDS, key=lambda kind: (len(_missing(kind, names)), -len(kind.prices)))
    missing = _missing(best, names)
    if missing:
        raise DataError(_text(file, best, names, missing), hint=_hint(names, missing))
    sizes = tuple(name for name in best.sizes if name in names)
    return Layout(best, names, best.prices + (sizes if len(sizes) == len(best.sizes) else ()))


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'X'?`` when a known name is close, else nothing."""
    by_lower = {text.lower(): text for text in known}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"did you mean {by_lower[found[0]]!r}?" if found else ""


def _needed(kind: Kind) -> tuple[str, ...]:
    return ("ts", "symbol", *kind.prices, *(kind.sizes if kind.sizes_needed else ()))


def _missing(kind: Kind, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in _needed(kind) if name not in names)


def _text(file: str, kind: Kind, names: Sequence[str], missing: Sequence[str]) -> str:
    plural = "s" if len(missing) > 1 else ""
    return f"{file}: missing column{plural} {', '.join(missing)} for {kind.name}; the header is {','.join(names)[:200]}"


def _hint(names: Sequence[str], missing: Sequence[str]) -> str:
    spare = [name for name in names if not any(name in _needed(kind) + kind.sizes for kind in KINDS)]
    guess = next((f"{text} (for {name})" for name in missing if (text := nearest(name, spare))), "")
    kinds = "; ".join(f"{kind.name}: {','.join(_needed(kind))}" for kind in KINDS)
    return f"{guess} columns by kind: {kinds}".strip()
