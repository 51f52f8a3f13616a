"""What the owner tells a running box: halt, reduce, resume, flatten, cancel-all; and panic, which needs no box."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from appliance.domain.operations import CommandResult, LatchState, Verb
from appliance.errors import ApplianceError, EnvironmentFault, RefusedError
from appliance.shell import latchfiles
from appliance.shell.paths import StatePaths
from appliance.shell.window import Window

HEARS = ("view/latch",)


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output"),
        click.option("--reason", default="", help="why, for the log and the alert"),
        click.option(
            "--state", type=click.Path(path_type=Path), default=Path("state"), show_default=True, help="state directory"
        ),
    ):
        command = option(command)
    return command


def _answer(result: CommandResult, as_json: bool) -> None:
    """Print the gateway's answer. Raises RefusedError when it is no."""
    if as_json:
        click.echo(msgspec.json.encode({"done": result.done, "text": result.text, "process": result.process}).decode())
    elif result.done:
        click.echo(f"{result.process}: {result.text}")
    if not result.done:
        raise RefusedError(f"{result.process}: {result.text}")


def _tell(state: Path, verb: Verb, as_json: bool, **fields: Any) -> None:
    with Window(StatePaths(state), hears=HEARS) as window:
        _answer(window.command(verb, **fields), as_json)


@click.command()
@_common
@click.option("--all", "everything", is_flag=True, help="cancel protective stops too")
def halt(state: Path, reason: str, as_json: bool, everything: bool) -> None:
    """Stop trading now: no new orders, working ones cancelled, protective stops left at the broker.

    Works with Mosquitto or the guard dead, and survives a reboot: it writes the latch files first, which the gateway
    reads every 50 ms, and then asks the gateway to confirm.

      appliance halt --reason "odd fills in SPY"
    """
    paths = StatePaths(state)
    if not paths.root.is_dir():
        raise EnvironmentFault(f"{paths.root} is not a state directory", hint="name it with --state DIR")
    why = reason or "halted by the owner"
    errors = latchfiles.write(paths.latch_files, LatchState.HALTED, why)
    if len(errors) == len(paths.latch_files):
        click.echo(f"no latch file could be written: {errors[0]}", err=True)
    try:
        _tell(state, Verb.HALT, as_json, reason=why, everything=everything)
    except RefusedError:
        raise
    except ApplianceError as error:
        raise EnvironmentFault(
            f"the latch files are written, but nobody confirmed: {error.text}",
            hint="a gateway that runs has halted; if it does not run, `appliance panic` cancels at the broker itself",
        ) from None


@click.command()
@_common
def reduce(state: Path, reason: str, as_json: bool) -> None:
    """Pause entries: only orders that reduce a position pass, until `appliance resume`."""
    _tell(state, Verb.REDUCE, as_json, reason=reason)


@click.command()
@_common
@click.option("--generation", type=int, default=None, help="the latch's generation you saw (default: the present one)")
def resume(state: Path, reason: str, as_json: bool, generation: int | None) -> None:
    """Trade again after halt, reduce or flatten. Also lifts the halt of single symbols.

    appliance status            # why was it halted?
    appliance resume
    """
    paths = StatePaths(state)
    with Window(paths, hears=HEARS) as window:
        window.until(lambda: window.latch is not None, 0.5)
        seen = generation if generation is not None else (window.latch.generation if window.latch is not None else 0)
        latchfiles.clear(paths.latch_files)
        window.until(lambda: False, 0.15)  # three times as long as the gateway takes to see that the files are empty
        _answer(window.command(Verb.RESUME, reason=reason, generation=seen), as_json)


@click.command()
@_common
@click.argument("symbol", default="")
def flatten(state: Path, reason: str, as_json: bool, symbol: str) -> None:
    """Close every position, or that of SYMBOL, at the market; entries stay paused until `appliance resume`."""
    _tell(state, Verb.FLATTEN, as_json, reason=reason, symbol=symbol)


@click.command("cancel-all")
@_common
@click.option("--all", "everything", is_flag=True, help="cancel protective stops and exits too")
def cancel_all(state: Path, reason: str, as_json: bool, everything: bool) -> None:
    """Cancel working orders; trading goes on. Protective stops and exits are spared without --all."""
    _tell(state, Verb.CANCEL_ALL, as_json, reason=reason, everything=everything)


@click.command()
@_common
@click.option("--flatten", "close", is_flag=True, help="also close every position at the market")
def panic(state: Path, reason: str, as_json: bool, close: bool) -> int:
    """The gateway is dead: halt, take its lock, and cancel everything directly at the broker.

    Exit code 1 where the broker did not take all of it. Refuses while a gateway holds the lock: `appliance halt` is
    for that.
    """
    from appliance.emergency import panic as act

    paths = StatePaths(state)
    latchfiles.write(paths.latch_files, LatchState.HALTED, reason or "panic")
    done = act(paths, close)
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
    else:
        failed = f"; {done['failed']} the broker did not take: see above" if done.get("failed") else ""
        click.echo(f"halted; {done['canceled']} orders cancelled, {done['closing']} positions being closed{failed}")
    return int("failed" in done)
