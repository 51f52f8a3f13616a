"""`appliance broker check`: whether the broker in the settings answers, and takes an order."""

from __future__ import annotations

import json
import time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins

from appliance.commands.data.asking import Calendars, held_symbols, json_option, settings_option, state_option
from appliance.domain.market import DAY
from appliance.errors import ApplianceError, UsageError

if TYPE_CHECKING:
    from appliance.commands.broker.trying import Step
    from appliance.domain.trading import Order
    from appliance.domain.venue import VenueTraits
    from appliance.settings import Settings

LOOK_BACK = 10 * DAY


@click.command(short_help="Whether it answers, and takes an order.")
@click.option(
    "--symbol", default="", metavar="SYMBOL", shell_complete=held_symbols,
    help="what the order is for  [default: the first of market.symbols]",
)  # fmt: skip
@click.option(
    "--price", default="", metavar="USD", help="its last price  [default: as the history store or a source has it]"
)
@click.option("--read-only", is_flag=True, help="place no order; so it is with live money, whatever is said")
@settings_option
@state_option
@json_option
def check(symbol: str, price: str, read_only: bool, settings_file: Path | None, state: Path, as_json: bool) -> int:
    """Connect to the broker in the settings, read the account, its positions and open orders, and its clock; on a paper
    account place an order for one share at half its price, find it, and cancel it. Each step with its latency.

    It works while the box runs and while it does not. Exit code 0; 1 where the broker says no, 5 where it does not
    answer, 2 where the settings are wrong.

    \b
      appliance broker check --settings settings.toml
      appliance broker check --settings settings.toml --symbol SPY --price 500
      appliance broker check --settings settings.toml --read-only --json
    """
    from appliance.broking import broker_spec, check_broker
    from appliance.commands.broker.trying import Trial
    from appliance.settings import load_settings
    from appliance.shell.paths import StatePaths

    settings = load_settings(settings_file)
    spec = broker_spec(settings.broker)
    broker = check_broker(settings, StatePaths(state))
    order = _order(settings, symbol, price, read_only, (settings_file, state), broker.traits)
    trial = Trial(broker, time.monotonic_ns, time.time_ns)
    if not as_json:
        click.echo(f"{settings.broker.name} at {settings.broker.venue}")
    for step in trial.run(order, time.sleep):
        if not as_json:
            click.echo("\n".join(_lines(step)))
    failed = next((step for step in trial.steps if step.failed), None)
    if as_json:
        told = {"account": settings.broker.name, "venue": settings.broker.venue, "live": bool(spec and spec.live)}
        click.echo(json.dumps(told | _told(trial.steps)))
    return failed.exit_code if failed else 0


def _order(
    settings: Settings, symbol: str, price: str, read_only: bool, where: tuple[Path | None, Path], traits: VenueTraits
) -> Order | Step:
    """The order to place, or why there is none. Raises UsageError for a price that is none."""
    from appliance.commands.broker.trying import far_off, left_out

    given = _usd(price) if price else None
    if settings.broker.live:
        return left_out(f"{settings.broker.name} is live money")
    if read_only:
        return left_out("--read-only")
    symbol = symbol or next(iter(settings.market.symbols), "")
    last = given if given is not None else _last(symbol, *where)
    if last is None:
        return left_out(
            f"no price of {symbol or 'a symbol'} is known", "name one with --symbol and --price, or --read-only"
        )
    return far_off(symbol, last, traits, time.time_ns())


def _usd(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not (value.is_finite() and 0 < value < 10_000_000):
        raise UsageError(f"--price {text!r}", hint="USD, above 0, such as 500 or 12.50")
    return value


def _last(symbol: str, settings_file: Path | None, state: Path) -> Decimal | None:
    """The last daily close (USD) that the history store or a source of the settings tells; None where none does."""
    from appliance.commands.data.reaching import reached

    now = time.time_ns()
    try:
        with reached(settings_file, state, Calendars(None, settings_file)) as manager:
            bars = next(manager.history((symbol,), "1d", now - LOOK_BACK, now), ())
    except ApplianceError:
        return None
    return Decimal(str(bars[-1].close)) if bars else None


def _lines(step: Step) -> list[str]:
    took = "-" if step.ms is None else f"{step.ms:.1f} ms"
    lines = [f"  {step.step:12} {took:>11}  {'FAILED: ' if step.failed else ''}{step.said}"]
    return [*lines, f"  hint: {step.hint}"] if step.hint else lines


def _told(steps: list[Step]) -> dict[str, Any]:
    return {"ok": not any(step.failed for step in steps), "steps": to_builtins(steps)}
