"""History fetched over real sockets from a stand-in of Alpaca, whose own log says what it was asked."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from appliance.data.options import midnight
from appliance.data.store import HistoryStore
from appliance.domain.market import HOUR, Bar, Split
from tests.commands.conftest import MINUTE, ROOT, Appliance, Said
from tests.standins.alpaca import AlpacaStandIn, Market, minutes
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.http import LOGIN, HttpServer, Reply, Request, as_json

MONDAY, TUESDAY = "2013-10-07", "2013-10-08"
OPEN = midnight(date(2013, 10, 7)) + 9 * HOUR + 30 * MINUTE
NEXT = midnight(date(2013, 10, 8)) + 9 * HOUR + 30 * MINUTE
SESSION = 390 * MINUTE
Fetch = Callable[..., Said]


@pytest.fixture(autouse=True)
def surroundings(server: AlpacaStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy for addresses of the machine itself, and nobody waits long to try again. The server is there before the
    command line is, and longer: it logs where that one did."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("appliance.sourcing.time.sleep", lambda seconds: None)


@pytest.fixture
def market() -> Market:
    """Two days of SPY and QQQ, without ten minutes of SPY's Monday."""
    made = Market()
    rows = minutes(OPEN, 390)
    made.add("bars", "SPY", rows[:100] + rows[110:])
    made.add("bars", "SPY", minutes(NEXT, 390))
    made.add("bars", "QQQ", minutes(OPEN, 390, seed=2))
    made.add("bars", "QQQ", minutes(NEXT, 390, seed=3))
    return made


@pytest.fixture
def server(market: Market) -> Iterator[AlpacaStandIn]:
    with AlpacaStandIn(market, page_max=100) as stand_in:
        yield stand_in


@pytest.fixture
def written(server: AlpacaStandIn, tmp_path: Path) -> Path:
    """Settings with the stand-in as their source."""
    return settings(tmp_path, alpaca(server))


@pytest.fixture
def fetch(appliance: Appliance, written: Path, tmp_path: Path) -> Fetch:
    def run(*arguments: object, start: str = MONDAY, end: str = TUESDAY) -> Said:
        days = ("--start", start, "--end", end, "--settings", written, "--state", tmp_path)
        return appliance("data", "fetch", *arguments, *days)

    return run


def settings(folder: Path, *tables: str) -> Path:
    file = folder / "settings.toml"
    file.write_text('[market]\nsource = "live"\nsymbols = ["SPY"]\n' + "".join(f"[[sources]]\n{one}" for one in tables))
    return file


def alpaca(server: AlpacaStandIn, key: str = KEY, name: str = "alpaca") -> str:
    lines = {"kind": "alpaca", "name": name, "key": key, "secret": SECRET, "rest_url": server.rest_url}
    if not key:
        del lines["key"]
    return "".join(f'{option} = "{value}"\n' for option, value in lines.items())


def rest(server: HttpServer, name: str = "mine") -> str:
    return (
        f'kind = "rest"\nname = "{name}"\nurl = "{server.url}/bars/{{symbol}}"\nrows = "bars"\n'
        'query = {from = "{start}", to = "{end}"}\ntimeframes = {1m = "1Min"}\nrate = 1000\nburst = 100\n'
        '[sources.bars]\ntime = "t"\nopen = "o"\nhigh = "h"\nlow = "l"\nclose = "c"\nvolume = "v"\n'
    )


def held(state: Path, symbol: str = "SPY") -> list[Bar]:
    store = HistoryStore(state / "data" / "history.db", read_only=True)
    found = [bar for page in store.bars(symbol, "1m", 0, 2**62) for bar in page]
    store.close()
    return found


def questions(server: AlpacaStandIn) -> list[dict[str, str]]:
    return [entry.facts["query"] for entry in server.log.of("request", "/v2/stocks/bars")]


# --- what comes -----------------------------------------------------------------------------------------------------


