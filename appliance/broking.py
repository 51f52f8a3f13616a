"""The broker from settings to running objects: what the run says of it, its credentials, and the way to it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from appliance.core.ports import Clock
from appliance.domain.messages import Event
from appliance.domain.trading import Account
from appliance.domain.venue import VenueTraits
from appliance.errors import ApplianceError, RefusedError, VenueRefused
from appliance.runs import BrokerSpec
from appliance.shell import credentials, logs
from appliance.shell.paths import StatePaths
from appliance.venues.base import BrokerInterface
from appliance.venues.desk import Desk
from appliance.venues.rates import rates_of

if TYPE_CHECKING:  # every process comes by here, and none but the tool pays for the settings
    from appliance.settings import Settings
    from appliance.settings_broker import Broker

OWNER = "broker"
"""Whose credentials they are: ``broker-key`` and ``broker-secret``."""
NEEDS: dict[str, tuple[str, ...]] = {"alpaca": ("key", "secret"), "ibkr": ()}


# --- from settings ----------------------------------------------------------------------------------------------------


def broker_spec(broker: Broker) -> BrokerSpec | None:
    """What the settings say of a real broker; None for the paper broker."""
    if not broker.real:
        return None
    return BrokerSpec(broker.venue, broker.name, broker.account, broker.live, broker.options)


def keep_credentials(settings: Settings, paths: StatePaths) -> None:
    """Lay the credentials that the settings hold where the gateway finds them. Raises EnvironmentFault."""
    for part, value in _given(settings.broker).items():
        credentials.keep(paths, OWNER, part, value)


def _given(broker: Broker) -> dict[str, str]:
    """The parts of the credential that the settings hold."""
    found = {"key": broker.key.get_secret_value(), "secret": broker.secret.get_secret_value()}
    return {part: value for part, value in found.items() if value}


def _kept(spec: BrokerSpec, paths: StatePaths) -> dict[str, str]:
    """The parts that systemd or the state directory hold."""
    return {part: credentials.read(paths, OWNER, part) for part in NEEDS[spec.venue]}


# --- running objects --------------------------------------------------------------------------------------------------

Observe = Callable[[int, int], None]
"""Takes how many requests are left for how long (ns)."""


def traits_of(spec: BrokerSpec) -> VenueTraits:
    """What a venue can do, without loading its library."""
    return TRAITS[spec.venue](spec)


def broker_of(
    spec: BrokerSpec, paths: StatePaths, observe: Observe | None = None, beside: bool = False
) -> BrokerInterface:
    """The way to the broker, not opened yet; its library is loaded here. ``beside``: for somebody who only looks while
    the gateway may be connected. Raises VenueRefused where a part of the credential is missing."""
    return _made(spec, _kept(spec, paths), observe, beside)


def desk_of(spec: BrokerSpec, paths: StatePaths, clock: Clock, answer: Callable[[Event], None]) -> Desk:
    """The gateway's hook for a real broker. Raises VenueRefused, EnvironmentFault."""
    told: list[Desk] = []

    def observe(remaining: int, wait: int) -> None:
        for desk in told:
            desk.observe(remaining, wait)

    broker = broker_of(spec, paths, observe)
    told.append(Desk(broker, clock, answer, random.Random(), rates_of(spec.venue)))  # two boxes must not knock in step
    return told[0]


def account_now(settings: Settings, paths: StatePaths) -> Account:
    """The account as the broker in the settings tells it now. Raises VenueError, EnvironmentFault."""
    broker = check_broker(settings, paths)
    try:
        broker.open(lambda heard: None)
        return broker.account()
    finally:
        with suppress(ApplianceError):
            broker.close()


def check_broker(settings: Settings, paths: StatePaths) -> BrokerInterface:
    """The broker in the settings, for a look at it beside a running box: keys that the settings hold are for this look
    alone, and count before those that are kept. Raises VenueRefused, EnvironmentFault, RefusedError on paper."""
    spec = broker_spec(settings.broker)
    if spec is None:
        raise RefusedError(
            "broker.venue is 'paper': the paper broker is in the box itself, and there is nobody to ask",
            hint="name a broker under [broker] in the settings, and the settings with --settings FILE",
        )
    return _made(spec, {**_kept(spec, paths), **_given(settings.broker)}, None, True)


def demand_credentials(spec: BrokerSpec, paths: StatePaths) -> None:
    """Raises VenueRefused where a part of the credential is missing: a gateway without it never begins."""
    _complete(spec, _kept(spec, paths))


def _made(spec: BrokerSpec, keys: dict[str, str], observe: Observe | None, beside: bool) -> BrokerInterface:
    """Raises VenueRefused where a part of the credential is missing."""
    return MAKERS[spec.venue](spec, _complete(spec, keys), observe, beside)


def _complete(spec: BrokerSpec, keys: dict[str, str]) -> dict[str, str]:
    """Every part of the credential, which no log shows from here on. Raises VenueRefused where one is missing."""
    parts = {part: keys.get(part, "") for part in NEEDS[spec.venue]}
    logs.hide(*parts.values())
    if lacking := [part for part, value in parts.items() if not value]:
        raise VenueRefused(
            f"has no {' and no '.join(lacking)}",
            venue=spec.venue,
            hint=f"set APPLIANCE_BROKER__{lacking[0].upper()}, or give the credential {OWNER}-{lacking[0]} to the "
            "gateway's systemd unit",
        )
    return parts


def _alpaca(spec: BrokerSpec, keys: dict[str, str], observe: Observe | None, beside: bool) -> BrokerInterface:
    from appliance.venues.alpaca import AlpacaBroker, AlpacaBrokerOptions

    options: dict[str, Any] = {**spec.options, **keys}
    broker = AlpacaBroker(AlpacaBrokerOptions(paper=not spec.live, **options))
    if observe is not None:
        broker.limits = lambda left, until: observe(left, max(until - time.time_ns(), 0))
    return broker


def _alpaca_traits(spec: BrokerSpec) -> VenueTraits:
    from appliance.venues.alpaca.traits import traits

    return traits(spec.options.get("extended_hours") is True)


def _ibkr(spec: BrokerSpec, keys: dict[str, str], observe: Observe | None, beside: bool) -> BrokerInterface:
    from appliance.venues.ibkr import IbkrBroker, IbkrTerms

    options: dict[str, Any] = spec.options
    terms = IbkrTerms(account=spec.account, **options)
    return IbkrBroker(replace(terms, client_id=terms.client_id + beside))


def _ibkr_traits(spec: BrokerSpec) -> VenueTraits:
    from appliance.venues.ibkr.tickets import traits

    return traits(spec.options.get("outside_rth") is True)


MAKERS = {"alpaca": _alpaca, "ibkr": _ibkr}
TRAITS = {"alpaca": _alpaca_traits, "ibkr": _ibkr_traits}
