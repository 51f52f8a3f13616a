"""Which broker: every mistake at once, live money only where two settings say so, and no key in anybody's sight."""

from __future__ import annotations

from decimal import Decimal

import pytest

from appliance.data.sources.ibkr.options import CLIENT_IDS, IbkrOptions
from appliance.errors import SettingsError
from appliance.settings import Settings, load_settings, settings_hash, show
from appliance.settings_broker import SOURCE_IDS, Broker

LIVE_DATA = '[market]\nsource = "live"\n[[sources]]\nname = "ib"\nkind = "ibkr"\n'
ALPACA = '[broker]\nvenue = "alpaca"\n'
IB = '[broker]\nvenue = "ibkr"\naccount = "DU1234567"\n'


@pytest.fixture
def load(tmp_path):
    def load(text: str, profile: str | None = None, **env: str) -> Settings:
        (tmp_path / "box.toml").write_text(text)
        return load_settings(tmp_path / "box.toml", profile, env)

    return load


def _wrong(load, text: str, profile: str | None = None, **env: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(text, profile, **env)
    return [line.strip() for line in caught.value.text.splitlines()[1:]]


def test_without_a_word_it_is_paper_and_nothing_leaves_the_box():
    broker = Broker()
    assert (broker.venue, broker.real, broker.live) == ("paper", False, False)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (ALPACA, "paper alpaca"),
        (ALPACA + 'account = "paper"', "paper alpaca"),
        (ALPACA + 'url = "https://paper-api.alpaca.markets"', "paper alpaca"),
        (ALPACA + 'url = "http://127.0.0.1:8080"\nstream_url = "ws://localhost:81/stream"', "paper alpaca"),
        (IB, "paper DU1234567"),
        (IB + "port = 7497", "paper DU1234567"),
    ],
)
def test_a_practice_account_is_no_live_money(load, text, name):
    broker = load(text + "\n" + LIVE_DATA).broker
    assert broker.real
    assert not broker.live
    assert broker.name == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (ALPACA + 'account = "live"', "live alpaca"),
        (ALPACA + 'account = "paper"\nurl = "https://api.alpaca.markets"', "live alpaca"),
        (ALPACA + 'stream_url = "wss://api.alpaca.markets/stream"', "live alpaca"),
        (ALPACA + 'url = "https://proxy.example.test"', "live alpaca"),
        (IB.replace("DU", "U"), "live U1234567"),
        (IB.replace("DU", "F"), "live F1234567"),
        (IB + "port = 4001", "live DU1234567"),
        (IB + "port = 7496", "live DU1234567"),
    ],
)
def test_live_money_needs_the_profile_to_say_so_as_well(load, text, name):
    (line,) = _wrong(load, text + "\n" + LIVE_DATA)
    assert line.startswith(f"broker.account: '{name}' is live money, and the profile is 'paper'")
    assert load(text + "\n" + LIVE_DATA, "live").broker.name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (IB + "port = 4001", "a paper account at another port: 4001 is a live gateway's"),
        (ALPACA + 'url = "https://proxy.example.test"', "a paper account and leave url and stream_url away"),
    ],
)
def test_what_makes_a_paper_account_live_money_is_said(load, text, words):
    (line,) = _wrong(load, text + "\n" + LIVE_DATA)
    assert words in line


def test_the_live_profile_alone_trades_no_live_money(load):
    assert not load(ALPACA + LIVE_DATA, "live").broker.live
    assert not load("", "live").broker.real


@pytest.mark.parametrize("source", ["simulated", "files"])
@pytest.mark.parametrize("venue", [ALPACA, IB])
def test_a_real_broker_does_not_trade_a_market_that_is_not_real(load, source, venue):
    (line,) = _wrong(load, f'{venue}\n[market]\nsource = "{source}"\nfiles = ["bars.csv"]\n')
    assert "would trade a fiction" in line
    assert source in line


