"""What a strategy file may not reach, and what to use instead. Looked for in its syntax tree before anything runs.

This keeps mistakes out, so that a strategy does the same in a backtest, live, and after a restart. It is no sandbox
against malice: that is the kernel's work (no network, no files, own memory for each host).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msgspec import Struct

ALLOWED_MODULES = (
    "__future__", "abc", "appliance.domain.market", "appliance.strategy", "bisect", "collections", "collections.abc",
    "dataclasses", "decimal", "enum", "fractions", "functools", "itertools", "math", "numpy", "operator", "statistics",
    "typing",
)  # fmt: skip

_CLOCK = "use self.now, market time in ns UTC"
_FILES = "a strategy has no files: keep data in self.state or give it as a param"
_NETWORK = "a strategy has no network: everything it may know comes through on_bar and on_quote"
_CHANCE = "chance cannot be repeated after a restart: decide from the data alone"
_THREADS = "a strategy runs one hook at a time: put the work in on_bar"
_DYNAMIC = "write the code out, so that it can be checked"
_MACHINE = "a strategy does not reach into the machine; use self.log and self.state"
_HASHES = "it differs from run to run; use a value of your own as the key"

_MODULES = {
    "time": _CLOCK, "datetime": _CLOCK, "calendar": _CLOCK, "zoneinfo": _CLOCK,
    "random": _CHANCE, "secrets": _CHANCE, "uuid": _CHANCE,
    "os": _MACHINE, "sys": _MACHINE, "subprocess": _MACHINE, "signal": _MACHINE, "ctypes": _MACHINE, "gc": _MACHINE,
    "io": _FILES, "pathlib": _FILES, "shutil": _FILES, "tempfile": _FILES, "pickle": _FILES, "sqlite3": _FILES,
    "csv": _FILES, "json": _FILES, "glob": _FILES,
    "socket": _NETWORK, "ssl": _NETWORK, "http": _NETWORK, "urllib": _NETWORK, "requests": _NETWORK,
    "asyncio": _THREADS, "threading": _THREADS, "multiprocessing": _THREADS, "concurrent": _THREADS,
    "importlib": _DYNAMIC, "builtins": _DYNAMIC, "inspect": _DYNAMIC,
    "logging": "use self.log(text)",
    "pandas": "use the indicators (self.sma, self.ema, …) or numpy: pandas costs 70 MB a process",
}  # fmt: skip

_NAMES = {
    "open": _FILES, "input": _MACHINE, "print": "use self.log(text): standard output belongs to the command line",
    "eval": _DYNAMIC, "exec": _DYNAMIC, "compile": _DYNAMIC, "__import__": _DYNAMIC, "globals": _DYNAMIC,
    "locals": _DYNAMIC, "vars": _DYNAMIC, "__builtins__": _DYNAMIC, "breakpoint": _DYNAMIC,
    "exit": _MACHINE, "quit": _MACHINE, "id": _HASHES, "hash": _HASHES,
}  # fmt: skip

_NUMPY = {
    "random": _CHANCE, "datetime64": _CLOCK,
    **dict.fromkeys(("load", "npyio", "format", "save", "savez", "savez_compressed", "loadtxt", "savetxt", "genfromtxt",
                     "fromfile", "fromregex", "memmap", "DataSource"), _FILES),
    **dict.fromkeys(("ctypeslib", "f2py", "testing", "core"), _MACHINE),
}  # fmt: skip

_ATTRIBUTES = dict.fromkeys(
    ("__subclasses__", "__globals__", "__builtins__", "__code__", "__bases__", "__mro__", "__dict__", "_context"),
    _DYNAMIC,
) | {"tofile": _FILES}


class Refusal(Struct, frozen=True):
    """One place in a strategy file that may not stay: its line, what is there, and what to use instead."""

    line: int
    what: str
    instead: str


def refusals(tree: ast.Module) -> list[Refusal]:
    """Every place in ``tree`` that reaches for what a strategy may not have, in line order."""
    origins = dict(_bindings(tree))
    found = [refusal for node in ast.walk(tree) for refusal in _judge(node, origins)]
    return sorted(dict.fromkeys(found), key=lambda refusal: refusal.line)


def _bindings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name an import binds, and where it comes from: ``np`` -> ``numpy``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _judge(node: ast.AST, origins: dict[str, str]) -> Iterator[Refusal]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _judge_module(node.lineno, alias.name)
    elif isinstance(node, ast.ImportFrom):
        yield from _judge_from(node)
    elif isinstance(node, ast.Name) and node.id in _NAMES and node.id not in origins:
        yield Refusal(node.lineno, node.id, _NAMES[node.id])
    elif isinstance(node, ast.Attribute):
        yield from _judge_attribute(node, origins)


def _judge_module(line: int, name: str) -> Iterator[Refusal]:
    if name not in ALLOWED_MODULES:
        instead = _member(name) or _MODULES.get(name.split(".")[0], f"allowed are {', '.join(ALLOWED_MODULES)}")
        yield Refusal(line, f"import {name}", instead)


def _judge_from(node: ast.ImportFrom) -> Iterator[Refusal]:
    module = "." * node.level + (node.module or "")
    if module not in ALLOWED_MODULES:
        yield from _judge_module(node.lineno, module)
        return
    for alias in node.names:
        instead = "name what you import" if alias.name == "*" else _member(f"{module}.{alias.name}")
        if instead:
            yield Refusal(node.lineno, f"from {module} import {alias.name}", instead)


def _judge_attribute(node: ast.Attribute, origins: dict[str, str]) -> Iterator[Refusal]:
    if node.attr in _ATTRIBUTES:
        yield Refusal(node.lineno, f".{node.attr}", _ATTRIBUTES[node.attr])
        return
    dotted = _dotted(node, origins)
    instead = _member(dotted) if dotted else ""
    if instead:
        yield Refusal(node.lineno, dotted, instead)


def _dotted(node: ast.expr, origins: dict[str, str]) -> str:
    """``np.random.rand`` as ``numpy.random.rand``; nothing when it does not begin at an imported name."""
    if isinstance(node, ast.Name):
        return origins.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, origins)
        return f"{base}.{node.attr}" if base else ""
    return ""


def _member(dotted: str) -> str:
    """What to use instead of ``module.member``: a door of an allowed module into a forbidden one. Nothing if fine."""
    root, *members = dotted.split(".")
    if root == "numpy" and members:
        return next((_NUMPY[one] for one in members if one in _NUMPY), "")
    if root == "appliance":
        return ""
    return next((_MODULES[one] for one in members if one in _MODULES), "")
