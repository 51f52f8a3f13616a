"""`appliance strategy list, pause, resume, stop, reload, set`: asked of the host that runs the strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from appliance.domain.messages import EventType
from appliance.domain.operations import CommandResult, Verb
from appliance.errors import ApplianceError, RefusedError, StrategyError, UsageError
from appliance.shell.paths import StatePaths
from appliance.shell.window import Window

if TYPE_CHECKING:
    from appliance.domain.performance import PerformanceReport
    from appliance.runs import RunSpec, StrategySpec

VIEW = "view/strategy/<strategy>"
LISTEN_S = 1.5
"""Figures are said each second."""
RELOAD_S = 15.0
"""A host may take so long to import the new code and answer."""


def _names(context: click.Context, argument: click.Parameter, typed: str) -> list[str]:
    """Completion of NAME: the strategies of the box in --state."""
    from appliance.runs import read_spec

    try:
        spec = read_spec(StatePaths(Path(context.params.get("state") or "state")))
    except ApplianceError:
        return []
    return [one.name for one in spec.strategies if one.name.startswith(typed)]


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output"),
        click.option(
            "--state", type=click.Path(path_type=Path), default=Path("state"), show_default=True, help="state directory"
        ),
    ):
        command = option(command)
    return command


def _named(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("name", shell_complete=_names)(_common(command))


def find(spec: RunSpec, name: str) -> StrategySpec:
    """The strategy of that name in a run. Raises UsageError that names the nearest."""
    names = [one.name for one in spec.strategies]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise UsageError(f"no strategy {name!r} runs here", hint=hint)
    return next(one for one in spec.strategies if one.name == name)


def _found(state: Path, name: str) -> StrategySpec:
    from appliance.runs import read_spec

    return find(read_spec(StatePaths(state)), name)


def _tell(state: Path, verb: Verb, strategy: StrategySpec, as_json: bool, **fields: Any) -> None:
    """Ask the host that runs it, and print its answer. Raises RefusedError when that is no."""
    host = f"host@{strategy.host or strategy.name}"
    if not as_json:
        click.echo(f"{verb.value.removesuffix('-strategy')} {strategy.name}: pending, asking {host} …", err=True)
    with Window(StatePaths(state), hears=()) as window:
        result = window.command(verb, target=host, strategy=strategy.name, **fields)
    if as_json:
        click.echo(msgspec.json.encode(_plain(result, strategy.name)).decode())
        if not result.done:
            raise SystemExit(RefusedError.exit_code)  # one object, which has the words already
    elif result.done:
        click.echo(f"{result.process}: {result.text}")
    else:
        raise RefusedError(f"{result.process}: {result.text}")


def _plain(result: CommandResult, strategy: str) -> dict[str, Any]:
    return {"done": result.done, "text": result.text, "process": result.process, "strategy": strategy}


@click.command()
@_named
@click.option("--reason", default="", help="why, for the log")
def pause(name: str, state: Path, as_json: bool, reason: str) -> None:
    """Let NAME decide nothing for now; its indicators go on, its positions and stops stay."""
    _tell(state, Verb.PAUSE_STRATEGY, _found(state, name), as_json, reason=reason)


@click.command()
@_named
@click.option("--reason", default="", help="why, for the log")
def resume(name: str, state: Path, as_json: bool, reason: str) -> None:
    """Let NAME decide again after a pause, a stop or failures."""
    _tell(state, Verb.RESUME_STRATEGY, _found(state, name), as_json, reason=reason)


@click.command()
@_named
@click.option("--reason", default="", help="why, for the log")
def stop(name: str, state: Path, as_json: bool, reason: str) -> None:
    """End NAME: its on_stop runs, then it hears nothing more; positions and stops stay (see `appliance flatten`)."""
    _tell(state, Verb.STOP_STRATEGY, _found(state, name), as_json, reason=reason)


@click.command()
@_named
@click.option("--file", type=click.Path(path_type=Path), help="the new code (default: the file it was started from)")
@click.option("--param", multiple=True, metavar="KEY=VALUE", help="a parameter for the new code (repeatable)")
@click.option("--force", is_flag=True, help="let the host judge, do not load the code here first")
def reload(name: str, state: Path, as_json: bool, file: Path | None, param: tuple[str, ...], force: bool) -> None:
    """Give NAME new code between two bars: its state is carried over, and the old code goes on if the new one fails.

    \b
      appliance strategy reload my_rule
      appliance strategy reload my_rule --file try.py --param window=50
    """
    from appliance.commands.options import parameters

    strategy, params = _found(state, name), parameters(param)
    path = Path(strategy.file) if file is None else file
    source = _read(path)
    if not force:
        _try(source, path, strategy, params)
    _tell(state, Verb.RELOAD_STRATEGY, strategy, as_json, source=source, params=params, seconds=RELOAD_S)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise StrategyError(f"{path}: {why}", hint="name the new code with --file FILE") from None


def _try(source: str, path: Path, strategy: StrategySpec, params: Mapping[str, str]) -> None:
    """Load it here, so that a mistake is told at once and the host is not bothered. Raises StrategyError."""
    from appliance.strategy import loader

    loader.load(
        source, str(path), name=strategy.name, class_name=strategy.class_name or None,
        params={**strategy.params, **params},
    )  # fmt: skip


@click.command("set")
@_named
@click.argument("values", metavar="KEY=VALUE…", nargs=-1, required=True)
def set_values(name: str, state: Path, as_json: bool, values: tuple[str, ...]) -> None:
    """Change live parameters of NAME while it runs; those that are not live wait for a reload.

    appliance strategy set my_rule shares=50 entry=2.5
    """
    from appliance.commands.options import parameters

    params = parameters(values)
    _tell(state, Verb.SET_PARAMETERS, _found(state, name), as_json, params=params)


@click.command("list")
@_common
def listed(state: Path, as_json: bool) -> None:
    """The strategies of a running box: host, parameters, and what they have made of their money."""
    from appliance.runs import read_spec

    paths = StatePaths(state)
    spec = read_spec(paths)
    with Window(paths, hears=(VIEW,)) as window:
        names = {one.name for one in spec.strategies}
        reports: dict[str, PerformanceReport] = {}

        def note(event: Any) -> None:
            if event.type is EventType.PERFORMANCE:
                reports[event.body.name] = event.body

        window.events = note
        window.until(lambda: names <= set(reports), LISTEN_S)
        beats = {name: beat.state.value for name, beat in window.beats.items()}
    rows = [_row(one, beats, reports.get(one.name)) for one in spec.strategies]
    click.echo(msgspec.json.encode({"strategies": rows}).decode() if as_json else _table(rows))


def _row(strategy: StrategySpec, beats: Mapping[str, str], report: PerformanceReport | None) -> dict[str, Any]:
    host = f"host@{strategy.host or strategy.name}"
    return {
        "name": strategy.name,
        "host": host,
        "process": beats.get(host, "not heard"),
        "state": "" if report is None else report.state,
        "file": strategy.file,
        "params": strategy.params if report is None else report.params or strategy.params,
        "equity": None if report is None else report.equity,
        "realised": None if report is None else report.realised,
        "positions": {} if report is None else {s: q for s, q in sorted(report.positions.items()) if q},
    }


def _table(rows: list[dict[str, Any]]) -> str:
    cells = [("strategy", "host", "process", "state", "equity USD", "realised", "position", "parameters")]
    for row in rows:
        held = " ".join(f"{symbol} {quantity}" for symbol, quantity in row["positions"].items())
        params = " ".join(f"{key}={value}" for key, value in row["params"].items())
        money = ("?" if row[key] is None else f"{row[key]:,.2f}" for key in ("equity", "realised"))
        cells.append((row["name"], row["host"], row["process"], row["state"] or "?", *money, held or "none", params))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


VERBS = (pause, resume, stop, reload, set_values)
