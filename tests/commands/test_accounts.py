"""Which account `up` trades: how much of it, and live money only with its owner's word."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from appliance import live_money
from appliance.commands import accounts
from appliance.domain.trading import Account
from appliance.errors import VenueDown
from appliance.runs import BrokerSpec
from appliance.settings import Settings
from appliance.settings_broker import Broker
from appliance.shell.paths import StatePaths
from tests.commands.conftest import SMA, Appliance

LIVE_DATA = """
[market]
source = "live"
symbols = ["SPY"]
[[sources]]
kind = "alpaca"
name = "alpaca"
key = "another"
secret = "another"
rest_url = "http://127.0.0.1:1"
stream_url = "ws://127.0.0.1:1"
connect = 0.1
answer = 0.1
[[strategies]]
name = "cross"
file = "{file}"
params = {{ symbol = "SPY" }}
"""
PAPER = '[broker]\nvenue = "alpaca"\nkey = "PK1"\nsecret = "hunter2"\ncash = 2000\n'
LIVE = 'profile = "live"\n' + PAPER + 'account = "live"\n'


class Terminal(io.StringIO):
    """Standard input as somebody types it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Path]:
    def write(broker: str) -> Path:
        file = tmp_path / "box.toml"
        file.write_text(broker + LIVE_DATA.format(file=SMA))
        return file

    return write


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Broker]:
    """The broker answers with an account, and remembers who asked."""
    found: list[Broker] = []

    def account(settings: Settings, paths: StatePaths) -> Account:
        found.append(settings.broker)
        return Account(Decimal("1500.5"), equity=Decimal("23456.78"))

    monkeypatch.setattr(accounts, "account_now", account)
    return found


def _confirm(appliance: Appliance, file: Path, state: Path, typed: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal(typed + "\n"))
    return appliance("broker", "confirm-live", "--settings", file, "--state", state)


def test_the_owner_sees_the_account_and_types_its_name(appliance, settings, asked, tmp_path, monkeypatch):
    said = _confirm(appliance, settings(LIVE), tmp_path / "state", "live alpaca", monkeypatch)
    assert said.code == 0, said
    for words in ("LIVE MONEY: live alpaca at alpaca", "equity      23,456.78 USD", "cross", "2,000.00 USD",
                  "max_order_shares 1000", "stale_price_seconds 120, require_cash yes",
                  "type 'live alpaca' to trade it"):  # fmt: skip
        assert words in said.err
    assert "hunter2" not in said.out + said.err
    found = live_money.confirmation(StatePaths(tmp_path / "state"))
    assert found is not None
    assert found.account == "live alpaca"


@pytest.mark.parametrize("typed", ["", "y", "yes", "LIVE ALPACA", "live"])
def test_anything_else_is_no(appliance, settings, asked, tmp_path, monkeypatch, typed):
    said = _confirm(appliance, settings(LIVE), tmp_path / "state", typed, monkeypatch)
    assert said.code == 1
    assert "it was not confirmed" in said.err
    assert live_money.confirmation(StatePaths(tmp_path / "state")) is None


def test_an_account_that_cannot_be_shown_is_not_confirmed(appliance, settings, tmp_path, monkeypatch):
    def down(settings: Settings, paths: StatePaths) -> Account:
        raise VenueDown("nobody answers", venue="alpaca")

    monkeypatch.setattr(accounts, "account_now", down)
    said = _confirm(appliance, settings(LIVE), tmp_path / "state", "live alpaca", monkeypatch)
    assert said.code == 5
    assert live_money.confirmation(StatePaths(tmp_path / "state")) is None


def test_without_a_terminal_nothing_is_confirmed(appliance, settings, asked, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("live alpaca\n"))
    said = appliance("broker", "confirm-live", "--settings", settings(LIVE), "--state", tmp_path / "state")
    assert said.code == 1
    assert "confirmed on a terminal" in said.err
    assert asked == []


def test_paper_has_nothing_to_confirm(appliance, settings, asked, tmp_path, monkeypatch):
    said = _confirm(appliance, settings(PAPER), tmp_path / "state", "paper alpaca", monkeypatch)
    assert said.code == 1
    assert "is no live money" in said.err


