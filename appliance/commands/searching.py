"""What the commands that try many combinations share: their options, who does the work, and where it is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from appliance.commands.options import RunOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import Sessions
from appliance.errors import EnvironmentFault, UsageError
from appliance.research.results.running import Plan
from appliance.research.sweep.arrays import Arrays
from appliance.research.sweep.axes import axes
from appliance.research.sweep.board import Aim
from appliance.research.sweep.job import Varied, plan_of
from appliance.research.sweep.workers import Cluster
from appliance.settings import build_hash


class Search(Struct, frozen=True):
    """What is varied, what is looked for, and by whom: ``jobs`` processes, or the workers of ``cluster`` ("": none)."""

    varied: Varied
    aim: Aim
    vectorized: bool
    jobs: int
    cluster: str
    progress: bool

    @contextmanager
    def workers(self) -> Iterator[Cluster | None]:
        """The cluster's workers, for as long as they are needed; a word on how to go on when Ctrl-C ends it."""
        found = Cluster(self.cluster, build_hash()) if self.cluster else None
        try:
            yield found
        except KeyboardInterrupt:
            click.echo("\ninterrupted: what is done is kept, and the same command goes on with the rest", err=True)
            raise
        finally:
            if found is not None:
                found.close()

    def check(self, plan: Plan, source: FileSource, sessions: Sessions | None) -> None:
        """Raise UsageError or StrategyError for what cannot be done by whole arrays, when it is to be, and for signals
        that say otherwise than on_bar, or look ahead, with the first combination."""
        if self.vectorized:
            arrays = Arrays(plan, source, sessions, plan.past(sessions))
            arrays.agree(plan_of(plan, self.varied.combinations()[0]))


_OPTIONS = (
    click.option("--grid", multiple=True, metavar="NAME=…", help="values: LOW:HIGH:STEP or A,B,C (repeatable)"),
    click.option("--random", "count", type=click.IntRange(1), metavar="N", help="draw N combinations instead of all"),
    click.option("--seed", type=int, default=1, show_default=True, help="of what is drawn"),
    click.option("--constraint", multiple=True, metavar="TEXT", help="on parameters, such as 'fast < slow' "
                 "(repeatable)"),
    click.option("--objective", default="sharpe", show_default=True, metavar="FIGURE", help="any figure of a result"),
    click.option("--minimize", is_flag=True, help="the smallest objective is the best"),
    click.option("--where", multiple=True, metavar="TEXT", help="on figures, such as 'trades >= 30' (repeatable)"),
    click.option("--vectorized", is_flag=True, help="by the strategy's signals(bars) over whole arrays, not by events"),
    click.option("--jobs", type=click.IntRange(1), default=None, metavar="N", help="processes  [default: one a core]"),
    click.option("--cluster", default="", metavar="tcp://HOST:PORT", help="a Dask scheduler whose workers do it "
                 "instead"),
    click.option("--progress", is_flag=True, help="say how far it is, also where there is no terminal"),
)  # fmt: skip


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a click command these options; it gets them as one ``search: Search``."""

    def gathered(options: RunOptions, **given: Any) -> Any:
        aim = Aim(given.pop("objective"), given.pop("minimize"), given.pop("where")).checked()
        varied = Varied(axes(given.pop("grid")), given.pop("constraint"), given.pop("count") or 0, given.pop("seed"))
        jobs = given.pop("jobs") or os.cpu_count() or 1
        search = Search(varied, aim, given.pop("vectorized"), jobs, given.pop("cluster"), given.pop("progress"))
        if options.orders_out is not None:
            raise UsageError("--orders-out is of one run", hint="run the combination you want with appliance backtest")
        return command(options=options, search=search, **given)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        option(gathered)
    return gathered


def folder_of(path: Path, mark: str, what: str) -> Path:
    """The folder for ``what``, made where there is none. Raises UsageError when it holds something else than what has
    ``mark`` in it, EnvironmentFault."""
    try:
        if path.is_dir() and any(path.iterdir()) and not (path / mark).exists():
            raise UsageError(f"{path} is there already and holds no {what}", hint="name another folder: --out DIR")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror or error}", hint="name another folder: --out DIR") from None
    return path
