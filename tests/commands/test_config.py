"""`appliance config`: what is in effect, and every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.settings import load_settings
from tests.commands.conftest import ROOT, Appliance


def test_what_is_shown_loads_back_to_the_same_settings(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance("config", "show", "--profile", "test")
    (tmp_path / "settings.toml").write_text(said.out)
    assert said.code == 0
    assert load_settings(tmp_path / "settings.toml", None, {}) == load_settings(None, "test", {})


def test_json_shows_the_same_tree(appliance: Appliance) -> None:
    shown = appliance("config", "show", "--json").json
    assert shown["profile"] == "paper"
    assert shown["box"] == {"name": "box"}
    assert shown["limits"]["max_order_shares"] == 1000


def test_secrets_are_masked_wherever_settings_are_shown(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_BROKER__SECRET", "hunter2")
    for args in ((), ("--json",)):
        said = appliance("config", "show", *args)
        assert said.code == 0
        assert "hunter2" not in said.out + said.err
        assert "****" in said.out


def test_settings_that_are_right_are_named_with_their_hash(appliance: Appliance, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[box]\nname = "attic"\n')
    told = appliance("config", "check", "--settings", file)
    assert told.code == 0
    assert f"{file}: in order (paper" in told.out
    said = appliance("config", "check", "--settings", file, "--json").json
    assert said["settings"] == str(file)
    assert said["hash"] != appliance("config", "check", "--json").json["hash"]


def test_every_mistake_is_told_at_once_with_the_nearest_right_key(appliance: Appliance, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[market]\nsped = "1"\n[limits]\nmax_order_shares = -1\n[box]\nname = "Attic!"\n')
    said = appliance("config", "check", "--settings", file, "--json")
    assert said.code == 2
    assert "3 mistakes" in said.err
    assert "market.sped: unknown key; did you mean market.speed?" in said.err
    assert "limits.max_order_shares" in said.err
    assert "box.name" in said.err
    assert said.json["error"]["code"] == "SETTINGS"


def test_what_only_sources_and_limits_understand_is_checked_too_each_mistake_of_it(
    appliance: Appliance, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        '[box]\nname = "Attic!"\n[data.limits]\njump_sigma = 3\ntick = -1\n[data.extended]\nbefore = 900\n'
        '[[sources]]\nname = "iex"\nkind = "alpaca"\nkyes = "x"\nfeed = "free"\nconnect = -4\n'
        '[[sources]]\nname = "ib"\nkind = "ibkr"\nport = "4002"\n'
        '[[sources]]\nname = "mine"\nkind = "rest"\nurl = "https://example.test/{symbol}"\n'
    )
    said = appliance("config", "check", "--settings", file)
    assert said.code == 2
    assert "9 mistakes" in said.err
    for words in (
        "box.name", "there is no option kyes; did you mean 'key'?", "feed 'free'; write iex or sip", "connect -4",
        'port = "4002"; it must be a whole number', "source mine: bars is missing", "did you mean 'jump_sigmas'?",
        "limit tick -1.0; it must be from", "extended hours: before 900",
    ):  # fmt: skip
        assert words in said.err


def test_the_settings_in_the_guide_are_in_order_and_say_what_to_trade(appliance: Appliance, tmp_path: Path) -> None:
    guide = (ROOT / "README.md").read_text()
    file = tmp_path / "box.toml"
    file.write_text(guide.partition("```toml\n")[2].partition("```")[0])
    said = appliance("config", "check", "--settings", file, "--json")
    assert said.code == 0
    assert "host@breakout" in said.json["processes"]


def test_live_data_without_a_strategy_to_trade_them_are_refused_with_how_to_name_one(
    appliance: Appliance, tmp_path: Path
) -> None:
    file = tmp_path / "box.toml"
    file.write_text('[market]\nsource = "live"\nsymbols = ["QQQ"]\n[[sources]]\nname = "ib"\nkind = "ibkr"\n')
    said = appliance("up", "--settings", file, "--state", tmp_path / "state")
    assert said.code == 2
    assert "market.source is 'live' and no strategy is named" in said.err
    assert "[[strategies]]" in said.err
    assert "--param symbol=QQQ" in said.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("check", "--settings", "nowhere.toml"), "nowhere.toml: cannot be read"),
        (("show", "--profile", "papper"), "'paper', 'live', 'test'"),
        (("chekc",), "Did you mean 'check'?"),
        ((), "missing command"),
    ],
)
def test_a_wrong_use_ends_it_with_code_2(appliance: Appliance, args: tuple[str, ...], words: str) -> None:
    said = appliance("config", *args)
    assert said.code == 2
    assert words in said.err
