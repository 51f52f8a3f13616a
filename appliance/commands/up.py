"""`appliance up`: the whole box on this machine, on simulated or recorded data, with paper money."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import click
from msgspec.structs import replace

from appliance.broking import broker_spec
from appliance.commands.accounts import allow, broker_line, confirmable, lending, money
from appliance.commands.options import RunOptions, orders_file, run_options, sessions_cache, sessions_for
from appliance.core.limits import LimitValues
from appliance.data.live.spec import LiveSpec
from appliance.data.options import NEW_YORK
from appliance.data.sources.simulated import SYMBOLS
from appliance.data.warmup import Need, needs_of
from appliance.domain.market import RECORDED, SECOND, Sessions
from appliance.errors import INTERRUPTED, StrategyError, UsageError
from appliance.making import Around, StrategyMaker
from appliance.runs import RunSpec, StrategySpec
from appliance.session import Session, lasting_line, progress_line
from appliance.settings import Settings, build_hash, load_settings, settings_hash
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from appliance.sourcing import keep_credentials, live_spec, prepare

SAMPLES = (
    ("sma_cross.py", {"symbol": "ALFA", "fast": "3", "slow": "8"}),
    ("bollinger.py", {"symbol": "BRVO"}),
)
"""What a first run trades: two of the sample strategies, each on a simulated symbol."""


@click.command()
@run_options
@click.option("--speed", default="1", show_default=True, help="recorded data: `max`, or how many times real time")
@click.option("--until-done", is_flag=True, help="end when the recorded data has been traded")
@click.option("--keep-going", is_flag=True, help="recorded data: a strategy that fails is paused, the others go on")
@click.option("--reload", is_flag=True, help="a strategy's file that changes is taken over at once, between two bars")
@click.option("--no-check", is_flag=True, help="live: trade strategies that `appliance strategy check` has not passed")
@click.option("--settings", "settings_file", type=click.Path(path_type=Path), help="the box's settings (TOML)")
@click.option("--profile", type=click.Choice(("paper", "live", "test")), default=None, help="defaults to start from")
def up(
    options: RunOptions,
    speed: str,
    until_done: bool,
    keep_going: bool,
    reload: bool,
    no_check: bool,
    settings_file: Path | None,
    profile: str | None,
) -> None:
    """Start Mosquitto and every process, and stay until Ctrl-C.

    Without options: a simulated market, a paper broker and two sample strategies. The state directory is kept: the
    next `up` goes on from it.

    \b
      appliance up
      appliance up --strategy mine.py --param symbol=ALFA --reload
      appliance up --data bars.csv.gz --symbols SPY --strategy strategies/sma_cross.py --speed 60
      appliance up --data bars.csv.gz --strategy mine.py --speed max --until-done --json
    """
    settings = load_settings(settings_file, profile)
    _check_speed(speed, until_done, options)
    spec, outside = specification(options, settings, speed)
    spec = replace(_loaded(spec), keep_going=keep_going)
    paths = StatePaths(options.state or Path("state"))
    say = _quiet if options.as_json else progress_line
    if spec.broker is not None:
        allow(spec, paths, settings)
    if not (spec.lockstep or no_check):
        spec = _checked(spec, paths, options.as_json)
    if not options.as_json:
        _introduce(paths, spec)
    if spec.live is not None:
        spec = replace(spec, past=str(paths.past))
        _prepare_live(spec, paths, settings, say)
    tell = _quiet if options.as_json else lasting_line
    session = Session(paths, spec, say, tell, outside, int(settings.watchdog.seconds * SECOND), keep_going, reload)
    with orders_file(options.orders_out) as write:
        summary = session.run(until_done)
        write(session.figures.record.jsonl())
    click.echo(json.dumps(summary) if options.as_json else f"\n{_farewell(summary, paths)}")
    if session.interrupted:
        sys.exit(INTERRUPTED if until_done else 0)


def _prepare_live(spec: RunSpec, paths: StatePaths, settings: Settings, say: Callable[[str], None]) -> None:
    """Lay credentials, and what strategies warm up with, where the processes find them; those of a box that runs in
    this state directory stay as they are. Raises EnvironmentFault where one does."""
    assert spec.live is not None
    paths.prepare()
    with Lock(paths.lock("appliance")):
        keep_credentials(settings, paths)
        needs = [need for one in spec.strategies for need in _needs(one)]
        if needs:
            say(f"fetching the past of {', '.join(sorted({need[0] for need in needs}))}")
        if lacking := prepare(spec.live, paths, spec.exchange, needs, time.time_ns()):
            click.echo(f"warming up without {lacking}", err=True)


def _needs(strategy: StrategySpec) -> tuple[Need, ...]:
    """What one wants to know of the past; nothing where it does not load, which its host says."""
    with suppress(StrategyError):
        runner = StrategyMaker(strategy)()
        return needs_of(runner.needs, runner.symbols, None)
    return ()


def _quiet(line: str) -> None:
    """With --json, standard error is for errors only."""


def _check_speed(speed: str, until_done: bool, options: RunOptions) -> None:
    try:
        wrong = speed != "max" and not (0 < float(speed) < 1e9)
    except ValueError:
        wrong = True
    if wrong:
        raise UsageError(f"--speed {speed!r}", hint="`max`, or a number above 0: how many times real time")
    if until_done and not options.data:
        raise UsageError("--until-done without --data", hint="a simulated market never ends: name recorded data")
    if options.files.symbols and not options.data:
        names = ", ".join(SYMBOLS)
        raise UsageError("--symbols without --data", hint=f"the simulated market has {names}: --param symbol=…")
    if options.orders_out is not None and not options.data:
        raise UsageError("--orders-out without --data", hint="orders of a live run are in the journals")


def _loaded(spec: RunSpec) -> RunSpec:
    """The run with the text of every strategy, and whom it follows; each is loaded once.

    Raises StrategyError when the data is recorded and one does not load, or none loads: live, the rest runs, and the
    host of one that does not says so.
    """
    wrong: list[StrategyError] = []
    strategies = []
    for strategy in spec.strategies:
        others = spec.others(strategy)
        found = Around(spec.known_symbols, others, others, spec.lockstep)
        maker = StrategyMaker(strategy, spec.calendar, around=found)
        text = replace(strategy, source=maker.source or None)
        try:
            strategies.append(replace(text, follows=maker().follows))
        except StrategyError as error:
            wrong.append(error)
            if spec.lockstep or len(wrong) == len(spec.strategies):
                raise
            click.echo(f"refused: {error.text}", err=True)
            strategies.append(text)
    return replace(spec, strategies=tuple(strategies))


def _checked(spec: RunSpec, paths: StatePaths, quiet: bool) -> RunSpec:
    """The run without what deceives itself. Raises StrategyError when that is all of it."""
    from appliance.commands.going_live import sound  # here: it takes the backtest along

    say = _quiet if quiet else partial(click.echo, err=True)
    return sound(spec, paths, say, lambda text: click.echo(f"refused: {text}", err=True))


def specification(options: RunOptions, settings: Settings, speed: str) -> tuple[RunSpec, int]:
    """What the processes need to know, and how many bars of the files are outside the session."""
    base = _base(options, settings)
    if options.data:
        _check_paper(base)
        return _recorded(base, options, settings, speed)
    market = settings.market
    if market.source == "live":
        if speed != "1":
            raise UsageError(
                f"--speed {speed} with live data", hint="a live market has its own pace: leave --speed away"
            )
        return confirmable(_live(base, options, settings)), 0
    if market.timeframe not in RECORDED:
        raise UsageError(f"timeframe {market.timeframe!r}", hint=f"one of {', '.join(RECORDED)}")
    simulated = replace(
        base,
        limits=_limits(options, settings),
        seed=market.seed,
        symbols=SYMBOLS,
        timeframe=market.timeframe,
        speed="1",
    )
    return simulated, 0


def _live(base: RunSpec, options: RunOptions, settings: Settings) -> RunSpec:
    return replace(
        base,
        limits=_limits(options, settings),
        timeframe=settings.market.timeframe,
        sessions=tuple(sessions_for(sessions_cache())),
        live=live_spec(settings),
    )


def _base(options: RunOptions, settings: Settings) -> RunSpec:
    """What does not depend on the market. Raises UsageError when strategies are allotted more than there is."""
    strategies = _strategies(options, settings)
    base = RunSpec(
        box=settings.box.name,
        strategies=strategies,
        cash=money(options, settings, strategies),
        model=lending(options, settings),
        intent_valid=settings.validity.intent,
        approval_valid=settings.validity.approval,
        retain=settings.journal.messages,
        build=build_hash(),
        settings=settings_hash(settings),
        host_memory=settings.host.memory,
        broker=broker_spec(settings.broker),
        manners=settings.paper.manners.table,
    )
    if base.allotted > base.cash:
        raise UsageError(
            f"the strategies' cash is {base.allotted} USD in all, more than the account's {base.cash} USD",
            hint="give the account more with --cash, or the strategies less",
        )
    return base


def _check_paper(base: RunSpec) -> None:
    """Recorded data goes through the paper broker, and exactly."""
    if base.broker is not None:
        raise UsageError(
            f"--data with {base.broker.name}: recorded data at a real broker would trade a fiction",
            hint="leave --data away, or name settings whose broker.venue is 'paper'",
        )
    if base.manners:
        raise UsageError(
            "--data with paper.manners: a recorded run is exact", hint="leave one of them away; drills run live"
        )


def _recorded(base: RunSpec, options: RunOptions, settings: Settings, speed: str) -> tuple[RunSpec, int]:
    checked, report, sessions = options.checked_files()
    limits = _limits(options, settings) if options.limits is not None else LimitValues()
    files = tuple(os.path.abspath(path) for path in options.data)
    read = (*files, *(strategy.file for strategy in base.strategies), *filter(None, (checked.factors,)))
    spec = replace(
        base,
        limits=limits,
        files=files,
        options=replace(checked, symbols=checked.symbols or report.symbols),
        sessions=sessions,
        speed=speed,
        warm_up=options.warm_up,
        inputs={path: hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] for path in read},
    )
    return spec, report.outside


def _limits(options: RunOptions, settings: Settings) -> LimitValues:
    return options.limit_values(settings)


def _strategies(options: RunOptions, settings: Settings) -> tuple[StrategySpec, ...]:
    if options.strategies:
        return options.strategies
    if settings.strategies:
        return tuple(
            StrategySpec(s.name, s.file, s.class_name, {k: str(v) for k, v in s.params.items()}, s.host, s.cash)
            for s in settings.strategies
        )
    if options.data:
        raise UsageError("--data without --strategy", hint="--strategy strategies/sma_cross.py --param symbol=SPY")
    if settings.market.source == "live":
        hint = "name yours under [[strategies]] in the settings, or with --strategy strategies/sma_cross.py"
        raise UsageError(
            "market.source is 'live' and no strategy is named",
            hint=f"{hint} --param symbol={settings.market.symbols[0]}",
        )
    folder = Path(__file__).resolve().parents[2] / "strategies"
    return tuple(StrategySpec(Path(name).stem, str(folder / name), "", params) for name, params in SAMPLES)


def _introduce(paths: StatePaths, spec: RunSpec) -> None:
    names = ", ".join(f"{s.name}({', '.join(f'{k}={v}' for k, v in s.params.items())})" for s in spec.strategies)
    click.echo(
        f"appliance: {broker_line(spec)}; market: {_market(spec)}\n"
        f"  strategies  {names}\n"
        f"  state       {paths.root}  (journal/, log/, run/)\n"
        f"  mqtt        {paths.mqtt_socket}, topics appliance/1/{spec.box}/#\n"
        f"  look        appliance status --state {paths.root}\n"
        f"  stop        Ctrl-C here; halt trading: appliance halt --state {paths.root}",
        err=True,
    )


def _market(spec: RunSpec) -> str:
    """Where the market's data come from, in a few words."""
    if spec.live is not None:
        closed = closed_until(spec.live, spec.exchange, time.time_ns())
        return f"live {spec.timeframe} bars of {', '.join(spec.live.symbols)} from {_names(spec.live)}{closed}"
    return "recorded data: " + ", ".join(Path(f).name for f in spec.files) if spec.files else "simulated, always open"


def closed_until(live: LiveSpec, exchange: Sessions, now: int) -> str:
    """Where no symbol is traded ``now`` (ns UTC): when the first one is again, in New York; "" while one is."""
    hours = live.sessions_of(exchange)
    opens = [hours(symbol).next_open(now) for symbol in live.symbols if hours(symbol).at(now) is None]
    first = min((one for one in opens if one is not None), default=None)
    if first is None or len(opens) < len(live.symbols):
        return ""
    return f"; closed until {datetime.fromtimestamp(first // SECOND, NEW_YORK):%Y-%m-%d %H:%M} in New York"


def _names(live: LiveSpec) -> str:
    return ", then ".join(source.name for source in live.sources if source.live)


def _farewell(summary: dict[str, object], paths: StatePaths) -> str:
    equity = "unknown" if summary["equity"] is None else f"{summary['equity']} USD"
    return (
        f"stopped: {summary['fills']} fills, position {summary['position']}, equity {equity} after "
        f"{summary['seconds']} s; everything is kept in {paths.root}"
    )
