"""`appliance data quality`: how good recorded market data are, told to a person or a program."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from appliance.commands.progress import Progress
from appliance.errors import UsageError

if TYPE_CHECKING:  # numpy comes with the readers
    from appliance.data.options import FileOptions
    from appliance.data.quality import Day, QualityReport
    from appliance.domain.market import Sessions, Split

SHOWN = 8
"""Findings of a rule that a person is shown."""
QUIET = frozenset(("gap", "zero_volume", "revision", "wide_spread"))
"""Rules whose findings a person is shown as a count alone: the days say it."""


@click.command(short_help="How good the data in files are.")
@click.argument("files", nargs=-1, metavar="FILES...", type=click.Path())
@click.option("--symbols", default="", metavar="A,B", help="only these  [default: all]")
@click.option("--timeframe", default="", metavar="LENGTH", help="of the bars  [default: told by their distance]")
@click.option(
    "--bar-stamp",
    type=click.Choice(("start", "end")),
    default="end",
    show_default=True,
    help="which end of a bar the file's ts is",
)
@click.option(
    "--session",
    type=click.Choice(("regular", "extended", "all", "always")),
    default="regular",
    show_default=True,
    help="bars are missing in regular or extended hours of the exchange, nowhere (all), or at any time (a market that "
    "never closes)",
)
@click.option("--start", default="", metavar="DATE", help="first New York date, inclusive")
@click.option("--end", default="", metavar="DATE", help="last New York date, inclusive")
@click.option("--factors", type=click.Path(), default="", metavar="FILE", help="split factors: those are no jumps")
@click.option("--progress", is_flag=True, help="say how far it is, also where there is no terminal")
@click.option("--rules", is_flag=True, help="show all rules, what becomes of what breaks them, and their limits")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output: every symbol and day")
def quality(files: tuple[str, ...], as_json: bool, progress: bool, factors: str, rules: bool, **given: str) -> int:
    """Judge the data in FILES as the feed would judge them live: order, gaps, prices, jumps, splits, volume, clocks.

    Nothing is changed. Exit code 0: nothing was quarantined; 1: something was; 3: a file cannot be read.

    \b
      appliance data quality bars.csv.gz --bar-stamp start
      appliance data quality --rules
      appliance data quality daily.csv --symbols GOOG,AAPL --factors factors.csv --start 2008-01-01 --json
    """
    if rules:
        click.echo(json.dumps({"rules": list(_rules())}) if as_json else "\n".join(map(_rule, _rules())))
        return 0
    if not files:
        raise UsageError("no data file", hint="name at least one, or ask for --rules")
    options, sessions = _options(given)
    report = _judged(files, given["timeframe"], options, sessions, _splits(factors, sessions), progress)
    click.echo(json.dumps(_plain(report)) if as_json else readable(report))
    return int(report.quarantined > 0)


def _rules() -> Iterator[dict[str, Any]]:
    """The table of rules: name, outcome, limits as they are by default."""
    from appliance.data.validation.limits import DEFAULTS
    from appliance.data.validation.rules import RULES

    for name, rule in RULES.items():
        limits = {limit: getattr(DEFAULTS, limit) for limit in rule.limits}
        yield {"rule": name, "outcome": rule.outcome.value, "says": rule.says, "limits": limits}


def _rule(one: dict[str, Any]) -> str:
    limits = ", ".join(f"{limit} {value:g}" for limit, value in one["limits"].items())
    return f"{one['rule']:<20}{one['outcome']:<12}{one['says']}{f' ({limits})' if limits else ''}"


def _options(given: dict[str, str]) -> tuple[FileOptions, Sessions]:
    """How files are read, and when the market is open. Raises UsageError."""
    from appliance.commands.options import sessions_cache, sessions_for
    from appliance.data.calendars import always_open, hours
    from appliance.data.options import FileOptions
    from appliance.domain.market import Sessions

    exchange = sessions_for(sessions_cache())
    sessions = {
        "regular": exchange, "extended": hours(exchange, "extended"), "all": Sessions(()), "always": always_open(),
    }[given["session"]]  # fmt: skip
    options = FileOptions(
        bar_stamp=given["bar_stamp"],
        symbols=tuple(name.strip() for name in given["symbols"].split(",") if name.strip()),
        session="all",
        sessions=sessions if given["session"] == "always" else exchange,
        start=given["start"],
        end=given["end"],
        timeframe=given["timeframe"],
    )
    return options.checked(), sessions


def _splits(path: str, sessions: Sessions) -> dict[str, tuple[Split, ...]]:
    """The splits that a file of factors tells of. Raises DataError."""
    if not path:
        return {}
    from appliance.data.factors import actions_of, load_factors
    from appliance.domain.market import Split

    return {
        symbol: tuple(one for one in actions_of(symbol, rows, sessions) if isinstance(one, Split))
        for symbol, rows in load_factors(path).items()
    }


def _judged(
    paths: Sequence[str],
    timeframe: str,
    options: FileOptions,
    sessions: Sessions,
    splits: dict[str, tuple[Split, ...]],
    asked: bool,
) -> QualityReport:
    from appliance.data.quality import Quality, judge
    from appliance.data.validation.reading import events, lines, recorded
    from appliance.data.validation.validator import DataValidator

    files = [recorded(path, timeframe) for path in paths]
    counted = Quality(lambda symbol: sessions)
    with Progress("judging", sum(map(lines, paths)), asked) as bar:
        for file in files:
            validator = DataValidator(lambda symbol: sessions, splits=splits)
            judge(events(file, options, bar.advance), validator, counted)
    return counted.report()


def _plain(report: QualityReport) -> dict[str, Any]:
    import msgspec

    return {
        "quarantined": report.quarantined,
        "counts": report.counts,
        "days": [{**msgspec.to_builtins(day), "score": round(day.score, 2)} for day in report.days],
        "findings": msgspec.to_builtins(report.findings),
    }


def readable(report: QualityReport) -> str:
    """The table a person reads: a line a symbol, its calendar, and what was found."""
    lines = [f"{'symbol':<10}{'bars':<6}{'days':>6}{'events':>10}{'missing':>9}{'double':>8}{'revised':>8}"
             f"{'repaired':>9}{'quarant.':>9}{'flagged':>8}{'jump %':>8}{'score':>8}"]  # fmt: skip
    for key, group in groupby(report.days, key=lambda day: (day.symbol, day.timeframe)):
        lines += _of_a_symbol(key[0], key[1], list(group))
    lines += ["", *_found(report)]
    return "\n".join(lines)


def _of_a_symbol(symbol: str, timeframe: str, days: Sequence[Day]) -> Iterator[str]:
    from appliance.data.quality import heat, score

    def total(name: str) -> int:
        return sum(getattr(day, name) for day in days)

    jump = 100 * max(day.largest_jump for day in days)
    yield (
        f"{symbol:<10}{timeframe or 'ticks':<6}{len(days):>6}{total('received'):>10}{total('missing'):>9}"
        f"{total('duplicates'):>8}{total('revisions'):>8}{total('repaired'):>9}{total('quarantined'):>9}"
        f"{total('flagged'):>8}{jump:>8.1f}{score(days):>8.2f}"
    )
    yield f"  {days[0].date} {heat(days)} {days[-1].date}"


def _found(report: QualityReport) -> Iterator[str]:
    from appliance.data.options import new_york_date
    from appliance.data.validation.rules import RULES, SEVERITY

    if not report.counts:
        yield "nothing was found"
        return
    worst = sorted(report.counts, key=lambda rule: (-SEVERITY[RULES[rule].outcome], rule))
    for rule in worst:
        yield f"{report.counts[rule]:>8}  {RULES[rule].outcome.value:<12}{rule}: {RULES[rule].says}"
    told = 0
    for rule in worst:
        mine = [one for one in report.findings if one.rule == rule] if rule not in QUIET else []
        for one in mine[:SHOWN]:
            when = new_york_date(one.time - 1) if one.time else ""
            yield f"  {one.symbol:<10}{when:<12}{one.rule}: {one.text}"
        told += max(0, len(mine) - SHOWN)
    if told:
        yield f"  and {told} more (--json tells all)"
