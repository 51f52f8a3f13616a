"""Conditions an owner writes: `fast < slow` of parameters, `trades >= 30` of results. Arithmetic, nothing else."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from appliance.errors import UsageError

Known = float | str | bool | None

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_HOW = "write a comparison such as 'fast < slow' or 'trades >= 30 and max_drawdown > -0.3'"


class Condition:
    """One condition, parsed. ``names`` are what it asks for."""

    def __init__(self, text: str) -> None:
        """Raises UsageError when it is not a comparison of names and numbers."""
        self.text = text
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            raise UsageError(f"condition {text!r} cannot be read", hint=_HOW) from None
        self._check(self._tree)
        if not isinstance(self._tree, ast.Compare | ast.BoolOp | ast.UnaryOp):
            raise UsageError(f"condition {text!r} compares nothing", hint=_HOW)
        found = (node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name))
        self.names = tuple(dict.fromkeys(found))

    def check_names(self, known: Iterable[str], of: str) -> None:
        """Raise UsageError when it asks for what is not ``known``; ``of`` says what those are."""
        have = tuple(known)
        for name in self.names:
            if name not in have:
                near = get_close_matches(name, have, n=1)
                guess = f"did you mean {near[0]}? " if near else ""
                raise UsageError(
                    f"condition {self.text!r}: no {of} {name!r}", hint=f"{guess}there are {', '.join(sorted(have))}"
                )

    def holds(self, values: Mapping[str, Known]) -> bool:
        """Whether it is true of ``values``. What is None, NaN, divided by 0 or of two kinds makes no condition true."""
        try:
            return bool(self._value(self._tree, values))
        except (_Undefined, ZeroDivisionError, TypeError):
            return False

    def _check(self, node: ast.AST) -> None:
        if isinstance(node, ast.Compare):
            good = all(type(one) in _COMPARE for one in node.ops)
        elif isinstance(node, ast.BinOp):
            good = type(node.op) in _BINARY
        elif isinstance(node, ast.UnaryOp):
            good = isinstance(node.op, ast.Not | ast.USub)
        elif isinstance(node, ast.Constant):
            good = isinstance(node.value, int | float | str)
        else:
            good = isinstance(node, ast.BoolOp | ast.Name)
        if not good:
            raise UsageError(f"condition {self.text!r}: {ast.unparse(node)!r} is not allowed in it", hint=_HOW)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._check(child)

    def _value(self, node: ast.AST, values: Mapping[str, Known]) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return _defined(values.get(node.id))
        if isinstance(node, ast.BinOp):
            return _BINARY[type(node.op)](self._value(node.left, values), self._value(node.right, values))
        if isinstance(node, ast.UnaryOp):
            operand = self._value(node.operand, values)
            return not operand if isinstance(node.op, ast.Not) else -operand
        if isinstance(node, ast.BoolOp):
            both = all if isinstance(node.op, ast.And) else any
            return both(self._value(one, values) for one in node.values)
        return self._compared(node, values)

    def _compared(self, node: ast.AST, values: Mapping[str, Known]) -> bool:
        assert isinstance(node, ast.Compare)
        left = self._value(node.left, values)
        for how, right_node in zip(node.ops, node.comparators, strict=True):
            right = self._value(right_node, values)
            if not _COMPARE[type(how)](left, right):
                return False
            left = right
        return True


class _Undefined(Exception):
    pass


def _defined(value: Known) -> Known:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise _Undefined
    return value


def number_or_text(text: str) -> Known:
    """A parameter's value as a condition sees it: a number where it is one."""
    try:
        return float(text)
    except ValueError:
        return text
