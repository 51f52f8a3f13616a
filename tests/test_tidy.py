"""The rules of the house, as tests. What fails says what to do instead; a rule is not loosened to let something in."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from appliance.domain.topics import PROCESSES, TOPICS, WINDOWS

ROOT = Path(__file__).resolve().parents[1]
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
FUNCTION_LINES_MEDIAN_MAX = 8
PURE = ("appliance/domain", "appliance/core", "appliance/strategy")
SHIPPED = ("appliance", "strategies")
IMPURE_IMPORTS = {"time", "random", "uuid", "sqlite3", "socket", "secrets", "threading", "asyncio", "subprocess"}
IMPURE_CALLS = {"open", "print", "input", "id", "hash"}
IMPURE_METHODS = {"now", "utcnow", "today"}
PLAIN_BASES = {"Struct", "NamedTuple", "Exception", "Enum", "BaseModel"}  # document none of our methods
LOADER = "appliance/strategy/loader.py"  # reads strategy files; nothing else in the pure rooms touches a disk
WAITING_TESTS = ("tests/integration", "tests/chaos", "tests/box", "tests/browser", "tests/bench")
MACHINE_PATH = re.compile(r"(?<![\w.*])/(?:work|farm|root|tmp/bash\w*|home/\w+)/\w")
TEXT = {".py", ".md", ".toml", ".lock", ".yml", ".yaml", ".txt", ".cfg", ".service", ".sh", ".html", ".js", ".css", ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Found = Iterator[tuple[ast.AST, str]]


def name_of(path: Path) -> str:
    """A path as a reader of the project says it."""
    return path.relative_to(ROOT).as_posix()


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """All Python files below the folders of the project, in name order."""
    return tuple(sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions_of(path: Path) -> Iterator[Function]:
    """Every function of a file, methods and inner ones included."""
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def length(node: Function) -> int:
    """A function's lines: its decorators and docstring do not count."""
    doc = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
    documented = doc.end_lineno - doc.lineno + 1 if doc and doc.end_lineno else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - documented


def listed(places: Iterable[str], advice: str) -> None:
    """Fail with one line per place and the advice below, where there is a place."""
    found = sorted(places)
    assert not found, "\n  " + "\n  ".join(found) + f"\n{len(found)} in all. {advice}"


def each(rule: Callable[[Path], Found], *folders: str) -> Iterator[str]:
    """What a rule finds in the folders, as ``file:line what``."""
    for path in python_files(*folders):
        for node, what in rule(path):
            yield f"{name_of(path)}:{getattr(node, 'lineno', 1)} {what}"


# --- size ----------------------------------------------------------------------------------------------------------


def test_no_module_is_longer_than_one_can_keep_in_mind() -> None:
    long = {path: path.read_text(encoding="utf-8").count("\n") for path in python_files(*SHIPPED)}
    listed(
        (f"{name_of(path)}: {lines} lines" for path, lines in long.items() if lines > MODULE_LINES_MAX),
        f"At most {MODULE_LINES_MAX} lines: move one of its ideas to a module named after that idea.",
    )


def test_no_function_is_longer_than_a_screen() -> None:
    listed(
        (
            f"{name_of(path)}:{node.lineno} {node.name}: {length(node)} lines"
            for path in python_files(*SHIPPED, "tests")
            for node in functions_of(path)
            if length(node) > FUNCTION_LINES_MAX
        ),
        f"At most {FUNCTION_LINES_MAX} lines: name its steps, each a function, or turn its branches into a table.",
    )


def test_most_functions_are_a_few_lines_long() -> None:
    middle = statistics.median(length(node) for path in python_files(*SHIPPED) for node in functions_of(path))
    assert middle <= FUNCTION_LINES_MEDIAN_MAX, (
        f"the median function has {middle} lines, at most {FUNCTION_LINES_MEDIAN_MAX}: "
        "the last change brought long ones; name their steps"
    )


# --- imports -------------------------------------------------------------------------------------------------------


