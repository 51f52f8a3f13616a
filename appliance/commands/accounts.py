"""Which account `up` trades: what of its money, and for live money its owner's word on a terminal."""

from __future__ import annotations

import sys
import time
from decimal import Decimal

import click
from msgspec.structs import replace

from appliance import live_money
from appliance.broking import account_now, demand_credentials, keep_credentials
from appliance.commands.options import RunOptions
from appliance.core.models import MarketModel
from appliance.domain.market import SECOND
from appliance.domain.trading import Account, AccountKind
from appliance.errors import RefusedError, SettingsError, UsageError
from appliance.runs import RunSpec, StrategySpec
from appliance.settings import Settings
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths


def money(options: RunOptions, settings: Settings, strategies: tuple[StrategySpec, ...]) -> Decimal:
    """USD that the strategies have in all. Raises SettingsError where nobody has said how much of a real account."""
    broker = settings.broker
    given = options.cash if options.cash is not None else broker.cash if broker.real else settings.paper.cash
    if given is not None:
        return given
    if lacking := [one.name for one in strategies if one.cash is None]:
        raise SettingsError(
            f"broker.cash: is not set, and neither is how many USD of the account {', '.join(lacking)} may use",
            hint="set broker.cash, which the strategies divide, or the cash of each strategy",
        )
    return sum((one.cash for one in strategies if one.cash is not None), Decimal(0))


def lending(options: RunOptions, settings: Settings) -> MarketModel:
    """How orders are sized and, on paper, filled; and what the account lends. Raises UsageError."""
    model = options.market_model(settings)
    if not settings.broker.real:
        return model
    if options.account is not None or options.model:
        name = "account" if options.account is not None else next(iter(options.model)).replace("_", "-")
        raise UsageError(
            f"--{name} with broker.venue {settings.broker.venue!r}: it is the paper broker's",
            hint="leave it away; broker.funds in the settings says what of the account's lending may be used",
        )
    return replace(model, account=AccountKind(settings.broker.funds))


def broker_line(spec: RunSpec) -> str:
    """Who trades, in a few words."""
    if spec.broker is None:
        manners = (
            f" with bad manners ({', '.join(f'{k}={v}' for k, v in spec.manners.items())})" if spec.manners else ""
        )
        return f"paper broker{manners}, {spec.cash} USD"
    return f"{spec.broker.name} at {spec.broker.venue}, of which {spec.cash} USD"


def confirmable(spec: RunSpec) -> RunSpec:
    """The run with a digest of what is confirmed of live money."""
    if spec.broker is None:
        return spec
    return replace(spec, broker=replace(spec.broker, digest=live_money.digest_of(spec)))


def allow(spec: RunSpec, paths: StatePaths, settings: Settings) -> None:
    """Lay the broker's credentials ready; of live money ask its owner on a terminal, and without one take what he has
    confirmed before. Raises RefusedError, VenueError (VenueRefused where keys are missing), and EnvironmentFault while
    a box runs here."""
    paths.prepare()
    with Lock(paths.lock("appliance")):
        keep_credentials(settings, paths)
    if spec.broker is None:
        return
    demand_credentials(spec.broker, paths)
    if not spec.broker.live:
        return
    if sys.stdin.isatty():
        confirm(spec, settings, paths)
    else:
        live_money.check(spec, paths)


def confirm(spec: RunSpec, settings: Settings, paths: StatePaths) -> None:
    """Show the account, and keep it that its owner has typed its name. Raises RefusedError, VenueError."""
    assert spec.broker is not None
    if not sys.stdin.isatty():
        raise RefusedError(
            f"{spec.broker.name}: live money is confirmed on a terminal, and there is none",
            hint="run 'appliance broker confirm-live' where you can type",
        )
    click.echo(_shown(spec, account_now(settings, paths)), err=True)
    typed = click.prompt(f"type '{spec.broker.name}' to trade it", default="", show_default=False, err=True)
    if typed.strip() != spec.broker.name:
        raise RefusedError(f"{spec.broker.name}: it was not confirmed, {typed.strip()!r} was typed")
    live_money.confirm(spec, paths, time.time_ns())


def _shown(spec: RunSpec, account: Account) -> str:
    """The account as its owner sees it before he says yes."""
    assert spec.broker is not None
    equity = f"{account.equity:,.2f} USD" if account.equity is not None else "unknown"
    found = ((name, getattr(spec.limits, name)) for name in spec.limits.__struct_fields__)
    limits = ", ".join(_limit(name, value) for name, value in found if value is not None)
    return (
        f"LIVE MONEY: {spec.broker.name} at {spec.broker.venue}\n"
        f"  equity      {equity}, cash {account.cash:,.2f} USD\n"
        f"  strategies  {', '.join(spec.names)}, which have {spec.cash:,.2f} USD of it\n"
        f"  limits      {limits or 'none'}"
    )


def _limit(name: str, value: object) -> str:
    """A limit as the settings have it: ``stale_price_seconds 120``, ``max_order_shares 1000``."""
    if name == "stale_price" and isinstance(value, int):
        return f"{name}_seconds {value / SECOND:g}"
    return f"{name} {'yes' if value is True else 'no' if value is False else value}"
