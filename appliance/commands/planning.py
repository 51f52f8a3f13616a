"""From what was asked for on the command line to the plan of a run."""

from __future__ import annotations

import os

from msgspec.structs import replace

from appliance.commands.options import RunOptions, limit_values
from appliance.core.limits import LimitValues
from appliance.data.sources.files import FileSource
from appliance.domain.market import Sessions
from appliance.errors import UsageError
from appliance.research.results.running import Plan
from appliance.settings import load_limits, load_settings


def planned(options: RunOptions, benchmark: str) -> tuple[Plan, FileSource, Sessions | None]:
    """What was asked for, with every default filled in, and its data, read and checked."""
    limits = limit_values(load_limits(options.limits)) if options.limits is not None else LimitValues()
    settings = load_settings()
    model = options.market_model(settings)
    source, files = options.source()
    if benchmark and benchmark not in source.report.symbols:
        there = ", ".join(source.report.symbols)
        raise UsageError(f"--benchmark {benchmark} is not among the data", hint=f"it must be one of {there}")
    plan = Plan(
        strategy=replace(options.strategies[0], file=_as_named(options.strategies[0].file)),
        data=options.data,
        files=replace(files, sessions=None),
        cash=options.cash if options.cash is not None else settings.paper.cash,
        limits=limits,
        model=model,
        warm_up=options.warm_up,
        benchmark=benchmark,
    )
    return plan, source, files.sessions


def _as_named(file: str) -> str:
    """A strategy's file as its owner says it: relative where it lies below."""
    near = os.path.relpath(file)
    return file if near.startswith(os.pardir) else near