def test_every_mistake_is_told_at_once_by_its_key(load):
    text = (
        '[broker]\nvenue = "alpaca"\naccount = "margin"\nport = 4001\nrestart = "23:50"\nurl = "paper-api/"\n'
        "[paper.manners]\nreject = 2\n"
    )
    told = "\n".join(_wrong(load, text))
    for words in ('broker.url = "paper-api/": must be an address such as https://', "paper.manners.reject"):
        assert words in told
    told = "\n".join(_wrong(load, text.replace('url = "paper-api/"\n', "").replace("reject = 2", "reject = 0.2")))
    for words in (
        "broker.account: 'margin' must be 'paper' or 'live'",
        "broker.port: is a key of venue ibkr, and venue is 'alpaca'",
        "broker.restart: is a key of venue ibkr",
    ):
        assert words in told


def test_of_interactive_brokers_the_account_must_be_named(load):
    (line,) = _wrong(load, '[broker]\nvenue = "ibkr"\n' + LIVE_DATA)
    assert line == "broker.account: name the account; it is like DU1234567 (paper) or U1234567 (live)"
    (line,) = _wrong(load, IB.replace("DU1234567", "mine") + LIVE_DATA)
    assert "'mine' is no account number" in line


def test_an_unknown_venue_a_port_that_is_none_and_a_time_that_is_none_are_named_with_what_is_allowed(load):
    told = "\n".join(_wrong(load, '[broker]\nvenue = "robinhood"\nport = 70000\nrestart = "24:00"\n'))
    assert "'paper', 'alpaca' or 'ibkr'" in told
    assert "broker.port = 70000" in told
    assert "a time of the day such as 23:45" in told


def test_bad_manners_are_the_paper_brokers(load):
    (line,) = _wrong(load, ALPACA + LIVE_DATA + "[paper.manners]\nambiguous = 0.1\n")
    assert line.startswith("paper.manners: are the paper broker's")
    assert load("[paper.manners]\nambiguous = 0.1\n").paper.manners.table["ambiguous"] == 0.1
    assert load("[paper.manners]\nseed = 9\n").paper.manners.table == {}


def test_orders_and_market_data_do_not_share_a_client_id_at_one_gateway(load):
    assert SOURCE_IDS == CLIENT_IDS
    assert IbkrOptions().client_id == 17
    for ours in (16, 17, 24):
        (line,) = _wrong(load, f"{IB}client_id = {ours}\n{LIVE_DATA}")
        assert "one of source ib's" in line
    for ours, more in ((15, ""), (25, ""), (17, "port = 4003\n"), (17, 'host = "10.0.0.9"\n')):
        load(f"{IB}client_id = {ours}\n{more}{LIVE_DATA}")


def test_keys_come_from_the_environment_and_are_never_shown(load):
    text = ALPACA + LIVE_DATA
    secret = {"APPLIANCE_BROKER__KEY": "PKTEST", "APPLIANCE_BROKER__SECRET": "hunter2"}
    settings = load(text, **secret)
    assert settings.broker.key.get_secret_value() == "PKTEST"
    assert "hunter2" not in show(settings) + repr(settings)
    assert settings_hash(settings) == settings_hash(load(text))
    wrong = "\n".join(_wrong(load, text + "[limits]\nmax_order_shares = -1\n", **secret))
    assert "hunter2" not in wrong


def test_strategies_get_no_more_than_the_owner_gives_of_the_account(load):
    strategies = '[[strategies]]\nname = "a"\nfile = "a.py"\ncash = 900\n'
    (line,) = _wrong(load, ALPACA + "cash = 500\n" + LIVE_DATA + strategies)
    assert line == "strategies: their cash is 900 USD in all, more than the account's 500 USD (broker.cash)"
    assert load(ALPACA + "cash = 1000\n" + LIVE_DATA + strategies).broker.cash == Decimal(1000)


def test_what_is_printed_loads_back(load):
    settings = load(IB + "outside_rth = true\n" + LIVE_DATA)
    assert load(show(settings)) == settings