def test_all_bars_of_all_symbols_are_kept(fetch: Fetch, tmp_path: Path) -> None:
    said = fetch("SPY", "QQQ")
    assert (said.code, "SPY 1m: 770 bars are new" in said.out, "QQQ 1m: 780 bars are new" in said.out) == (
        0,
        True,
        True,
    )
    assert [len(held(tmp_path, symbol)) for symbol in ("SPY", "QQQ")] == [770, 780]
    assert {bar.source for bar in held(tmp_path)} == {"alpaca"}


def test_what_is_there_is_not_asked_for_again(fetch: Fetch, server: AlpacaStandIn) -> None:
    fetch("SPY")
    before = len(questions(server))
    said = fetch("SPY", "--json")
    assert (said.code, said.json["symbols"][0]["new"], len(questions(server))) == (0, 0, before)


def test_only_the_days_that_are_lacking_are_asked_for(fetch: Fetch, server: AlpacaStandIn, tmp_path: Path) -> None:
    fetch("SPY", end=MONDAY)
    before = len(questions(server))
    fetch("SPY")
    assert questions(server)[before]["start"] == "2013-10-08T04:00:00.000000000Z"
    assert len(held(tmp_path)) == 770


def test_splits_are_fetched_and_an_export_is_adjusted_by_them(
    fetch: Fetch, market: Market, appliance: Appliance, tmp_path: Path
) -> None:
    market.act("forward_splits", symbol="SPY", new_rate=2, old_rate=1, process_date=TUESDAY, ex_date=TUESDAY, id="1")
    assert fetch("SPY", "--adjusted", "split").code == 0
    store = HistoryStore(tmp_path / "data" / "history.db", read_only=True)
    assert [(one.new, one.old) for one in store.actions(["SPY"], 0, 2**62) if isinstance(one, Split)] == [(2, 1)]
    store.close()
    opens = []
    for way in ("raw", "split"):
        out = tmp_path / f"{way}.csv"
        said = appliance("data", "export", "SPY", "--adjusted", way, "--out", out, "--state", tmp_path)
        assert (said.code, "no splits" in said.out) == (0, False)
        opens.append([float(line.split(",")[2]) for line in out.read_text().splitlines()[1:]])
    assert opens[1][:380] == pytest.approx([price / 2 for price in opens[0][:380]])
    assert opens[1][380:] == opens[0][380:]


# --- stopped --------------------------------------------------------------------------------------------------------


def start(written: Path, state: Path) -> subprocess.Popen[str]:
    days = ["--start", MONDAY, "--end", TUESDAY, "--settings", str(written), "--state", str(state)]
    command = [sys.executable, "-m", "appliance", "data", "fetch", "SPY", "QQQ", *days]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def asked(server: AlpacaStandIn, pages: int) -> None:
    """Until so many questions have come: what was answered before the last of them is kept."""
    server.log.until(
        lambda log: sum(one.where == "/v2/stocks/bars" for one in log if one.what == "request") >= pages, 20
    )


def test_killed_in_between_and_run_again_it_asks_for_the_rest_alone(
    fetch: Fetch, server: AlpacaStandIn, written: Path, tmp_path: Path
) -> None:
    server.faults.latency = 0.2
    child = start(written, tmp_path)
    asked(server, 4)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    server.faults.latency = 0.0
    kept = held(tmp_path)
    assert 200 <= len(kept) < 770
    before = len(questions(server))
    said = fetch("SPY", "QQQ", "--json")
    assert (said.code, said.json["symbols"][0]["new"]) == (0, 770 - len(kept))
    assert questions(server)[before]["start"] >= "2013-10-07T16:59:00"
    assert [len(held(tmp_path, symbol)) for symbol in ("SPY", "QQQ")] == [770, 780]


def test_interrupted_it_says_what_is_kept_and_ends_with_130(
    server: AlpacaStandIn, written: Path, tmp_path: Path
) -> None:
    server.faults.latency = 0.2
    child = start(written, tmp_path)
    asked(server, 4)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    assert (child.returncode, "Traceback" in err) == (130, False), err
    kept = len(held(tmp_path))
    assert f"interrupted: {kept:,} new bars kept, and 1 symbol not asked for; run it again" in err
    assert f"SPY 1m: {kept} bars are new" in out
    assert kept >= 200