def imports_of(path: Path) -> set[str]:
    """The modules of ours that a file imports when it is itself imported: not inside functions, not for types only."""
    modules = {module_name(each_path) for each_path in python_files("appliance")}
    found: set[str] = set()
    for node in at_import(tree_of(path).body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            if any(f"{node.module}.{alias.name}" not in modules for alias in node.names):
                found.add(node.module)
    return found & modules - {module_name(path)}


def at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run at import: bodies of ``if`` and ``try`` too, ``if TYPE_CHECKING`` not."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from at_import([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from at_import([*node.body, *node.orelse, *node.finalbody])


def module_name(path: Path) -> str:
    """``appliance/core/turn.py`` is ``appliance.core.turn``; a package is its folder."""
    return name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """One cycle, its first module again at its end; empty where there is none."""
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        for target in sorted(graph.get(module, ())) if module not in done else ():
            if found := visit(target, [*trail, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := visit(module, []))), [])


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module_name(path): imports_of(path) for path in python_files("appliance")}
    assert sum(map(len, graph.values())) > len(graph), "the graph is nearly empty: imports_of no longer sees imports"
    found = cycle_in(graph)
    assert not found, f"{' -> '.join(found)}: move what both need into a third module below them"


def test_a_cycle_of_imports_is_found_where_there_is_one() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


# --- words ---------------------------------------------------------------------------------------------------------


def is_trivial(node: ast.AST) -> bool:
    """Whether a name says it all: overrides, overloads and properties of one line."""
    marks = {ast.unparse(mark).split(".")[-1] for mark in getattr(node, "decorator_list", ())}
    return bool(marks & {"overload", "override", "setter"}) or (
        "property" in marks and len(getattr(node, "body", ())) == 1
    )


def bases_of(node: ast.ClassDef) -> set[str]:
    """The bare names of a class's bases."""
    return {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases}


@cache
def protocol_methods() -> frozenset[str]:
    """What the protocols of the project ask for and document: who has such a method need not say it again."""
    classes = [
        node for path in python_files("appliance") for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)
    ]
    methods = [
        part for node in classes if "Protocol" in bases_of(node) for part in node.body if isinstance(part, Function)
    ]
    return frozenset(method.name for method in methods if ast.get_docstring(method))


def undocumented(path: Path) -> Found:
    """Public modules, classes and functions without a docstring; one that overrides has that of what it overrides."""
    if not ast.get_docstring(tree_of(path)) and path.name != "__init__.py":
        yield tree_of(path), "module"
    yield from _undocumented(tree_of(path).body, inherited=False)


def _undocumented(body: Iterable[ast.stmt], *, inherited: bool) -> Found:
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        asked_for = node.name in protocol_methods() or inherited
        if not ast.get_docstring(node) and not is_trivial(node) and not (asked_for and isinstance(node, Function)):
            yield node, f"{type(node).__name__.removesuffix('Def').lower()} {node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node.body, inherited=bool(bases_of(node) - PLAIN_BASES))


def test_public_names_are_documented() -> None:
    listed(
        each(undocumented, "appliance"),
        "One line that says what it is for, with units and the errors it raises; or a leading _ if it is not public.",
    )


def test_no_module_is_called_after_nothing() -> None:
    names = {"utils", "util", "helpers", "common", "misc", "tools"}
    listed(
        (name_of(path) for path in python_files("appliance") if names & set(path.with_suffix("").parts[-2:])),
        "Name it after what it knows; a function that fits nowhere belongs beside its only caller.",
    )


def test_the_cores_know_of_no_backtest() -> None:
    listed(
        (
            f"{name_of(path)}:{number} {line.strip()}"
            for path in python_files("appliance/core")
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if "backtest" in line.lower().replace("backtesting.py", "")  # the name of another's package
        ),
        "A core cannot tell who drives it: let the driver give it another clock, wire, store or venue.",
    )


# --- purity --------------------------------------------------------------------------------------------------------


