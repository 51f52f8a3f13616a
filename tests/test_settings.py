"""Settings: what is effective, and what an owner is told about every mistake at once."""

import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.market import SECOND
from appliance.errors import SettingsError
from appliance.settings import (
    PROFILES,
    Limits,
    Settings,
    build_hash,
    default_settings,
    load_limits,
    load_settings,
    secret_values,
    settings_hash,
    show,
)

_FILE = """
[box]
name = "attic"
[market]
source = "files"
files = ["bars.csv", "/data/more.csv"]
symbols = ["SPY", "BRK.B"]
start = 2024-01-02
speed = 60
[limits]
max_order_shares = 50
max_order_notional = 1234.5
price_collar_percent = "off"
[[strategies]]
name = "trend"
file = "strategies/sma.py"
class = "SmaCross"
params = { fast = 5, ratio = 0.5, on = true, symbol = "SPY" }
[[strategies]]
name = "mean"
file = "/abs/mean.py"
group = "trend"
cash = 2500.50
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="appliance.toml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def _mistakes(load, *args):
    with pytest.raises(SettingsError) as caught:
        load(*args)
    assert caught.value.exit_code == 2
    return caught.value.text.splitlines()


def test_a_file_is_read_with_money_exact_files_beside_it_and_the_rest_by_default(write, tmp_path):
    settings = load_settings(write(_FILE), None, {})
    assert settings.topic_root == "appliance/1/attic/"
    assert settings.market.files == (str(tmp_path / "bars.csv"), "/data/more.csv")
    assert (settings.market.speed, settings.market.session) == ("60", "regular")
    assert settings.limits.max_order_notional == Decimal("1234.5")
    assert settings.limits.price_collar_percent is None
    assert settings.limits.max_position_shares == Limits().max_position_shares
    trend, mean = settings.strategies
    assert (trend.class_name, trend.params) == ("SmaCross", {"fast": 5, "ratio": 0.5, "on": True, "symbol": "SPY"})
    assert [type(value) for value in trend.params.values()] == [int, float, bool, str]
    assert (trend.file, mean.file) == (str(tmp_path / "strategies" / "sma.py"), "/abs/mean.py")
    assert (trend.cash, mean.cash) == (None, Decimal("2500.50"))
    assert "cash = 2500.5" in show(settings)
    assert settings.hosts == ("trend",)
    assert settings.processes == ("monitor", "gateway", "guard", "host@trend", "feed")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_has_safe_limits_and_prints_settings_that_load_back(profile, write):
    settings = default_settings(profile)
    assert None not in settings.limits.model_dump().values()
    assert load_settings(write(show(settings)), None, {}) == settings


def test_printed_settings_load_back_to_the_same_settings(write):
    settings = load_settings(write(_FILE), None, {})
    again = load_settings(write(show(settings)), None, {})
    assert again == settings
    assert settings_hash(again) == settings_hash(settings)


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.booleans(), max_size=3))
def test_any_text_survives_printing(file, params):
    tree = {"strategies": [{"name": "a", "file": file or "x", "params": params}]}
    settings = Settings.model_validate(tree)
    assert Settings.model_validate(tomllib.loads(show(settings), parse_float=Decimal)) == settings


def test_later_wins_defaults_profile_file_environment(write):
    path = write('profile = "test"\n[log]\nlevel = "error"\n[market]\nseed = 3\n')
    from_file = load_settings(path, None, {})
    assert (from_file.profile, from_file.log.level, from_file.market.speed) == ("test", "error", "max")
    env = {"APPLIANCE_LOG__LEVEL": "info", "APPLIANCE_MARKET__SYMBOLS": "SPY, IBM", "APPLIANCE_PROFILE": "paper"}
    settings = load_settings(path, None, env)
    assert (settings.profile, settings.log.level, settings.market.symbols) == ("paper", "info", ("SPY", "IBM"))
    assert (settings.market.seed, settings.market.speed) == (3, "1")
    assert load_settings(path, "live", env).profile == "live"


def test_the_environment_takes_numbers_switches_lists_and_leaves_other_variables_alone():
    env = {
        "APPLIANCE_LIMITS__MAX_ORDER_SHARES": "7.5",
        "APPLIANCE_LIMITS__PRICE_COLLAR_PERCENT": "off",
        "APPLIANCE_JOURNAL__RECORD": "true",
        "APPLIANCE_MARKET__SYMBOLS": '["IBM"]',
        "APPLIANCE_REAL_DATA": "/data",
        "HOME": "/root",
    }
    settings = load_settings(None, None, env)
    assert settings.limits.max_order_shares == Decimal("7.5")
    assert settings.limits.price_collar_percent is None
    assert settings.journal.record is True
    assert settings.market.symbols == ("IBM",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[market]\nsorce = "files"', "market.sorce: unknown key; did you mean market.source?"),
        ("[limits]\nmax_ordr_shares = 1", "limits.max_ordr_shares: unknown key; did you mean limits.max_order_shares?"),
        ("max_order_shares = 1", "max_order_shares: unknown key; did you mean limits.max_order_shares?"),
        ("[markt]", "markt: unknown key; did you mean market?"),
        ("[box]\nqqq = 1", "box.qqq: unknown key; known here: name"),
        ('[market]\nsource = "net"', "market.source = \"net\": must be 'simulated', 'files' or 'live'"),
        ('[market]\ntimeframe = "2m"', 'market.timeframe = "2m": must be one of 1s, 5s, 10s, 15s, 30s, 1m'),
        ("[market]\nspeed = 0", "market.speed = 0: must be 'max' or a number above 0"),
        ("[market]\nseed = -1", "market.seed = -1: must be greater than or equal to 0"),
        ('[market]\nsource = "files"', "market.files: name at least one file, since source is 'files'"),
        ("[market]\nstart = 2024-02-02\nend = 2024-01-01", "market.start: 2024-02-02 is after end 2024-01-01"),
        ("[limits]\nmax_order_shares = 0", "limits.max_order_shares = 0: must be greater than 0"),
        ("[limits]\nmax_order_shares = nan", "limits.max_order_shares = NaN: must be a finite number"),
        ("[limits]\nmax_order_notional = inf", "limits.max_order_notional = Infinity: must be a finite number"),
        ('[box]\nname = "My Box"', 'box.name = "My Box": must be small letters, digits and -'),
        ('[[strategies]]\nname = "a"', "strategies[0].file: is missing"),
        (
            '[[strategies]]\nname = "a"\nfile = "x"\nparams = {y = [1]}',
            "strategies[0].params.y = [1]: must be true, false",
        ),
        (
            '[[strategies]]\nname = "a"\nfile = "x"\n[[strategies]]\nname = "a"\nfile = "y"',
            "strategies: two strategies are named a",
        ),
        (
            '[[strategies]]\nname = "a"\nfile = "x"\ncash = 600\n[[strategies]]\nname = "b"\nfile = "x"\ncash = 500\n'
            "[paper]\ncash = 1000",
            "strategies: their cash is 1100 USD in all, more than the account's 1000 USD (paper.cash)",
        ),
        ('[[strategies]]\nname = "a"\nfile = "x"\ncash = 0', "strategies[0].cash = 0: must be greater than 0"),
        ('[paper]\ncurrency = "EUR"', "paper.currency = \"EUR\": must be 'USD'"),
        ('[paper]\naccount = "futures"', "paper.account = \"futures\": must be 'secured', 'cash' or 'margin'"),
        ('profile = "papr"', "profile = \"papr\": must be 'paper', 'live' or 'test'"),
        ("market = 3", "market = 3: must be"),
    ],
)
def test_each_mistake_names_key_value_and_what_is_right(write, text, said):
    lines = _mistakes(load_settings, write(text), None, {})
    assert lines[0].endswith("appliance.toml: 1 mistake")
    assert lines[1].startswith(f"  {said}"), lines


def test_all_mistakes_are_told_at_once_with_the_variable_that_made_them(write):
    path = write('[box]\nname = "A"\n[market]\nseed = "x"\n[zzz]\n')
    lines = _mistakes(load_settings, path, None, {"APPLIANCE_LOG__LEVEL": "loud", "APPLIANCE_LOG__LEVL": "info"})
    assert lines[0].endswith(": 5 mistakes")
    assert any(line.startswith('  log.level = "loud" (from APPLIANCE_LOG__LEVEL): must be') for line in lines)
    assert "  log.levl (from APPLIANCE_LOG__LEVL): unknown key; did you mean log.level?" in lines


def test_a_file_that_is_missing_or_no_toml_is_named(write, tmp_path):
    assert _mistakes(load_settings, tmp_path / "none.toml") == [
        f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory"
    ]
    assert "at line 1, column" in _mistakes(load_settings, write("name = box\n"))[0]


def test_secrets_are_masked_in_print_error_and_repr_and_do_not_change_the_hash(write):
    path = write('[broker]\nkey = "AK123"\nsecret = "hush"\n')
    settings = load_settings(path, None, {})
    assert 'key = "********"' in show(settings)
    assert "hush" not in show(settings) + repr(settings)
    assert secret_values(settings) == ("AK123", "hush")
    assert settings_hash(settings) == settings_hash(default_settings())
    lines = _mistakes(load_settings, write('[broker]\nsecret = ["hush"]\n'), None, {})
    assert lines[1] == "  broker.secret = ********: must be a text"


@pytest.mark.parametrize(
    ("variable", "value", "same"),
    [
        ("APPLIANCE_LIMITS__MAX_ORDER_SHARES", "1000.00", True),
        ("APPLIANCE_LIMITS__MAX_ORDER_SHARES", "1000.01", False),
        ("APPLIANCE_LIMITS__MAX_ORDER_SHARES", "off", False),
        ("APPLIANCE_MARKET__SEED", "2", False),
    ],
)
def test_the_hash_changes_with_what_a_setting_means(variable, value, same):
    changed = settings_hash(load_settings(None, "paper", {variable: value}))
    assert (changed == settings_hash(default_settings())) is same


@pytest.mark.parametrize("header", ["", "[limits]\n"])
def test_a_limits_file_stands_alone_with_or_without_its_header(write, header):
    limits = load_limits(write(f"{header}max_order_shares = 50\nstale_price_seconds = 'off'\n"))
    assert limits == Limits(max_order_shares=Decimal(50), stale_price_seconds=None)


def test_a_limits_file_with_an_unknown_key_names_the_right_one(write):
    lines = _mistakes(load_limits, write("max_order_share = 50\n"))
    assert lines[1] == "  max_order_share: unknown key; did you mean max_order_shares?"


def test_limits_can_all_be_off():
    assert set(Limits.off().model_dump().values()) == {None}


def test_validity_is_told_in_nanoseconds():
    settings = load_settings(None, None, {"APPLIANCE_VALIDITY__INTENT_SECONDS": "1.5"})
    assert (settings.validity.intent, settings.validity.approval) == (1_500_000_000, 5 * SECOND)


def test_a_hosts_memory_has_a_safe_default_and_bounds_and_is_told_in_bytes(write):
    assert default_settings().host.memory == 512 << 20
    assert load_settings(write("[host]\nmemory_mb = 64"), None, {}).host.memory == 64 << 20
    assert "host.memory_mb = 8" in _mistakes(load_settings, write("[host]\nmemory_mb = 8"), None, {})[1]
    assert "memory_mb = 512" in show(default_settings())


def test_the_build_hash_is_short_and_stays_the_same():
    assert build_hash() == build_hash()
    assert len(bytes.fromhex(build_hash())) == 6


def test_loading_settings_does_not_import_heavy_libraries():
    code = "import sys, appliance.settings; print(*{'pandas', 'numpy', 'sqlite_utils', 'paho'} & set(sys.modules))"
    root = Path(__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == "\n"
