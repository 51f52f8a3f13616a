"""What a sweep varies: axes of values, and the combinations they make. All in text, as `--param` takes them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product
from math import prod

from msgspec import Struct

from appliance.errors import UsageError

Combination = dict[str, str]
"""A value for each parameter that is varied, by name, in the order of the axes."""
MOST = 1_000_000
"""Combinations of one sweep; more are a slip of the pen."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOW = "write NAME=LOW:HIGH:STEP or NAME=A,B,C, for instance fast=5:50:5 or mode=long,short"
_DIGITS = 6
"""Decimals a value drawn from a range without a step has, counted from the first that matters."""


class Axis(Struct, frozen=True):
    """One parameter and its values; with none, any value from ``low`` to ``high`` (to be drawn, not enumerated)."""

    name: str
    values: tuple[str, ...] = ()
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)

    def draw(self, chance: random.Random) -> str:
        """One value, each as likely as the others; a whole number where both ends are."""
        if self.values:
            return chance.choice(self.values)
        if self.low == self.low.to_integral_value() and self.high == self.high.to_integral_value():
            return str(chance.randint(int(self.low), int(self.high)))
        width = float(self.high - self.low)
        drawn = Decimal(repr(float(self.low) + chance.random() * width)).quantize(_grain(self.high - self.low))
        return _text(min(max(drawn, self.low), self.high))


def axis(text: str) -> Axis:
    """An axis from ``fast=5:50:5`` (both ends included), ``mode=a,b`` or, to be drawn from, ``stop=0.5:3``.

    Raises UsageError naming what is wrong and how to write it.
    """
    name, equals, wanted = text.partition("=")
    if not equals or not _NAME.fullmatch(name) or not wanted:
        raise UsageError(f"--grid {text!r}", hint=_HOW)
    if ":" not in wanted:
        return Axis(name, _listed(text, wanted))
    parts = [_number(text, part) for part in wanted.split(":")]
    if len(parts) not in (2, 3):
        raise UsageError(f"--grid {text!r}: {len(parts)} numbers", hint=_HOW)
    low, high = parts[:2]
    if low > high:
        raise UsageError(f"--grid {text!r}: {low} is above {high}", hint="the lower end comes first")
    if len(parts) == 2:
        return Axis(name, low=low, high=high)
    return Axis(name, _stepped(text, low, high, parts[2]))


def axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """All axes of a sweep. Raises UsageError for a name that comes twice, or when there is none."""
    found = tuple(axis(text) for text in texts)
    if not found:
        raise UsageError("nothing is varied", hint=_HOW.replace("write", "write --grid"))
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"--grid {twice}= is given twice", hint=f"write it once: {twice}=A,B,C")
    return found


def size(given: Sequence[Axis]) -> int:
    """How many combinations the axes make; 0 when one of them can only be drawn from."""
    return prod(len(one.values) for one in given)


def grid(given: Sequence[Axis]) -> Iterator[Combination]:
    """Every combination, the last axis fastest. Raises UsageError for a range without a step, and for too many."""
    for one in given:
        if not one.values:
            raise UsageError(
                f"--grid {one.name}={one.low}:{one.high} has no step",
                hint=f"write {one.name}={one.low}:{one.high}:STEP, or draw from it with --random N",
            )
    if size(given) > MOST:
        raise UsageError(f"{size(given):,} combinations", hint=f"at most {MOST:,}: take larger steps, or --random N")
    names = [one.name for one in given]
    return (dict(zip(names, values, strict=True)) for values in product(*(one.values for one in given)))


def drawn(given: Sequence[Axis], count: int, seed: int) -> list[Combination]:
    """``count`` different combinations by chance, the same for the same seed; all of them when there are no more."""
    if 0 < size(given) <= count:
        return list(grid(given))
    chance = random.Random(seed)
    found: dict[tuple[str, ...], None] = {}
    for _ in range(count * 100):
        if len(found) == count:
            break
        found[tuple(one.draw(chance) for one in given)] = None
    names = [one.name for one in given]
    return [dict(zip(names, values, strict=True)) for values in found]


def _listed(text: str, wanted: str) -> tuple[str, ...]:
    values = tuple(part.strip() for part in wanted.split(","))
    if "" in values or len(set(values)) < len(values):
        raise UsageError(f"--grid {text!r}: a value is empty or comes twice", hint=_HOW)
    return values


def _stepped(text: str, low: Decimal, high: Decimal, step: Decimal) -> tuple[str, ...]:
    if step <= 0:
        raise UsageError(f"--grid {text!r}: a step of {step}", hint="a step is above 0")
    count = int((high - low) / step) + 1
    if count > MOST:
        raise UsageError(f"--grid {text!r}: {count:,} values", hint="take a larger step")
    return tuple(_text(low + n * step) for n in range(count))


def _number(text: str, part: str) -> Decimal:
    try:
        number = Decimal(part)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise UsageError(f"--grid {text!r}: {part!r} is not a number", hint=_HOW)
    return number


def _grain(width: Decimal) -> Decimal:
    return Decimal(1).scaleb(min(0, width.adjusted() - _DIGITS + 1)) if width else Decimal(1)


def _text(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