def impure(path: Path) -> Found:
    """Clocks, chance, disks, sockets and threads, by import or by call."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from ((node, f"imports {name}") for name in names if name.split(".")[0] in IMPURE_IMPORTS)
        elif isinstance(node, ast.Call):
            yield from _impure_call(node, reads=name_of(path) == LOADER)


def _impure_call(node: ast.Call, *, reads: bool) -> Found:
    called = node.func
    if isinstance(called, ast.Name) and called.id in IMPURE_CALLS - ({"open", "id"} if reads else set()):
        yield node, f"calls {called.id}()"
    if isinstance(called, ast.Attribute) and called.attr in IMPURE_METHODS and "date" in ast.unparse(called.value):
        yield node, f"calls {ast.unparse(called)}()"
    if isinstance(called, ast.Attribute) and called.attr in ("read_text", "write_text", "read_bytes") and not reads:
        yield node, f"calls {ast.unparse(called)}()"


def test_pure_rooms_touch_no_clock_chance_disk_or_socket() -> None:
    listed(
        each(impure, *PURE),
        "Take `now` or a seeded random.Random as an argument, ids from positions; return what is to be stored or sent.",
    )


def iterated_sets(path: Path) -> Found:
    """Loops over what is plainly a set: their order differs from run to run."""
    for node in ast.walk(tree_of(path)):
        sources = [node.iter] if isinstance(node, ast.For | ast.comprehension) else []
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("list", "tuple", "enumerate")
        ):
            sources = node.args[:1]
        yield from ((source, f"iterates {ast.unparse(source)}") for source in sources if is_set(source))


def is_set(node: ast.expr) -> bool:
    """Whether an expression is a set for certain: a literal, a comprehension, ``set(…)``, or one made of these."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
        return is_set(node.left) or is_set(node.right)
    made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")
    return made or isinstance(node, ast.Set | ast.SetComp)


def test_pure_rooms_iterate_no_set() -> None:
    listed(each(iterated_sets, *PURE), "Its order changes from run to run: write sorted(…), or dict.fromkeys(…).")


