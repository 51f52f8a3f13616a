"""What a strategy file may not reach, and what to use instead. Looked for in its syntax tree before anything runs.

This keeps mistakes out, so that a strategy does the same in a backtest, live, and after a restart. It is no sandbox
against malice: that is the kernel's work (no network, no files, own memory for each host).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msgspec import Struct

from appliance.strategy.pitfalls import BEHIND, pitfalls

ALLOWED_MODULES = (
    "__future__", "abc", "appliance.domain.market", "appliance.strategy", "bisect", "collections", "collections.abc",
    "dataclasses", "decimal", "enum", "fractions", "functools", "itertools", "math", "numpy", "operator", "statistics",
    "typing",
)  # fmt: skip

_CLOCK = "use self.now, market time in ns UTC"
_FILES = "a strategy has no files: keep data in self.state or give it as a param"
_NETWORK = "a strategy has no network: everything it may know comes through on_bar and on_quote"
_CHANCE = "use self.rng: it is seeded and saved"
_THREADS = "a strategy runs one hook at a time: put the work in on_bar"
_DYNAMIC = "write the code out, so that it can be checked"
_MACHINE = "a strategy does not reach into the machine; use self.log and self.state"
_HASHES = "it differs from run to run; use a value of your own as the key"
_LEFTOVERS = "it holds whatever was in memory, other numbers in each run: use np.zeros or np.full"
_STATE = "write self.state[...] = ..., which is saved"

_MODULES = {
    "time": _CLOCK, "datetime": _CLOCK, "calendar": _CLOCK, "zoneinfo": _CLOCK,
    "random": _CHANCE, "secrets": _CHANCE, "uuid": _CHANCE,
    "os": _MACHINE, "sys": _MACHINE, "subprocess": _MACHINE, "signal": _MACHINE, "ctypes": _MACHINE, "gc": _MACHINE,
    "io": _FILES, "pathlib": _FILES, "shutil": _FILES, "tempfile": _FILES, "pickle": _FILES, "sqlite3": _FILES,
    "csv": _FILES, "json": _FILES, "glob": _FILES,
    "socket": _NETWORK, "ssl": _NETWORK, "http": _NETWORK, "urllib": _NETWORK, "requests": _NETWORK,
    "asyncio": _THREADS, "threading": _THREADS, "multiprocessing": _THREADS, "concurrent": _THREADS,
    "importlib": _DYNAMIC, "builtins": _DYNAMIC, "bltns": _DYNAMIC, "inspect": _DYNAMIC, "types": _DYNAMIC,
    "platform": _MACHINE, "getpass": _MACHINE, "resource": _MACHINE, "weakref": _MACHINE, "atexit": "use on_stop",
    "sched": "use on_bar, or the timers of the strategy", "contextvars": _THREADS, "queue": _THREADS,
    "smtplib": _NETWORK, "ftplib": _NETWORK, "aiohttp": _NETWORK, "httpx": _NETWORK, "websocket": _NETWORK,
    "websockets": _NETWORK, "yfinance": _NETWORK,
    "gzip": _FILES, "zipfile": _FILES, "shelve": _FILES, "fileinput": _FILES,
    "warnings": "use self.log(text)", "pprint": "use self.log(text)",
    "talib": "use the indicators: self.sma, self.ema, …", "pandas_ta": "use the indicators: self.sma, self.ema, …",
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
    **dict.fromkeys(("ctypeslib", "f2py", "testing", "core", "distutils", "sys", "os", "builtins"), _MACHINE),
    **dict.fromkeys(("empty", "empty_like", "ndarray"), _LEFTOVERS),
    "as_strided": BEHIND, "seterr": "it changes every strategy of this host: use `with np.errstate(...):`",
    "set_printoptions": "it changes every strategy of this host: format the text yourself",
}  # fmt: skip

_DECIMAL = dict.fromkeys(
    ("getcontext", "setcontext", "DefaultContext"),
    "it is shared with the money of the appliance: use `with decimal.localcontext() as context:`",
)

_ATTRIBUTES = dict.fromkeys(
    ("__subclasses__", "__globals__", "__builtins__", "__code__", "__bases__", "__mro__", "__dict__", "_context",
     "__loader__", "__spec__", "__getattribute__", "f_globals", "gi_frame", "tb_frame"),
    _DYNAMIC,
) | {
    "tofile": _FILES, "__hash__": _HASHES, "__setattr__": _STATE,
    **dict.fromkeys(("__array_interface__", "__array_struct__", "ctypes", "setflags"), BEHIND),
}  # fmt: skip
_READS_BY_NAME = ("getattr", "hasattr", "setattr", "delattr")


class Refusal(Struct, frozen=True):
    """One place in a strategy file that may not stay: its line, what is there, and what to use instead."""

    line: int
    what: str
    instead: str


def refusals(tree: ast.Module) -> list[Refusal]:
    """Every place in ``tree`` that reaches for what a strategy may not have, in line order."""
    origins = dict(_bindings(tree))
    found = [refusal for node in ast.walk(tree) for refusal in _judge(node, origins)]
    found += [Refusal(*one) for one in pitfalls(tree, origins)]
    return sorted(dict.fromkeys(found), key=lambda refusal: refusal.line)


def _bindings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name an import binds, and where it comes from: ``np`` -> ``numpy``; names given to a module later, too."""
    imported = dict(_imported(tree))
    yield from imported.items()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in imported:
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield from ((name, imported[node.value.id]) for name in names)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
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
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _READS_BY_NAME:
        yield from _judge_by_name(node, origins)


def _judge_by_name(node: ast.Call, origins: dict[str, str]) -> Iterator[Refusal]:
    """``getattr(np, "random")`` is ``np.random``; a module's names are written out, not computed."""
    owner, name = [*node.args, None, None][:2]
    if isinstance(owner, ast.expr) and isinstance(name, ast.Constant) and isinstance(name.value, str):
        spelt = ast.Attribute(owner, name.value, ast.Load())
        yield from _judge_attribute(ast.copy_location(spelt, node), origins)
    elif isinstance(owner, ast.Name) and owner.id in origins:
        yield Refusal(node.lineno, ast.unparse(node), _DYNAMIC)


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
    if root == "appliance":
        inside = (
            not dotted.startswith(("appliance.strategy", "appliance.domain.market")) and dotted != "appliance.domain"
        )
        return f"allowed are {', '.join(ALLOWED_MODULES)}" if members and inside else ""
    doors = _NUMPY if root == "numpy" else _MODULES | (_DECIMAL if root == "decimal" else {})
    hidden = _MACHINE if any(one.startswith("_") and one != "__version__" for one in members) else ""
    return next((doors[one.lstrip("_")] for one in members if one.lstrip("_") in doors), hidden)
