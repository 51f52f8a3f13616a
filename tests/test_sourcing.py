"""From settings to sources that answer: credentials, warm-up, and what becomes of a source that cannot be used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.data import past
from appliance.data.live.spec import LiveSpec
from appliance.data.sources.built import BuiltLive
from appliance.data.sources.spec import Unready
from appliance.domain.market import DAY, AlwaysOpen, Session, Sessions
from appliance.errors import SettingsError
from appliance.settings import load_settings
from appliance.shell.paths import StatePaths
from appliance.sourcing import keep_credentials, live_spec, manager_of, open_store, prepare
from tests.standins.alpaca import AlpacaStandIn, Market, minutes
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.ibkr import IbkrStandIn, Row
from tests.standins.ibkr import Market as Gateways

MINUTE = 60 * 1_000_000_000
COUNT = 3 * 24 * 60
NOW = time.time_ns() // MINUTE * MINUTE
SESSIONS = Sessions(())
"""Nobody asks an exchange: the market of these tests never closes."""
FIRST = NOW - COUNT * MINUTE


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[AlpacaStandIn]:
    market = Market()
    market.add("bars", "SPY", minutes(FIRST, COUNT))
    with AlpacaStandIn(market) as stand_in:
        yield stand_in


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / "state")
    paths.prepare()
    return paths


def _settings(paths: StatePaths, server: AlpacaStandIn, key: str = KEY, more: str = "", market: str = "") -> LiveSpec:
    file = paths.root / "box.toml"
    file.write_text(
        f'[market]\nsource = "live"\nsymbols = ["SPY", "NONE"]\n{market}\n[data]\nhours = "always"\n'
        f'[[sources]]\nname = "alpaca"\nkind = "alpaca"\nkey = "{key}"\nsecret = "{SECRET}"\n'
        f'rest_url = "{server.rest_url}"\nstream_url = "{server.stream_url}"\n{more}'
    )
    settings = load_settings(file, env={})
    keep_credentials(settings, paths)
    return live_spec(settings)


def test_what_strategies_need_to_know_is_fetched_once_kept_and_laid_ready(paths, server):
    spec = _settings(paths, server)
    needs = [("SPY", "", 100), ("SPY", "1h", 5)]
    assert prepare(spec, paths, SESSIONS, needs, NOW) == ""
    known = past.read(paths.past)
    assert known.bars[-1].end == NOW
    assert len(known.of([("SPY", "", 100)], lambda symbol: AlwaysOpen(), "1m")) == 100
    asked = len(server.log.of("request"))
    assert prepare(spec, paths, SESSIONS, needs, NOW) == ""
    again = server.log.of("request")[asked:]
    assert len(again) <= 2, "only what was still being traded is asked for again"
    assert past.read(paths.past) == known
    with closing(open_store(spec, paths, read_only=True)) as store:
        assert [(one.symbol, one.last) for one in store.holdings()] == [("SPY", NOW)]


def test_a_box_whose_source_has_no_past_to_give_starts_without_and_says_why(paths, server):
    spec = _settings(paths, server)
    server.faults.html = True
    lacking = prepare(spec, paths, SESSIONS, [("SPY", "", 10)], NOW)
    assert lacking.startswith("SPY: alpaca: ")
    assert "html" in lacking.lower()
    assert past.read(paths.past).bars == ()


def test_a_history_that_is_damaged_is_put_aside_and_that_is_told(paths, server, caplog):
    paths.history.parent.mkdir(exist_ok=True)
    paths.history.write_bytes(b"no database " * 1000)
    assert prepare(_settings(paths, server), paths, SESSIONS, [("SPY", "", 10)], NOW) == ""
    assert "was damaged" in caplog.text
    assert "history.db.broken-1" in caplog.text


def test_wrong_keys_are_told_as_such(paths, server):
    spec = _settings(paths, server, key="PKWRONG")
    lacking = prepare(spec, paths, SESSIONS, [("SPY", "", 10)], NOW)
    assert lacking == "SPY: alpaca: refuses the key *** (HTTP 401: unauthorized)"
    assert "PKWRONG" not in lacking


def test_a_box_with_a_gateway_alone_warms_up_with_the_bars_that_it_has_adjusted(paths, server):
    begin = NOW // 10**9 - 100 * 60
    market = Gateways("SPY")
    market.rows["SPY", "1 min"] = [Row(str(begin + 60 * i), 10, 10, 10, 10, 5) for i in range(100)]
    with IbkrStandIn(market) as gateway:
        lame = f'[[sources]]\nname = "ib"\nkind = "ibkr"\nport = {gateway.port}\nsettle = 0.05\n'
        spec = _settings(paths, server, more=lame)
        spec = replace(spec, sources=spec.sources[1:])
        week = Sessions([Session("day", NOW + day * DAY, NOW + (day + 1) * DAY) for day in range(-9, 2)])
        assert prepare(spec, paths, week, [("SPY", "", 50)], NOW) == ""
    known = past.read(paths.past).of([("SPY", "", 50)], lambda symbol: AlwaysOpen(), "1m")
    assert {bar.source for bar in known} == {"ib"}
    assert len(known) == 50


def test_a_source_without_its_key_is_not_asked_and_the_others_go_on(paths, server):
    lame = f'[[sources]]\nname = "second"\nkind = "alpaca"\nrest_url = "{server.rest_url}"\n'
    manager = manager_of(_settings(paths, server, more=lame), paths, SESSIONS)
    assert [one.name for one in manager.sources] == ["alpaca"]
    first, second = manager.live
    assert not isinstance(first, Unready)
    assert isinstance(second, Unready)
    assert second.why.text == "second: has no key and no secret"
    assert "APPLIANCE_SOURCES__SECOND__KEY" in second.why.hint
    manager.close()


def test_a_box_that_nobody_could_tell_anything_is_refused_before_it_starts(paths, server):
    with pytest.raises(SettingsError) as told:
        prepare(_settings(paths, server, market='timeframe = "5s"'), paths, SESSIONS, (), NOW)
    assert "no source can tell live data: alpaca: no 5s bars can be built live from 1m" in told.value.text


def test_what_a_source_told_is_forgotten_when_it_is_set_up_anew(paths, server):
    found = []
    for feed in ("", 'feed = "sip"\n'):
        manager = manager_of(_settings(paths, server, more=feed), paths, SESSIONS, cached=True)
        assert len(next(manager.history(("SPY",), "1m", FIRST, FIRST + 600 * MINUTE))) == 600
        manager.close()
        found.append([path.name for path in paths.history.parent.glob("cache-*.db")])
    assert [len(names) for names in found] == [1, 1]
    assert found[0] != found[1]


def test_a_damaged_store_is_begun_anew_and_the_owner_hears_of_it(paths, server, caplog):
    paths.history.parent.mkdir(parents=True, exist_ok=True)
    paths.history.write_bytes(b"no database at all" * 1000)
    assert prepare(_settings(paths, server), paths, SESSIONS, [("SPY", "", 10)], NOW) == ""
    assert "history.db.broken-1" in caplog.text


def test_a_cache_that_cannot_be_removed_keeps_no_box_from_starting(paths, server, caplog):
    (paths.history.parent / "cache-00000000.db").mkdir(parents=True)
    manager = manager_of(_settings(paths, server), paths, SESSIONS, cached=True)
    assert len(next(manager.history(("SPY",), "1m", FIRST, FIRST + 600 * MINUTE))) == 600
    manager.close()
    assert "cache-00000000.db: the cache of other sources cannot be removed" in caplog.text


def test_bars_built_of_delayed_data_are_waited_for_as_long_as_these_are_late(paths, server):
    spec = _settings(paths, server, more='feed = "delayed_sip"\n', market='timeframe = "5m"')
    (source,) = manager_of(spec, paths, SESSIONS).live
    assert isinstance(source, BuiltLive)
    assert source._lag == 15 * MINUTE