@pytest.mark.parametrize(
    ("rule", "code", "finds"),
    [
        (iterated_sets, "for x in {1, 2} | other: pass", 1),
        (iterated_sets, "found = [x for x in set(names)]", 1),
        (iterated_sets, "found = list({x for x in names})", 1),
        (iterated_sets, "for x in sorted({1, 2}): pass", 0),
        (impure, "import time", 1),
        (impure, "from datetime import datetime\nnow = datetime.now()", 1),
        (impure, "text = open('x').read()", 1),
        (impure, "print('x')", 1),
        (impure, "from datetime import date", 0),
        (undocumented, '"""Doc."""\ndef shown(): pass\ndef _hidden(): pass', 1),
        (undocumented, '"""Doc."""\nclass Shown:\n    """Doc."""\n    def method(self): pass', 1),
    ],
)  # fmt: skip
def test_the_rules_find_what_they_are_for(
    rule: Callable[[Path], Found], code: str, finds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    file = tmp_path / "module.py"
    file.write_text(code)
    assert len(list(rule(file))) == finds


# --- tests ---------------------------------------------------------------------------------------------------------


def promises_of(path: Path) -> Iterator[Function]:
    """The test functions of a file."""
    return (node for node in functions_of(path) if node.name.startswith("test_"))


def asserting_names() -> set[str]:
    """Functions of the tests that assert, or call one that does: what a test may leave its asserting to. Of functions
    with one name it is enough that one does."""
    bodies = [node for path in python_files("tests") for node in functions_of(path)]
    found = {node.name for node in bodies if any(isinstance(part, ast.Assert) for part in ast.walk(node))}
    while more := {node.name for node in bodies if node.name not in found and calls(node) & found}:
        found |= more
    return found


def asserts(node: Function, known: set[str]) -> bool:
    """Whether a test can fail: it asserts, calls what does, or plays a conversation (``play >> said << expected``)."""
    called = calls(node)
    says = any(isinstance(part, ast.Assert) for part in ast.walk(node)) or any(
        name.startswith("assert_") for name in called
    )
    return says or bool(called & known) or any(is_conversation(part) for part in ast.walk(node))


def is_conversation(node: ast.AST) -> bool:
    """A statement of ``>>`` and ``<<``, which a playbook checks as it goes and at its end."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.BinOp)
        and isinstance(node.value.op, ast.LShift | ast.RShift)
    )


def calls(node: ast.AST) -> set[str]:
    """The bare names of everything a function calls."""
    return {ast.unparse(part.func).split(".")[-1] for part in ast.walk(node) if isinstance(part, ast.Call)}


def test_tests_are_named_as_sentences() -> None:
    listed(
        (
            f"{name_of(path)}:{node.lineno} {node.name}"
            for path in python_files("tests")
            for node in promises_of(path)
            if len(node.name.split("_")) < 4
        ),
        "A test's name is a promise of at least three words: test_a_late_intent_is_denied.",
    )


def test_every_test_asserts_something() -> None:
    known = asserting_names() | {"raises", "warns", "fail"}
    listed(
        (
            f"{name_of(path)}:{node.lineno} {node.name}"
            for path in python_files("tests")
            for node in promises_of(path)
            if not asserts(node, known)
        ),
        "Assert what the name promises.",
    )


def sleeps(path: Path) -> Found:
    """Calls of sleep."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "sleep":
            yield node, "sleeps"


def test_tests_do_not_sleep() -> None:
    found = (place for place in each(sleeps, "tests") if not place.startswith(WAITING_TESTS))
    listed(found, "Give the clock as an argument, or wait for the event itself with a deadline.")


def expected_failures(path: Path) -> Found:
    """Marks and calls of xfail."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and node.attr == "xfail":
            yield node, ast.unparse(node)


def test_nothing_is_expected_to_fail() -> None:
    listed(each(expected_failures, "tests"), "Mend it, or take the test out with the promise it makes.")


# --- what a reader finds -------------------------------------------------------------------------------------------


def project_files() -> Iterator[Path]:
    """Every text file of the project, hidden folders and what tools leave behind not."""
    folders = ("appliance", "strategies", "systemd", "ansible", "tests", "tools", ".ci")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*"))
    kept = (path for path in files if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts)
    return (path for path in sorted(kept) if ".venv" not in path.parts)


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    listed(
        (
            f"{name_of(path)}:{number} {found.group()}"
            for path in project_files()
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
            if (found := MACHINE_PATH.search(line))
        ),
        "Make it relative to the project, or an argument.",
    )


def test_the_lock_files_pin_every_package_by_hash_and_name_no_index() -> None:
    for path in sorted(ROOT.glob("requirements*.lock")):
        text = re.sub(r" *\\\n *", " ", path.read_text())
        rows = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        bad = [row.split(" ")[0] for row in rows if not re.match(r"[a-z0-9._-]+==[^ ]+ .*--hash=sha256:", row)]
        listed((f"{path.name}: {row}" for row in bad), "Write the lock anew: make lock.")
        assert rows, f"{path.name} is empty; write it anew: make lock"
        assert "://" not in text, f"{path.name} has an address in it; write it anew: make lock"


def topics_table() -> str:
    """The README's table of topics, as the code has it."""
    rows = [("topic", "messages", "from", "to", "QoS", "kept"), ("---",) * 6]
    for row in TOPICS:
        kinds = ", ".join(kind.value for kind in row.types)
        kept = "stream" if row.stream else "retained" if row.retained else ""
        rows.append((f"`{row.name}`", kinds, told(row.publishers), told(row.readers), str(row.qos), kept))
    return "\n".join(" | ".join(("", *row, "")).strip() for row in rows)


def told(names: tuple[str, ...]) -> str:
    """The processes of a topic, in few words: the five as ``all five``, console, page and tool as ``windows``."""
    for group, word in ((PROCESSES, "all five"), (WINDOWS, "windows")):
        if set(group) <= set(names):
            names = (*(name for name in names if name not in group), word)
    return ", ".join(names)


def test_the_readme_shows_the_table_of_topics() -> None:
    table = topics_table()
    shown = table in (ROOT / "README.md").read_text(encoding="utf-8")
    assert shown, f"README.md has another table of topics; this is what the code says:\n\n{table}\n"
