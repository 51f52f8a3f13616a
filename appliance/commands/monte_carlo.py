"""`appliance monte-carlo`: what else a backtest's trades or days could have given, by chance alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from appliance.commands.searching import folder_of
from appliance.research.monte_carlo import BLOCKS, METHODS, as_json, readable, report, simulated
from appliance.research.results.folder import replaced
from appliance.research.statistics.resampling import RUNS_MAX

RESULT, REPORT = "monte-carlo.json", "report.html"


@click.command()
@click.argument("result", metavar="RESULT", type=click.Path(path_type=Path))
@click.option("--shuffles", type=click.IntRange(1, RUNS_MAX), default=10_000, show_default=True, help="runs")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default=BLOCKS,
    show_default=True,
    help="trades: in other orders; drawn: with replacement; blocks: days, in blocks of random lengths; "
    "moving: in blocks of one length",
)
@click.option(
    "--block",
    type=click.IntRange(1),
    default=None,
    metavar="DAYS",
    help="length of a block, on average  [default: third root of the days]",
)
@click.option("--ruin", type=float, default=0.5, show_default=True, help="a fall from a peak that ends it, a fraction")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="the same seed, the same runs")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="write monte-carlo.json and report.html")
@click.option("--json", "as_object", is_flag=True, help="one JSON object on standard output")  # fmt: skip
def monte_carlo(
    result: Path, shuffles: int, method: str, block: int | None, ruin: float, seed: int, out: Path | None,
    as_object: bool,
) -> int:  # fmt: skip
    """Draw what else RESULT, the folder of a backtest, could have given: its end, its drawdown, its ruin.

    Shuffled trades end where the result did and show other drawdowns; blocks of days keep what lies in the order of a
    few days, and show other ends too.

    \b
      appliance monte-carlo result
      appliance monte-carlo result --method trades --shuffles 50000 --seed 7
      appliance monte-carlo result --method moving --block 20 --ruin 0.3 --out chance --json
    """
    folder = folder_of(out, RESULT, "Monte Carlo") if out is not None else None
    chance = simulated(result, method, shuffles, seed, ruin, block)
    if folder is not None:
        replaced(folder / RESULT, json.dumps(as_json(chance), indent=1).encode() + b"\n")
        replaced(folder / REPORT, report(chance))
    click.echo(json.dumps(as_json(chance)) if as_object else readable(chance))
    return 0