# --- bad input ------------------------------------------------------------------------------------------------------


def test_an_unknown_symbol_does_not_keep_the_others_waiting(fetch: Fetch, tmp_path: Path) -> None:
    said = fetch("spy", "ZZZZ", "QQQ", "--json")
    errors = {one["symbol"]: one["error"] for one in said.json["symbols"]}
    assert said.code == 3
    assert "invalid symbol: spy" in errors["spy"]["text"]
    assert "ZZZZ: no source has a 1m bar of it" in errors["ZZZZ"]["text"]
    assert errors["QQQ"] is None
    assert len(held(tmp_path, "QQQ")) == 780


def test_what_is_lacking_is_said_when_a_source_fails_in_between(
    fetch: Fetch, server: AlpacaStandIn, tmp_path: Path
) -> None:
    fetch("SPY", end=MONDAY)
    server.faults.broken = 503
    said = fetch("SPY", "QQQ")
    assert said.code == 3
    assert "lacking: 2013-10-08 04:00:00 to 2013-10-09 04:00:00 UTC" in said.out
    assert "lacking: 2013-10-07 04:00:00 to 2013-10-09 04:00:00 UTC" in said.out
    assert "HTTP 503" in said.out
    assert "hint: run it again in a while: it asks for the rest" in said.out
    assert len(held(tmp_path)) == 380
    server.faults.broken = 0
    assert fetch("SPY", "QQQ").code == 0


def test_a_source_that_wants_to_be_left_alone_for_long_is_not_waited_for(fetch: Fetch, server: AlpacaStandIn) -> None:
    server.faults.retry_after = 3600
    server.faults.busy = True
    said = fetch("SPY", "QQQ")
    assert (said.code, said.out.count("HTTP 429"), len(questions(server))) == (3, 2, 1), said.out


def test_wrong_keys_are_refused_with_where_to_set_them_and_never_shown(
    appliance: Appliance, server: AlpacaStandIn, tmp_path: Path
) -> None:
    wrong = settings(tmp_path, alpaca(server, "PKWRONG000000000000"))
    said = appliance("data", "fetch", "SPY", "--start", MONDAY, "--settings", wrong, "--state", tmp_path)
    assert (said.code, "refuses the key PKWR…" in said.out) == (3, True)
    assert "PKWRONG0" not in said.out + said.err
    assert SECRET not in said.out + said.err


def test_a_missing_key_is_named_with_how_to_give_it(
    appliance: Appliance, server: AlpacaStandIn, tmp_path: Path
) -> None:
    without = settings(tmp_path, alpaca(server, ""))
    said = appliance("data", "fetch", "SPY", "--start", MONDAY, "--settings", without, "--state", tmp_path)
    assert (said.code, "alpaca: has no key" in said.err) == (3, True)
    assert "APPLIANCE_SOURCES__ALPACA__KEY" in said.err
    assert questions(server) == []


