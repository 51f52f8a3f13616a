"""From the text of a strategy file to a runner. Every mistake is a StrategyError that names file, line and text."""

from __future__ import annotations

import ast
import linecache
import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import PurePath
from types import CodeType, ModuleType, TracebackType

from appliance.domain.market import Sessions
from appliance.errors import StrategyError
from appliance.strategy.base import Strategy
from appliance.strategy.params import Value, nearest
from appliance.strategy.refusals import refusals
from appliance.strategy.runner import StrategyRunner

NAME_LENGTH_MAX = 24
_NAME = re.compile(r"[a-z0-9_-]{1,24}")


def load(
    source: str,
    path: str,
    *,
    name: str | None = None,
    class_name: str | None = None,
    params: Mapping[str, Value] | None = None,
    sessions: Sessions | None = None,
) -> StrategyRunner:
    """A runner for the strategy in ``source``, the text of the file ``path`` (tracebacks name it; it is not read).

    ``name`` defaults to the file's stem. ``class_name`` is needed when the file has several strategies. ``sessions``
    are the exchange's (None: always open). ``on_start`` is run once for trial. Raises StrategyError: does not compile,
    reaches for what a strategy may not have, raises on import or in on_start, no strategy in it or several, wrong
    parameters.
    """
    name = strategy_name(path) if name is None else check_name(name)
    strategy = load_class(source, path, class_name, name)
    runner = StrategyRunner(strategy, name, strategy.configure(params or {}), sessions)
    _guarded(runner.rehearse, source, path, f"{strategy.__name__}.on_start raised")
    return runner


def load_class(source: str, path: str, class_name: str | None = None, name: str = "") -> type[Strategy]:
    """The strategy in ``source``, without making one; see ``load``."""
    return _choose(_execute(source, path, f"strategy file {name or strategy_name(path)}"), path, class_name)


def split_target(target: str) -> tuple[str, str | None]:
    """``file.py:ClassName`` as path and class name; the class name is None when not given."""
    path, colon, class_name = target.rpartition(":")
    return (path, class_name) if colon and class_name.isidentifier() else (target, None)


def strategy_name(path: str) -> str:
    """The name a file gives its strategy: its stem in ``[a-z0-9_-]``, at most 24 characters."""
    return re.sub(r"[^a-z0-9_-]+", "_", PurePath(path).stem.lower())[:NAME_LENGTH_MAX].strip("_") or "strategy"


def check_name(name: str) -> str:
    """``name`` itself. Raises StrategyError unless it is ``[a-z0-9_-]``, 1 to 24 characters."""
    if not _NAME.fullmatch(name):
        raise StrategyError(
            f"strategy name {name!r} is not allowed", hint="1 to 24 characters out of a-z, 0-9, _ and -"
        )
    return name


def _execute(source: str, path: str, module_name: str) -> ModuleType:
    code = _compiled(source, path)
    module = ModuleType(module_name)
    module.__file__ = path
    sys.modules[module_name] = module  # dataclasses and typing look annotations up there
    # Tracebacks then show what ran, not what the file has become since.
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    _guarded(lambda: exec(code, module.__dict__), source, path, "import failed")
    return module


@lru_cache(maxsize=8)
def _compiled(source: str, path: str) -> CodeType:
    """The code of a file, remembered: a sweep makes the same strategy many times, each in a module of its own."""
    try:
        tree = ast.parse(source, path)
        code = compile(tree, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise _error(source, path, error.lineno or 1, f"does not compile: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise _error(source, path, 1, f"does not compile: {error}") from error
    _refuse(tree, source, path)
    return code


def _refuse(tree: ast.Module, source: str, path: str) -> None:
    found = refusals(tree)
    if found:
        places = "\n".join(f"{_place(source, path, one.line)}\n    {one.what}: {one.instead}" for one in found)
        raise StrategyError(f"a strategy may not do this:\n{places}")


def _choose(module: ModuleType, path: str, class_name: str | None) -> type[Strategy]:
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__
    }
    if class_name is not None:
        if class_name not in own:
            have = ", ".join(own) or "none"
            raise StrategyError(f"{path}: no strategy {class_name!r} in it{nearest(class_name, own)}; it has {have}")
        return own[class_name]
    if not own:
        raise StrategyError(
            f"{path}: no strategy in it",
            hint="from appliance.strategy import Strategy, then class MyRule(Strategy): with an on_bar(self, bar)",
        )
    if len(own) > 1:
        raise StrategyError(
            f"{path}: several strategies in it: {', '.join(own)}", hint=f"name one: {path}:{next(iter(own))}"
        )
    return next(iter(own.values()))


def _guarded(call: Callable[[], None], source: str, path: str, what: str) -> None:
    """Call into the author's code; what it raises becomes a StrategyError with its last line in the file."""
    try:
        call()
    except StrategyError as error:
        line = line_in(error.__traceback__, path)
        if line is None:
            raise StrategyError(f"{path}: {error.text}", hint=error.hint) from error
        raise StrategyError(f"{_place(source, path, line)}\n    {error.text}", hint=error.hint) from error
    except (Exception, SystemExit) as error:
        line = line_in(error.__traceback__, path) or 1
        raise _error(source, path, line, f"{what}: {type(error).__name__}: {error}") from error


def line_in(traceback: TracebackType | None, path: str) -> int | None:
    """The line of ``path`` nearest to where it was raised."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == path:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _error(source: str, path: str, line: int, text: str) -> StrategyError:
    return StrategyError(f"{_place(source, path, line)}\n    {text}")


def _place(source: str, path: str, line: int) -> str:
    lines = source.splitlines()
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return f"{path}:{line}: {text}"
