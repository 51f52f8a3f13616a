"""Live money: nothing of it is traded that its owner has not confirmed as it is, whoever starts the gateway."""

from __future__ import annotations

import stat
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance import live_money
from appliance.core.limits import LimitValues
from appliance.domain.trading import AccountKind
from appliance.errors import EnvironmentFault, RefusedError
from appliance.processes import engine_of
from appliance.runs import BrokerSpec, RunSpec, StrategySpec
from appliance.shell.paths import StatePaths

NOW = 1_795_950_000_000_000_000
LIVE = BrokerSpec("ibkr", "live U1234567", "U1234567", True, {"port": 4001})


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / "state", {"XDG_RUNTIME_DIR": str(tmp_path)})
    paths.prepare()
    return paths


def _spec(broker: BrokerSpec | None = LIVE, **more: object) -> RunSpec:
    spec = RunSpec("test", (StrategySpec("a", "a.py", params={"symbol": "SPY"}),), Decimal(1_000), **more)  # type: ignore[arg-type]
    spec = replace(spec, broker=broker)
    return spec if broker is None else replace(spec, broker=replace(broker, digest=live_money.digest_of(spec)))


def test_what_was_confirmed_may_be_traded_again_and_again(paths):
    live_money.confirm(_spec(), paths, NOW)
    live_money.check(_spec(), paths)
    live_money.check(replace(_spec(), build="another", past="elsewhere", keep_going=True), paths)


def test_it_is_kept_for_its_owners_eyes_with_the_account_and_when(paths):
    live_money.confirm(_spec(), paths, NOW)
    assert stat.S_IMODE(paths.live_money.stat().st_mode) == 0o600
    found = live_money.confirmation(paths)
    assert found is not None
    assert (found.account, found.at) == ("live U1234567", NOW)


def test_without_a_word_of_its_owner_it_is_refused_with_how_to_give_it(paths):
    with pytest.raises(RefusedError) as caught:
        live_money.check(_spec(), paths)
    assert "live U1234567: nobody has confirmed" in caught.value.text
    assert "appliance broker confirm-live" in caught.value.hint


def test_paper_needs_no_word(paths):
    live_money.check(_spec(None), paths)
    live_money.check(_spec(replace(LIVE, live=False)), paths)


def test_another_account_is_another_word(paths):
    live_money.confirm(_spec(), paths, NOW)
    with pytest.raises(
        RefusedError, match=r"live U7654321: what was confirmed at 2026-11-29 11:00 UTC is live U1234567"
    ):
        live_money.check(_spec(replace(LIVE, name="live U7654321", account="U7654321")), paths)


@pytest.mark.parametrize(
    "other",
    [
        replace(_spec(), settings="other"),
        replace(_spec(), cash=Decimal(1_001)),
        replace(_spec(), limits=LimitValues(max_order_shares=Decimal(5))),
        replace(_spec(), model=replace(_spec().model, account=AccountKind.MARGIN)),
        replace(_spec(), strategies=(StrategySpec("a", "b.py", params={"symbol": "SPY"}),)),
        replace(_spec(), strategies=(StrategySpec("a", "a.py", params={"symbol": "QQQ"}),)),
        replace(_spec(), broker=replace(LIVE, options={"port": 4003})),
    ],
)
def test_what_has_changed_since_is_confirmed_anew(paths, other):
    live_money.confirm(_spec(), paths, NOW)
    assert other.broker is not None
    changed = replace(other, broker=replace(other.broker, digest=live_money.digest_of(other)))
    with pytest.raises(RefusedError, match="are others than were confirmed at"):
        live_money.check(changed, paths)


def test_the_text_of_a_strategy_and_whom_it_follows_are_found_later_and_change_nothing():
    spec = _spec()
    loaded = replace(spec, strategies=tuple(replace(one, source="x", follows=("b",)) for one in spec.strategies))
    assert live_money.digest_of(loaded) == live_money.digest_of(spec)


def test_a_file_that_cannot_be_read_is_no_yes(paths):
    paths.live_money.write_text("{")
    with pytest.raises(EnvironmentFault, match="cannot be read"):
        live_money.check(_spec(), paths)


def test_the_gateway_itself_does_not_begin_without_it(paths):
    with pytest.raises(RefusedError, match="nobody has confirmed"):
        engine_of("gateway", paths, _spec())
