"""What a strategy file may well write but does not mean: looking ahead, state that is lost, an order that changes.

Found in the syntax tree, so only what is plain to see; `appliance strategy check` finds the rest by running it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

Found = Iterator[tuple[int, str, str]]
"""Line, what is there, and what to use instead."""

AHEAD = "it brings the oldest value to the newest place; compare slices instead: x[1:] with x[:-1]"
BEHIND = "it reaches what an array hides; use the array as it is given"
ORDER = "the order of a set differs from run to run; use sorted(...), or dict.fromkeys(...) to keep the first order"
LOST = "it is lost at a restart and shared with every strategy of this file; keep it in self.state"

_ORDERED = ("list", "tuple", "enumerate", "iter", "zip", "map", "filter", "reversed", "sum")
"""Calls that take elements in their order; ``sum`` too, since floats do not add up alike in another order."""
_ORDERLESS = ("sorted", "min", "max", "any", "all", "len", "set", "frozenset")
_MUTABLE = ("list", "dict", "set", "deque", "defaultdict", "Counter", "OrderedDict", "bytearray")
_MUTATES = (
    "append", "appendleft", "extend", "extendleft", "insert", "pop", "popleft", "popitem", "remove", "clear", "update",
    "setdefault", "add", "discard", "sort", "reverse", "rotate", "subtract", "fill",
)  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def pitfalls(tree: ast.Module, origins: dict[str, str]) -> Found:
    """Every one in ``tree``; ``origins`` are the names its imports bind (``np`` -> ``numpy``)."""
    orderless = set(_orderless(tree))
    for node in ast.walk(tree):
        yield from _ahead(node, origins)
        yield from _set_order(node, orderless)
    yield from _lost_state(tree)


# --- looking ahead -----------------------------------------------------------------------------------------------


def _ahead(node: ast.AST, origins: dict[str, str]) -> Found:
    if isinstance(node, ast.Call) and _called(node, origins) == "numpy.roll":
        shifts = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "shift")]
        if any(_negative(shift) for shift in shifts):
            yield node.lineno, ast.unparse(node), AHEAD
    elif isinstance(node, ast.Attribute) and node.attr == "base" and not _is_self(node.value):
        yield node.lineno, ast.unparse(node), BEHIND


def _called(node: ast.Call, origins: dict[str, str]) -> str:
    """``numpy.roll`` for a call of it, under whatever name."""
    called = node.func
    if isinstance(called, ast.Name):
        return origins.get(called.id, "")
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return f"{origins.get(called.value.id, '')}.{called.attr}"
    return ""


def _negative(node: ast.expr) -> bool:
    """Whether a shift is plainly negative: ``-1``, ``-self.bars``, or a tuple with one of them."""
    if isinstance(node, ast.Tuple | ast.List):
        return any(_negative(one) for one in node.elts)
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


# --- the order of sets -------------------------------------------------------------------------------------------


def _set_order(node: ast.AST, orderless: set[ast.AST]) -> Found:
    for taken in _taken_in_order(node) if node not in orderless else ():
        if _is_set(taken):
            line = getattr(node, "lineno", taken.lineno)
            yield line, f"the order of {ast.unparse(taken)}", ORDER


def _taken_in_order(node: ast.AST) -> list[ast.expr]:
    """The expressions whose elements ``node`` takes one after the other."""
    if isinstance(node, ast.For):
        return [node.iter]
    if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp):
        return [part.iter for part in node.generators]
    if isinstance(node, ast.Starred):
        return [node.value]
    if not isinstance(node, ast.Call):
        return []
    if isinstance(node.func, ast.Name):
        return node.args if node.func.id in _ORDERED else []
    if isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        return node.args
    return [node.func.value] if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" else []


def _orderless(tree: ast.Module) -> Iterator[ast.AST]:
    """Comprehensions whose order does not matter, because of who gets them: ``sorted(x for x in {…})``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ORDERLESS:
            yield from node.args


def _is_set(node: ast.expr) -> bool:
    """Whether an expression is a set for certain: a literal, a comprehension, ``set(…)``, or one made of these."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
        return _is_set(node.left) or _is_set(node.right)
    made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")
    return made or isinstance(node, ast.Set | ast.SetComp)


# --- state that is lost ------------------------------------------------------------------------------------------


def _lost_state(tree: ast.Module) -> Found:
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    ours = {node.name for node in classes}
    shared = _mutable_names(tree.body)
    of_classes = {name for node in classes for name in _mutable_names(node.body)}
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        local = set(_bound_in(function))
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield node.lineno, ast.unparse(node), LOST
            for written, whole in _written(node):
                if _belongs_to_all(written, whole, shared - local, of_classes, ours - local):
                    yield written.lineno, f"{ast.unparse(written)} changes", LOST


def _mutable_names(body: list[ast.stmt]) -> set[str]:
    """Names that a module or class body binds to what can be changed in place."""
    found = set()
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and _is_mutable(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).split(".")[-1] in _MUTABLE
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _bound_in(function: Function) -> Iterator[str]:
    """Names that are a function's own: arguments, and what it assigns."""
    arguments = function.args
    yield from (one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _written(node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
    """What a node changes in place, and whether it replaces the whole: ``x[…] =``, ``x.append(…)``, ``x.y =``."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    for target in targets:
        if isinstance(target, ast.Subscript):
            yield target.value, False
        elif isinstance(target, ast.Attribute):
            yield target, True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATES:
        yield node.func.value, False


def _belongs_to_all(written: ast.expr, whole: bool, shared: set[str], of_classes: set[str], ours: set[str]) -> bool:
    """Whether what is changed is a module's or a class's own, not one strategy's."""
    if isinstance(written, ast.Name):
        return not whole and written.id in shared
    if not isinstance(written, ast.Attribute):
        return False
    owner = written.value
    if isinstance(owner, ast.Name) and owner.id in ours:
        return True
    if ast.unparse(owner) in ("type(self)", "self.__class__"):
        return True
    return not whole and _is_self(owner) and written.attr in of_classes
