"""Sources of market data in settings: every mistake is told, no key is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.errors import SettingsError
from appliance.settings import load_settings, secret_values, settings_hash, show
from appliance.sourcing import live_spec

LIVE = """
[market]
source = "live"
symbols = ["SPY", "AAPL"]
[[sources]]
name = "alpaca-iex"
kind = "alpaca"
key = "PKHUSH"
secret = "not to be shown"
[[sources]]
name = "ib"
kind = "ibkr"
port = 4001
connect = 2.5
"""
REST = """
[[sources]]
name = "mine"
kind = "rest"
url = "https://example.org/bars?s={symbol}&k={key}"
timeframes = {"1m" = "1Min"}
history = false
rate = 0.5
[sources.bars]
time = "t"
open = "o"
high = "h"
low = "l"
close = "c"
volume = "v"
"""


def _load(folder: Path, text: str, **env: str):
    file = folder / "box.toml"
    file.write_text(text)
    return load_settings(file, env=env)


def test_sources_stand_in_the_order_of_preference_with_the_options_of_their_kind(tmp_path):
    settings = _load(tmp_path, LIVE + REST)
    spec = live_spec(settings)
    assert [(one.name, one.kind, one.live, one.history) for one in spec.sources] == [
        ("alpaca-iex", "alpaca", True, True), ("ib", "ibkr", True, True), ("mine", "rest", True, False),
    ]  # fmt: skip
    assert spec.sources[1].table == {"port": 4001, "connect": 2.5}
    assert spec.sources[2].asks.per_second == 0.5
    assert spec.symbols == ("SPY", "AAPL")


def test_live_data_are_minutes_unless_said_otherwise_whatever_the_profile_is_used_to(tmp_path):
    assert live_spec(_load(tmp_path, LIVE)).timeframe == "1m"
    assert load_settings(None, "paper", {}).market.timeframe == "5s"
    there = live_spec(_load(tmp_path, LIVE, APPLIANCE_MARKET__TIMEFRAME="5s"))
    assert there.timeframe == "5s"


def test_no_key_is_shown_hashed_or_handed_on(tmp_path):
    settings = _load(tmp_path, LIVE)
    other = _load(tmp_path, LIVE.replace("PKHUSH", "PKOTHER"))
    assert "HUSH" not in show(settings)
    assert "not to be" not in show(settings)
    assert settings_hash(settings) == settings_hash(other)
    assert {"PKHUSH", "not to be shown"} <= set(secret_values(settings))
    assert "HUSH" not in repr(live_spec(settings))
    assert "HUSH" not in repr(settings.sources)


def test_a_variable_gives_the_key_of_the_source_of_that_name(tmp_path):
    given = _load(tmp_path, LIVE, APPLIANCE_SOURCES__ALPACA_IEX__KEY="PKENV", APPLIANCE_SOURCES__IB__HOST="10.0.0.7")
    assert given.sources[0].key.get_secret_value() == "PKENV"
    assert given.sources[1].table["host"] == "10.0.0.7"


@pytest.mark.parametrize(("option", "text", "value"), [("PORT", "4002", 4002), ("DELAYED", "true", True)])
def test_a_variable_gives_a_number_or_a_truth_as_the_file_would(tmp_path, option, text, value):
    given = _load(tmp_path, LIVE, **{f"APPLIANCE_SOURCES__IB__{option}": text})
    assert given.sources[1].table[option.lower()] == value
    assert live_spec(given).sources[1].options()


def test_a_key_of_digits_stays_a_key(tmp_path):
    given = _load(tmp_path, LIVE, APPLIANCE_SOURCES__ALPACA_IEX__KEY="12345")
    assert given.sources[0].key.get_secret_value() == "12345"


def test_a_variable_for_a_source_there_is_not_is_told_without_its_value(tmp_path):
    with pytest.raises(SettingsError) as told:
        _load(tmp_path, LIVE, APPLIANCE_SOURCES__ALPACA__KEY="PKENV")
    assert "APPLIANCE_SOURCES__ALPACA__KEY: there is no such source" in told.value.text
    assert "alpaca-iex, ib" in told.value.text
    assert "PKENV" not in str(told.value)


def test_an_exported_key_does_not_stop_a_run_whose_settings_have_no_sources(tmp_path):
    key = {"APPLIANCE_SOURCES__ALPACA__KEY": "PKENV"}
    assert load_settings(None, env=key) == load_settings(None, env={})
    assert _load(tmp_path, '[box]\nname = "attic"\n', **key).sources == ()


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ('kind = "alpaca"', 'kind = "alpacca"', "sources[0].kind = \"alpacca\": must be 'alpaca', 'ibkr', 'rest'"),
        ('name = "ib"', 'name = "alpaca-iex"', "sources: two sources are named alpaca-iex"),
        ('name = "ib"', 'name = "I B"', "sources[1].name"),
        ('symbols = ["SPY", "AAPL"]', "symbols = []", "symbols: name at least one symbol"),
        ('"AAPL"]', '"aapl"]', 'market.symbols[1] = "aapl": must be capital letters, digits and . / -, such as SPY'),
        ("[market]", "[data]\nlimits = 3\n[market]", "data.limits = 3: must be a table"),
        ("[market]", 'box = "x"\n[market]', 'box = "x": must be a table'),
        ('symbols = ["SPY", "AAPL"]', "symbols = 3", "market.symbols = 3: must be a list"),
        ('"AAPL"]', '"AAPL", "SPY"]', "market.symbols: SPY stands there more than once"),
        ("[[sources]]", "[[sourcs]]", "sourcs: unknown key; did you mean sources?"),
        ("[market]", '[data]\nkinds = ["quotes"]\n[market]', "data.kinds: bars must be among them"),
        ("[market]", '[data]\nhours = "late"\n[market]', "must be 'regular', 'extended' or 'always'"),
        ("port = 4001", "live = 7", "sources[1].live = 7: must be a valid boolean"),
    ],
)
def test_a_mistake_names_key_value_and_what_is_allowed(tmp_path, wrong, right, told):
    with pytest.raises(SettingsError) as error:
        _load(tmp_path, LIVE.replace(wrong, right))
    assert told in error.value.text
    assert "HUSH" not in error.value.text


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ("port = 4001", "prt = 4001", "source ib: there is no option prt"),
        ("port = 4001", "port = 99999", "ib: port 99999"),
        ("port = 4001", 'port = "many"', 'source ib: port = "many"'),
        ('kind = "alpaca"', 'kind = "alpaca"\nfeed = "all"', "alpaca-iex: feed 'all'"),
        ("[market]", "[data.limits]\njump_sigma = 3\n[market]", "data.limits.jump_sigma: there is no such key"),
        ("[market]", "[data.limits]\njump_sigmas = 1\n[market]", "limit jump_sigmas 1"),
    ],
)
def test_a_mistake_in_what_a_kind_understands_is_told_before_anything_is_started(tmp_path, wrong, right, told):
    settings = _load(tmp_path, LIVE.replace(wrong, right))
    with pytest.raises(SettingsError) as error:
        live_spec(settings)
    assert told in error.value.text
    assert error.value.hint


def test_live_data_without_a_source_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="sources: name at least one that is used live"):
        _load(tmp_path, '[market]\nsource = "live"\nsymbols = "SPY"\n')


def test_a_source_knows_which_parts_of_a_credential_it_needs(tmp_path):
    spec = live_spec(_load(tmp_path, LIVE + REST))
    assert [one.needs for one in spec.sources] == [("key", "secret"), (), ("key",)]
    options = spec.sources[0].options("K", "S")
    assert isinstance(options, AlpacaOptions)
    assert (options.key, options.name) == ("K", "alpaca-iex")
