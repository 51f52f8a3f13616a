"""`appliance broker check` against Alpaca's stand-in: real client, real sockets, and the stand-in's log of it all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli import app
from appliance.shell.paths import StatePaths
from appliance.venues.base import Heard, Lost
from appliance.venues.ibkr import IbkrBroker, IbkrTerms
from tests.commands.conftest import Appliance
from tests.standins.alpaca import AlpacaTrading
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.ibkr import IbkrStandIn
from tests.standins.ibkr.session import ACCOUNT


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AlpacaTrading]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with AlpacaTrading() as server:
        server.books.price("SPY", "499.99", "500.01")
        yield server


@pytest.fixture
def settings(server: AlpacaTrading, tmp_path: Path) -> Path:
    return _settings(server, tmp_path)


def _settings(server: AlpacaTrading, folder: Path, account: str = "paper", key: str = KEY) -> Path:
    file = folder / "box.toml"
    file.write_text(
        f'profile = "live"\n[broker]\nvenue = "alpaca"\naccount = "{account}"\nkey = "{key}"\nsecret = "{SECRET}"\n'
        f'url = "{server.rest_url}"\nstream_url = "{server.stream_url}"\n[market]\nsource = "live"\n'
        'symbols = ["SPY"]\n[[sources]]\nname = "ib"\nkind = "ibkr"\nport = 1\nconnect = 0.1\n'
    )
    return file


def _check(appliance: Appliance, settings: Path, *more: object):
    return appliance("broker", "check", "--settings", settings, "--state", settings.parent / "state", *more)


def test_each_step_is_told_with_its_latency_and_nothing_is_left_behind(appliance, server, settings):
    said = _check(appliance, settings, "--price", "500")
    assert said.code == 0, said
    for words in ("paper alpaca at alpaca", "connect", "equity 100,000.00 USD", "buy 1 SPY at 250.00 USD",
                  "it is among the open orders", "it has ended: cancel"):  # fmt: skip
        assert words in said.out
    assert said.out.count(" ms  ") == 8
    (taken,) = server.books.log.accepted()
    assert taken.client_id.startswith("check-")
    assert [one.kind for one in server.books.log.of("canceled", taken.client_id)] == ["canceled"]
    assert SECRET not in said.out + said.err


def test_json_is_one_object_with_every_step(appliance, server, settings):
    told = _check(appliance, settings, "--price", "500", "--json").json
    assert (told["ok"], told["venue"], told["live"]) == (True, "alpaca", False)
    assert [step["step"] for step in told["steps"]][-3:] == ["place", "find", "cancel"]
    assert all(step["ms"] > 0 for step in told["steps"])


def test_of_live_money_it_only_reads(appliance, server, tmp_path):
    said = _check(appliance, _settings(server, tmp_path, "live"), "--price", "500")
    assert said.code == 0
    assert "not placed: live alpaca is live money" in said.out
    assert server.books.log.accepted() == []


def test_without_leave_it_only_reads_and_says_so(appliance, server, settings):
    said = _check(appliance, settings, "--read-only", "--price", "500")
    assert said.code == 0
    assert "not placed: --read-only" in said.out
    assert server.books.log.accepted() == []


def test_an_order_that_could_not_be_tried_is_no_success(appliance, server, settings):
    """Nobody has asked for less than the whole check, and it is not known whether orders are taken."""
    said = _check(appliance, settings)
    assert said.code == 1
    assert "no price of SPY is known" in said.out
    assert "hint: name one with --symbol and --price" in said.out
    told = _check(appliance, settings, "--json").json
    assert (told["ok"], told["steps"][-1]["step"], told["steps"][-1]["code"]) == (False, "order", "NOT_TRIED")
    assert server.books.log.accepted() == []


def test_wrong_keys_end_it_with_code_5_and_what_to_do(appliance, server, tmp_path):
    file = _settings(server, tmp_path, key="PKWRONG00000000")
    said = _check(appliance, file)
    assert said.code == 5
    assert "FAILED" in said.out
    assert "hint" in said.out
    told = _check(appliance, file, "--json").json
    assert not told["ok"]
    assert told["steps"][-1]["code"] == "VENUE_REFUSED"


def test_a_rejected_order_is_the_brokers_no(appliance, server, settings):
    said = _check(appliance, settings, "--symbol", "NOSUCH", "--price", "10")
    assert said.code == 1
    assert "rejected, UNKNOWN_SYMBOL" in said.out


def test_an_order_whose_answer_never_came_is_looked_for_and_canceled(appliance, server, settings):
    server.faults.next("504 after", 1)
    said = _check(appliance, settings, "--price", "500")
    assert said.code == 5
    assert "it has ended: cancel" in said.out
    (taken,) = server.books.log.accepted()
    assert len(server.books.log.of("canceled", taken.client_id)) == 1


@pytest.mark.parametrize("price", ["0", "-1", "abc", "nan"])
def test_a_price_that_is_none_is_refused(appliance, settings, price):
    said = _check(appliance, settings, f"--price={price}")
    assert said.code == 2
    assert "--price" in said.err


def test_without_keys_it_says_which_are_missing_and_how_to_give_them(appliance, server, settings):
    settings.write_text(settings.read_text().replace(f'key = "{KEY}"\n', ""))
    said = _check(appliance, settings)
    assert said.code == 5
    assert "alpaca: has no key" in said.err
    assert "APPLIANCE_BROKER__KEY" in said.err


def test_it_works_while_a_box_runs_and_leaves_its_keys_alone(appliance, server, settings):
    """Keys that are kept already are those of the running box; other ones in the settings are for this look alone."""
    assert _check(appliance, settings, "--read-only").code == 0
    assert not (StatePaths(settings.parent / "state").credentials / "broker-key").exists()


def test_paper_has_nobody_to_ask(appliance, tmp_path):
    file = tmp_path / "box.toml"
    file.write_text("")
    said = _check(appliance, file)
    assert said.code == 1
    assert "nobody to ask" in said.err


def test_a_shell_completes_the_commands_and_their_options():
    broker = app.get_command(None, "broker")  # type: ignore[arg-type]
    assert broker is not None
    found = {one.value for one in broker.shell_complete(broker.make_context("broker", [], resilient_parsing=True), "")}
    assert {"check", "confirm-live"} <= found


# --- Interactive Brokers ----------------------------------------------------------------------------------------------


@pytest.fixture
def gateway() -> Iterator[IbkrStandIn]:
    with IbkrStandIn() as gateway:
        gateway.books.price("SPY", "499.99", "500.01")
        yield gateway


@pytest.fixture
def at_ib(gateway: IbkrStandIn, tmp_path: Path) -> Path:
    file = tmp_path / "box.toml"
    file.write_text(
        f'[broker]\nvenue = "ibkr"\naccount = "{ACCOUNT}"\nport = {gateway.port}\n[market]\nsource = "live"\n'
        'symbols = ["SPY"]\n[[sources]]\nname = "ib"\nkind = "ibkr"\nport = 1\nconnect = 0.1\n'
    )
    return file


def test_at_interactive_brokers_too_it_places_finds_and_cancels(appliance, gateway, at_ib):
    said = _check(appliance, at_ib, "--price", "500")
    assert said.code == 0, said
    assert f"paper {ACCOUNT} at ibkr" in said.out
    assert "it has ended: cancel" in said.out
    (taken,) = gateway.books.log.accepted()
    assert [one.kind for one in gateway.books.log.of("canceled", taken.client_id)] == ["canceled"]


def test_beside_a_running_box_it_has_a_client_id_of_its_own(appliance, gateway, at_ib):
    box = IbkrBroker(IbkrTerms(port=gateway.port, account=ACCOUNT))
    lost: list[Heard] = []
    box.open(lost.append)
    try:
        said = _check(appliance, at_ib, "--price", "500")
        assert said.code == 0, said
        box.beat()
        assert not any(isinstance(one, Lost) for one in lost)
    finally:
        box.close()
    assert [entry.fields[2] for entry in gateway.log.of("received", "71")] == ["7", "8"]


def test_a_gateway_that_does_not_run_is_said_to_be_away(appliance, gateway, at_ib):
    at_ib.write_text(at_ib.read_text().replace(f"port = {gateway.port}", "port = 1"))
    said = _check(appliance, at_ib)
    assert said.code == 5
    assert "cannot be reached" in said.out
    assert "is the gateway running?" in said.out


def test_an_api_that_only_reads_is_told_with_where_it_is_changed(appliance, gateway, at_ib):
    gateway.faults.read_only = True
    said = _check(appliance, at_ib, "--price", "500")
    assert said.code == 1
    assert "rejected, NOT_ALLOWED" in said.out
    assert "untick Read-Only API" in said.out
