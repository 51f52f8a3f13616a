"""Live money: what its owner has confirmed by typing the account's name, kept so that a box can start again alone.

A file in the state directory says which account, which settings, and when. The gateway itself refuses to begin without
one that fits, whoever starts it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from appliance.domain.market import SECOND
from appliance.errors import EnvironmentFault, RefusedError
from appliance.runs import RunSpec
from appliance.shell.credentials import write_private
from appliance.shell.paths import StatePaths

HOW = "type its name on a terminal: 'appliance broker confirm-live --settings FILE', or 'appliance up' there"


class Confirmation(Struct, frozen=True):
    """What was confirmed: the account's name as it was typed, a digest of what trades it, and when (ns UTC)."""

    account: str
    digest: str
    at: int


def digest_of(spec: RunSpec) -> str:
    """Twelve hex digits that differ when the account, the settings, a strategy that trades it (its file's name, not its
    text), the limits or the money do."""
    strategies = [replace(one, source=None, follows=()) for one in spec.strategies]
    broker = spec.broker and replace(spec.broker, digest="")
    confirmed = (broker, spec.settings, strategies, spec.limits, spec.cash, spec.model.account)
    return hashlib.sha256(msgspec.json.encode(confirmed, order="sorted")).hexdigest()[:12]


def confirm(spec: RunSpec, paths: StatePaths, now: int) -> None:
    """Keep that the account of ``spec`` was confirmed ``now`` (ns UTC). Raises EnvironmentFault."""
    assert spec.broker is not None
    kept = Confirmation(spec.broker.name, spec.broker.digest, now)
    write_private(paths.live_money, msgspec.json.encode(kept).decode() + "\n")


def confirmation(paths: StatePaths) -> Confirmation | None:
    """What was confirmed last in this state directory. Raises EnvironmentFault for a file that cannot be read."""
    try:
        return msgspec.json.decode(paths.live_money.read_bytes(), type=Confirmation)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or error
        raise EnvironmentFault(f"{paths.live_money}: cannot be read: {why}", hint=f"remove it, then {HOW}") from None


def check(spec: RunSpec, paths: StatePaths) -> None:
    """Raises RefusedError where the run trades live money that was not confirmed, or as something else."""
    if spec.broker is None or not spec.broker.live:
        return
    name, found = spec.broker.name, confirmation(paths)
    if found is None:
        raise RefusedError(f"{name}: nobody has confirmed that it is to be traded", hint=HOW)
    when = datetime.fromtimestamp(found.at // SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if found.account != name:
        raise RefusedError(f"{name}: what was confirmed at {when} is {found.account}", hint=HOW)
    if found.digest != spec.broker.digest:
        what = "the settings, strategies, limits or money"
        raise RefusedError(f"{name}: {what} are others than were confirmed at {when}", hint=HOW)