def _up(appliance: Appliance, file: Path, state: Path, *more: object):
    return appliance("up", "--settings", file, "--state", state, "--no-check", "--json", *more)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What `up` begins once nothing is left to refuse."""
    found: list[object] = []

    class Begun(Exception):
        pass

    def begin(paths, spec, *more):
        found.append(spec)
        raise Begun

    monkeypatch.setattr("appliance.commands.up.Session", begin)
    monkeypatch.setattr("appliance.commands.up._prepare_live", lambda *args: None)
    return found


def test_up_without_a_terminal_starts_live_money_only_as_it_was_confirmed(
    appliance, settings, asked, begun, tmp_path, monkeypatch
):
    file, state = settings(LIVE), tmp_path / "state"
    said = _up(appliance, file, state)
    assert said.code == 1
    assert "nobody has confirmed" in said.err
    assert _confirm(appliance, file, state, "live alpaca", monkeypatch).code == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    _up(appliance, file, state)
    assert len(begun) == 1
    for more in (("--cash", "2500"), ("--strategy", SMA, "--param", "symbol=SPY", "--param", "fast=4")):
        said = _up(appliance, file, state, *more)
        assert said.code == 1
        assert "are others than were confirmed" in said.err
    file = settings(LIVE + "[limits]\nmax_order_shares = 5000\n")
    said = _up(appliance, file, state)
    assert (said.code, len(begun)) == (1, 1)
    assert asked[0].live


def test_up_on_a_terminal_asks_each_time(appliance, settings, asked, begun, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    assert _up(appliance, settings(LIVE), tmp_path / "state").code == 1
    monkeypatch.setattr(sys, "stdin", Terminal("live alpaca\n"))
    _up(appliance, settings(LIVE), tmp_path / "state")
    assert (len(begun), len(asked)) == (1, 2)


def test_paper_at_a_real_broker_starts_without_a_word_and_no_key_is_in_its_specification(
    appliance, settings, begun, tmp_path
):
    _up(appliance, settings(PAPER), tmp_path / "state")
    (spec,) = begun
    assert spec.broker == BrokerSpec(
        "alpaca", "paper alpaca", "", False, {"url": "", "stream_url": "", "extended_hours": False}, spec.broker.digest
    )
    assert spec.cash == 2000
    assert "hunter2" not in repr(spec)
    kept = StatePaths(tmp_path / "state").credentials / "broker-secret"
    assert kept.read_text() == "hunter2\n"


@pytest.mark.parametrize("part", ["key", "secret"])
def test_up_does_not_begin_without_the_brokers_keys(appliance, settings, begun, tmp_path, part):
    """Its gateway could only end at once, again and again, and tell nobody why."""
    broker = "".join(line + "\n" for line in PAPER.splitlines() if not line.startswith(part))
    said = _up(appliance, settings(broker), tmp_path / "state")
    assert said.code == 5
    assert f"alpaca: has no {part}" in said.err
    assert f"APPLIANCE_BROKER__{part.upper()}" in said.err
    assert begun == []


def test_how_much_of_a_real_account_the_strategies_have_must_be_said(appliance, settings, tmp_path):
    said = _up(appliance, settings(PAPER.replace("cash = 2000\n", "")), tmp_path / "state")
    assert said.code == 2
    assert "broker.cash: is not set, and neither is how many USD of the account cross may use" in said.err


def test_recorded_data_do_not_go_to_a_real_broker(appliance, settings, data, tmp_path):
    said = _up(appliance, settings(PAPER), tmp_path / "state", "--data", data)
    assert said.code == 2
    assert "would trade a fiction" in said.err


@pytest.mark.parametrize(("option", "value"), [("--account", "margin"), ("--commission", "none")])
def test_what_is_the_paper_brokers_is_refused_of_a_real_one(appliance, settings, tmp_path, option, value):
    said = _up(appliance, settings(PAPER), tmp_path / "state", option, value)
    assert said.code == 2
    assert f"{option} with broker.venue 'alpaca'" in said.err


def test_bad_manners_and_recorded_data_do_not_go_together(appliance, data, tmp_path):
    file = tmp_path / "box.toml"
    file.write_text("[paper.manners]\nreject = 0.5\n")
    said = appliance("up", "--settings", file, "--state", tmp_path / "state", "--data", data, "--strategy", SMA)
    assert said.code == 2
    assert "a recorded run is exact" in said.err