def test_a_web_page_in_place_of_bars_is_no_data_and_the_next_source_goes_on(
    appliance: Appliance, server: AlpacaStandIn, tmp_path: Path
) -> None:
    with HttpServer(lambda request: Reply(LOGIN)) as page:
        alone = settings(tmp_path, rest(page))
        days = ("--start", MONDAY, "--end", MONDAY, "--state", tmp_path)
        said = appliance("data", "fetch", "SPY", *days, "--settings", alone)
        assert (said.code, "with a web page titled 'Sign in'" in said.out) == (3, True), said.out
        assert held(tmp_path) == []
        both = settings(tmp_path, rest(page), alpaca(server))
        said = appliance("data", "fetch", "SPY", *days, "--settings", both)
    assert (said.code, len(held(tmp_path))) == (0, 380), said.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["SPY", "--start", "2200-01-01"], 3, "--start 2200-01-01 is in the future"),
        (["SPY"], 2, "no --start"),
        (["--start", MONDAY], 2, "no symbol"),
        (["SPY", "--start", MONDAY, "--timeframe", "soon"], 2, "'soon'"),
        (["SPY", "--start", "monday"], 2, "is not a date"),
        (["SPY", "--start", MONDAY, "--source", "alpca"], 2, "did you mean 'alpaca'?"),
        (["SPY", "--start", TUESDAY, "--end", MONDAY], 2, "is after end"),
    ],
)
def test_what_cannot_be_is_said_in_words(
    appliance: Appliance, written: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    said = appliance("data", "fetch", *arguments, "--settings", written, "--state", tmp_path)
    assert (said.code, words in said.err) == (code, True), said.err


def test_settings_without_a_source_say_how_to_add_one(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance("data", "fetch", "SPY", "--start", MONDAY, "--state", tmp_path)
    assert (said.code, "[[sources]]" in said.err) == (2, True)


# --- gaps -----------------------------------------------------------------------------------------------------------


def test_filling_gaps_asks_for_just_these_and_knows_what_was_not_traded(
    appliance: Appliance, server: AlpacaStandIn, written: Path, tmp_path: Path
) -> None:
    rows = [bar for at in range(390) if at not in range(95, 120) for bar in [one(OPEN + at * MINUTE)]]
    store = HistoryStore(tmp_path / "data" / "history.db")
    store.add(rows)
    store.cover("SPY", "1m", OPEN, OPEN + 95 * MINUTE)
    store.cover("SPY", "1m", OPEN + 120 * MINUTE, OPEN + SESSION)
    store.close()
    assert appliance("data", "gaps", "--state", tmp_path).code == 1
    said = appliance("data", "gaps", "SPY", "--fill", "--settings", written, "--state", tmp_path, "--json")
    assert (said.code, said.json["bars"], said.json["filled"][0]["new"]) == (0, 0, 15)
    (question,) = questions(server)
    assert (question["start"], question["end"]) == ("2013-10-07T15:05:00.000000000Z", "2013-10-07T15:29:59.999999999Z")
    assert len(held(tmp_path)) == 380
    assert appliance("data", "gaps", "--state", tmp_path).out == "nothing is lacking\n"


def test_what_cannot_be_filled_remains_and_is_told(
    appliance: Appliance, server: AlpacaStandIn, written: Path, tmp_path: Path
) -> None:
    store = HistoryStore(tmp_path / "data" / "history.db")
    store.add([one(OPEN), one(OPEN + 5 * MINUTE)])
    store.close()
    server.faults.broken = 503
    said = appliance("data", "gaps", "--fill", "--settings", written, "--state", tmp_path)
    assert (said.code, "HTTP 503" in said.out, "4 bars lacking in 1 gap" in said.out) == (3, True, True)


def one(start: int) -> Bar:
    return Bar("SPY", "1m", start, start + MINUTE, 100, 101, 99, 100, 1000, "alpaca")


# --- sources --------------------------------------------------------------------------------------------------------


def test_sources_are_listed_in_order_and_no_secret_is_shown(
    appliance: Appliance, server: AlpacaStandIn, tmp_path: Path
) -> None:
    with HttpServer(lambda request: as_json({"bars": []})) as other:
        both = settings(tmp_path, alpaca(server), rest(other))
        said = appliance("data", "sources", "--settings", both, "--state", tmp_path, "--json")
        told = appliance("data", "sources", "--settings", both, "--state", tmp_path)
        assert other.log == []
    first, second = said.json["sources"]
    assert (first["name"], first["kind"], first["credential"], first["actions"]) == ("alpaca", "alpaca", "there", True)
    assert "1d" in first["history"]
    assert (second["name"], second["history"], second["credential"]) == ("mine", ["1m"], "not needed")
    assert (second["per_second"], second["burst"]) == (1000, 100)
    assert "1. alpaca (alpaca)" in told.out
    assert all(secret not in said.out + told.out for secret in (KEY, SECRET))
    assert questions(server) == []


def test_sources_of_every_kind_are_listed_without_asking_one(appliance: Appliance, tmp_path: Path) -> None:
    stream = (
        'kind = "websocket"\nname = "ws"\nurl = "ws://127.0.0.1:9/?{key}"\nsubscribe = {bars = {want = "{symbol}"}}\n'
        '[[sources.messages]]\nwhere = {T = "b"}\n[sources.messages.fields]\nkind = "bars"\n'
        'time = "t"\nopen = "o"\nhigh = "h"\nlow = "l"\nclose = "c"\nvolume = "v"\nsymbol = "S"\n'
    )
    four = settings(tmp_path, 'kind = "ibkr"\nname = "ib"\nport = 9\n', 'kind = "alpaca"\nname = "a"\n', stream)
    said = appliance("data", "sources", "--settings", four, "--state", tmp_path, "--json")
    told = {one["name"]: (one["credential"], one["lacking"], bool(one["history"])) for one in said.json["sources"]}
    assert said.code == 0
    assert told == {
        "ib": ("not needed", [], True), "a": ("lacking", ["key", "secret"], True), "ws": ("lacking", ["key"], False),
    }  # fmt: skip


def test_a_check_tells_who_answers_and_how_fast(appliance: Appliance, server: AlpacaStandIn, tmp_path: Path) -> None:
    def refusing(request: Request) -> Reply:
        return as_json({"message": "no such plan"}, status=403)

    with HttpServer(refusing) as other:
        three = settings(tmp_path, alpaca(server), rest(other), alpaca(server, "", "third"))
        began = time.monotonic()
        said = appliance("data", "sources", "--check", "--settings", three, "--state", tmp_path, "--json")
        took = time.monotonic() - began
    good, bad, without = (one["check"] for one in said.json["sources"])
    assert said.code == 1
    assert (good["answers"], "1d bars of SPY on " in good["said"]) == (True, True)
    assert 0 <= good["ms"] < 1000 * took
    assert (bad["answers"], "HTTP 403" in bad["said"]) == (False, True)
    assert (without["answers"], without["said"]) == (False, "not asked: it has no key")
    assert good["hint"].startswith("if it should have some: check how") == (good["said"].startswith("0 "))
    assert bad["hint"] == "check the source's credential, and that its plan includes what is asked"
    assert without["hint"] == "set APPLIANCE_SOURCES__THIRD__KEY"
    assert len(questions(server)) == 1


def test_a_source_that_only_tells_live_data_is_connected_to_and_left(
    appliance: Appliance, server: AlpacaStandIn, tmp_path: Path
) -> None:
    stream = f'stream_url = "{server.stream_url}"\nhistory = false\n'
    live = settings(tmp_path, alpaca(server) + stream)
    said = appliance("data", "sources", "--check", "--settings", live, "--state", tmp_path)
    assert (said.code, "connected, SPY subscribed" in said.out) == (0, True), said.out
    server.faults.greeting = 402
    said = appliance("data", "sources", "--check", "--settings", live, "--state", tmp_path)
    assert (said.code, "DOES NOT ANSWER" in said.out) == (1, True), said.out
    assert "\n   hint: give the key and its secret" in said.out


def test_the_help_of_sources_names_what_may_be_set(appliance: Appliance) -> None:
    said = appliance("data", "sources", "--help")
    for word in ("alpaca", "rest_url", "ibkr", "websocket", "paging", "hello"):
        assert word in said.out


def test_a_shell_is_offered_the_sources_of_the_settings(written: Path) -> None:
    from click.shell_completion import ShellComplete

    from appliance.commands.data import data

    words = ["fetch", "SPY", "--settings", str(written), "--source"]
    offered = ShellComplete(data, {}, "data", "_").get_completions(words, "al")
    assert [one.value for one in offered] == ["alpaca"]


def test_the_readme_names_every_command_on_data() -> None:
    from appliance.commands.data import data

    table = (ROOT / "README.md").read_text().split("## Commands")[1].split("Exit codes:")[0]
    assert [name for name in data.commands if f"`data {name}" not in table] == []
