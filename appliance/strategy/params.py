"""Typed, ranged parameters: ``fast: int = param(10, low=2, high=100)`` in the class, ``--param fast=5`` outside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from appliance.errors import StrategyError

Value = str | int | float | bool | Decimal


class Param:
    """A declared parameter: its default, type and what is allowed. ``name`` and ``type`` come from the class body.

    A ``live`` one may be changed while the strategy runs; the others wait for a reload.
    """

    __slots__ = ("choices", "default", "help", "high", "live", "low", "name", "type")

    def __init__(
        self, default: Any, low: Any, high: Any, choices: Sequence[Any] | None, help: str, live: bool = False
    ) -> None:
        self.default, self.low, self.high, self.help, self.live = default, low, high, help, live
        self.choices = None if choices is None else tuple(choices)
        self.name = ""
        self.type = ""

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.choices is not None:
            return "one of " + ", ".join(map(str, self.choices))
        kind = _WORDS[self.type]
        if self.low is not None and self.high is not None:
            return f"{kind} from {self.low} to {self.high}"
        if self.low is not None:
            return f"{kind}, at least {self.low}"
        return f"{kind}, at most {self.high}" if self.high is not None else kind

    def take(self, value: Value) -> Value:
        """The value in the declared type. Raises StrategyError naming parameter, value and what is allowed."""
        taken = _CONVERTERS[self.type](value)
        if taken is None or not self._allows(taken):
            raise StrategyError(f"parameter {self.name} = {value!r} is not allowed; allowed: {self.allowed}")
        return taken

    def _allows(self, value: Any) -> bool:
        if self.choices is not None and value not in self.choices:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def param(
    default: Any,
    low: Any = None,
    high: Any = None,
    choices: Sequence[Any] | None = None,
    help: str = "",
    live: bool = False,
) -> Any:
    """Declare a parameter: ``fast: int = param(10, low=2, high=100, help="bars")``.

    The annotation is its type: str, int, float, bool or Decimal. ``low`` and ``high`` are inclusive. Inside the
    strategy ``self.fast`` is the value. With ``live=True`` the owner may change it while the strategy runs, between two
    hooks: read ``self.fast`` each time, and let no indicator depend on it. A default outside its own range raises
    StrategyError when the class is made.
    """
    return Param(default, low, high, choices, help, live)


def collect(owner: str, annotations: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Param]:
    """The parameters of one class body, in order, checked. Raises StrategyError naming class and parameter."""
    found = {name: value for name, value in body.items() if isinstance(value, Param)}
    for name, declared in found.items():
        declared.name, declared.type = name, _type_name(annotations.get(name))
        if declared.type not in _CONVERTERS:
            example = type(declared.default).__name__
            raise StrategyError(
                f"{owner}.{name}: a parameter needs a type, one of {', '.join(_CONVERTERS)}",
                hint=f"write {name}: {example} = param(...)",
            )
        try:
            declared.default = declared.take(declared.default)
        except (StrategyError, TypeError) as error:
            raise StrategyError(f"{owner}.{name}: the default does not fit its own declaration: {error}") from None
    return found


def configure(owner: str, declared: Mapping[str, Param], values: Mapping[str, Value]) -> dict[str, Value]:
    """All parameters with their values, defaults filled in. Raises one StrategyError that lists every mistake."""
    taken, mistakes = _take(declared, values)
    if mistakes:
        have = "; ".join(f"{name}: {one.allowed}" for name, one in declared.items()) or "none"
        raise StrategyError(f"{owner}: " + "\n  ".join(mistakes), hint=f"parameters of {owner} are {have}")
    return {name: taken.get(name, one.default) for name, one in declared.items()}


def retune(
    owner: str, declared: Mapping[str, Param], current: Mapping[str, Value], changes: Mapping[str, Value]
) -> dict[str, Value]:
    """Those of ``changes`` that differ from ``current``, in their declared types, to be taken while running.

    Raises one StrategyError that lists every mistake: unknown, wrong type, out of range, not live. What is not live may
    be named when its value stays as it is.
    """
    taken, mistakes = _take(declared, changes)
    changed = {name: value for name, value in taken.items() if value != current.get(name)}
    mistakes += [
        f"parameter {name} is not live, so it stays {current.get(name)!r} while running: reload to change it"
        for name in changed
        if not declared[name].live
    ]
    if mistakes:
        live = "; ".join(f"{name}: {one.allowed}" for name, one in declared.items() if one.live) or "none"
        raise StrategyError(f"{owner}: " + "\n  ".join(mistakes), hint=f"live parameters of {owner} are {live}")
    return changed


def _take(declared: Mapping[str, Param], values: Mapping[str, Value]) -> tuple[dict[str, Value], list[str]]:
    """What is right of some values, in the declared types, and the mistakes in the others."""
    taken: dict[str, Value] = {}
    mistakes = []
    for name, value in values.items():
        if name not in declared:
            mistakes.append(f"unknown parameter {name!r}{nearest(name, declared)}")
            continue
        try:
            taken[name] = declared[name].take(value)
        except StrategyError as error:
            mistakes.append(error.text)
    return taken, mistakes


def nearest(name: str, names: Iterable[str]) -> str:
    """``; did you mean 'fast'?``, or nothing when no name is near."""
    near = get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _type_name(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")


def _to_str(value: Value) -> str | None:
    return value if isinstance(value, str) and value else None


def _to_int(value: Value) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _to_float(value: Value) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, TypeError):
        return None
    return number if math.isfinite(number) else None


def _to_bool(value: Value) -> bool | None:
    return value if isinstance(value, bool) else _BOOLS.get(value.lower()) if isinstance(value, str) else None


def _to_decimal(value: Value) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError, ValueError):
        return None
    return number if number.is_finite() else None


_BOOLS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_CONVERTERS: dict[str, Callable[[Value], Value | None]] = {
    "str": _to_str,
    "int": _to_int,
    "float": _to_float,
    "bool": _to_bool,
    "Decimal": _to_decimal,
}
_WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "Decimal": "a number"}
