"""`appliance run PROCESS`: one process of a box that `appliance up` (or systemd) has laid out."""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path

import click

from appliance.shell import logs
from appliance.shell.memory import LOADING, end_out_of_memory, limit_memory
from appliance.shell.notify import Notifier
from appliance.shell.paths import StatePaths


@click.command("run")
@click.argument("process")
@click.option("--state", type=click.Path(path_type=Path), required=True, help="the box's state directory")
@click.option(
    "--log-level", default="info", show_default=True, type=click.Choice(("debug", "info", "warning", "error"))
)
def run(process: str, state: Path, log_level: str) -> None:
    """Run one PROCESS: feed, guard, gateway, monitor or host@NAME.

    `appliance up` starts all of them; by hand this is for looking closely at one:

      appliance run guard --state state --log-level debug
    """
    from appliance.domain.topics import kind_of
    from appliance.errors import UsageError
    from appliance.processes import engine_of
    from appliance.runs import read_spec

    faulthandler.enable()  # a watchdog's SIGABRT leaves the stack in the log
    logs.setup(process, log_level)
    paths = StatePaths(state)
    spec = read_spec(paths)
    if process not in spec.processes:
        raise UsageError(f"no process {process!r} in this box", hint=f"it has {', '.join(spec.processes)}")
    Notifier().status("loading")  # from here on a strategy that never returns is noticed by our silence
    memory = spec.host_memory if kind_of(process) == "host" else 0  # the owner's code runs in hosts alone
    try:
        limit_memory(memory and memory + LOADING)
        engine = engine_of(process, paths, spec)
        limit_memory(memory)
        code = engine.run()
    except MemoryError:
        end_out_of_memory()
    sys.exit(code)
