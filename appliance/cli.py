"""The one tool. Commands are loaded by name when they are asked for, and every error ends here, in one form."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click
from msgspec import Struct

from appliance import __version__
from appliance.errors import INTERRUPTED, ApplianceError, EnvironmentFault, UsageError
from appliance.shell import logs


class Entry(Struct, frozen=True):
    """Where a command lives, what it does in a few words, and whether it serves the owner (else the machine)."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "up": Entry("up", "Start everything: market, strategies, guard, gateway, monitor."),
    "status": Entry("status", "What runs, and how it is."),
    "halt": Entry("operate", "Stop trading: cancel orders, allow nothing new. Works with everything else dead."),
    "reduce": Entry("operate", "Pause entries: cancels and reductions only."),
    "resume": Entry("operate", "Allow trading again."),
    "flatten": Entry("operate", "Close all positions."),
    "cancel-all": Entry("operate", "Cancel working orders."),
    "panic": Entry("operate", "Cancel or flatten at the broker itself, when the gateway is dead."),
    "strategy": Entry("strategy", "Strategies: check, new, list, reload, pause, resume, stop, set."),
    "backtest": Entry("backtest", "Run a strategy over recorded data."),
    "sweep": Entry("sweep", "Run a strategy with many combinations of its parameters, and rank them."),
    "walk-forward": Entry("walk_forward", "Choose parameters on one stretch of days, trade the next, and go on."),
    "monte-carlo": Entry("monte_carlo", "What else the trades or days of a result could have given, by chance."),
    "data": Entry("data", "Market data: sources, fetch, import, export, ls, gaps, quality."),
    "broker": Entry("broker", "The broker: check it, confirm that live money is traded."),
    "simulate": Entry("simulate", "Days of faults in seconds: nothing may be sent twice, nothing lost."),
    "replay": Entry("replay", "Rebuild a process from its journal and compare what it said."),
    "journal": Entry("journal", "Look into a process's journal: tail, verify."),
    "config": Entry("config", "Show or check the settings."),
    "run": Entry("run", "Run one process (up, or systemd, does that)."),
}
"""In the order of the help page."""

EXAMPLES = """\
\b
Examples:
  appliance up
  appliance backtest strategies/sma_cross.py --data bars.csv.gz --symbols SPY
  appliance status
  appliance halt --reason "going on holiday"

\b
Exit codes: 0 done, 1 ran and the answer is no, 2 usage or settings, 3 data,
4 strategy, 5 environment, 130 interrupted.
"""


class Tool(click.Group):
    """The group of all commands: loads them by name, and turns every error into words and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now."""
        entry = COMMANDS.get(name)
        if entry is None:
            return None
        found: click.Command = getattr(import_module(f"appliance.commands.{entry.module}"), name.replace("-", "_"))
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant. Raises UsageError that names the nearest."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
            raise UsageError(f"no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help page's table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run and exit. One place decides on every exit code and how an error is told."""
        given = sys.argv[1:] if args is None else list(args)
        extra["standalone_mode"] = False
        extra["prog_name"] = "appliance"
        try:
            result = super().main(given or ["--help"], *rest, **extra)
        except click.Abort:
            sys.exit(INTERRUPTED)
        except Exception as error:
            sys.exit(_told(_known(error), json="--json" in given))
        sys.exit(result if isinstance(result, int) else 0)


def _known(error: Exception) -> ApplianceError:
    """Any error as one of ours."""
    if isinstance(error, ApplianceError):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error)
    # A crash of ours must not look like an answer of "no", which Python's own exit code 1 would.
    click.echo(logs.masked("".join(traceback.format_exception(error))), err=True, nl=False)
    fault = EnvironmentFault(f"unexpected: {type(error).__name__}: {error}", hint="a mistake of ours: please report it")
    fault.code = "UNEXPECTED"
    return fault


def _usage(error: click.ClickException) -> UsageError:
    hints = []
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        near = get_close_matches(error.option_name, error.possibilities, n=1, cutoff=0.0)
        hints.append(f"did you mean {near[0]}?")
        text = f"no option {error.option_name!r}"
    else:
        text = error.format_message()
        text = text[:1].lower() + text[1:].rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hints.append(f"'{error.ctx.command_path} --help' tells what there is")
    return UsageError(text, hint=" ".join(hints))


def _told(error: ApplianceError, json: bool) -> int:
    """Tell an error, to a person and with ``--json`` also to a program; its exit code."""
    if json:
        click.echo(_as_json(error))
    click.echo(f"error: {logs.masked(error.text)}", err=True)
    if error.hint:
        click.echo(f"  hint: {logs.masked(error.hint)}", err=True)
    return error.exit_code


def _as_json(error: ApplianceError) -> str:
    told = {"code": error.code, "text": logs.masked(error.text), "hint": logs.masked(error.hint)}
    return json.dumps({"error": told}, ensure_ascii=False)


@click.command(cls=Tool, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="appliance", message="%(prog)s %(version)s")
def app() -> None:
    """A trading appliance: runs its owner's strategies by itself, and never sends an order twice."""
    logs.setup("appliance", "info")


def main() -> NoReturn:
    """The console script ``appliance``."""
    app.main()
