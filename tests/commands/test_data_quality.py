from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from appliance.commands.data.quality import quality
from appliance.errors import ApplianceError, DataError, UsageError
from tests.commands.conftest import MINUTE, START, Appliance, bars, prices


def asked(*arguments: object) -> Result:
    """The command, with the exit code it returns; errors of ours are raised."""
    result = CliRunner().invoke(quality, [str(one) for one in arguments], standalone_mode=False)
    if isinstance(result.exception, ApplianceError | click.ClickException):
        raise result.exception
    assert result.exception is None, result.exception
    return result


def calm(count: int, start: int = START) -> list[str]:
    return [f"{start + at * MINUTE},SPY,100,100.1,99.9,{100 + at % 2 / 10},1000" for at in range(count)]


def test_good_data_are_said_to_be_good_and_end_with_0(tmp_path: Path) -> None:
    result = asked(bars(tmp_path / "good.csv", *calm(390)), "--bar-stamp", "start")
    assert result.return_value == 0
    assert "nothing was found" in result.output
    assert "100.00" in result.output


def test_the_tool_has_it_beside_its_other_commands(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance("data", "quality", bars(tmp_path / "good.csv", *calm(390)), "--bar-stamp", "start")
    assert (said.code, "nothing was found" in said.out) == (0, True)


def test_what_is_set_aside_is_named_and_ends_with_1(tmp_path: Path) -> None:
    rows = calm(390)
    rows[40] = f"{START + 40 * MINUTE},SPY,100,100.1,0.01,100,1000"
    rows[50] = f"{START + 50 * MINUTE},SPY,100,nan,99,100,1000"
    rows[60] = f"{START + 60 * MINUTE},SPY,100,,99,100,1000"
    rows[70] = "yesterday,SPY,100,101,99,100,1000"
    result = asked(bars(tmp_path / "bad.csv", *rows), "--bar-stamp", "start")
    assert result.return_value == 1
    for said in ("spike: low 0.01, open 100", "not_finite: high nan", "unreadable: bad.csv row 72", "2013-10-04"):
        assert said in result.output
    assert "!" in result.output.splitlines()[2], "the calendar shows the day"


def test_a_program_gets_every_day_and_finding(tmp_path: Path) -> None:
    rows = [*calm(390)[:200], *calm(390)[203:]]
    result = asked(bars(tmp_path / "gap.csv", *rows), "--bar-stamp", "start", "--json")
    said = json.loads(result.output)
    assert (result.return_value, said["quarantined"], said["counts"]) == (0, 0, {"gap": 1})
    (day,) = said["days"]
    assert (day["symbol"], day["date"], day["expected"], day["missing"], day["found"]) == (
        "SPY", "2013-10-04", 390, 3, {"gap": 1},
    )  # fmt: skip
    assert day["score"] == 99.23
    assert said["findings"][0]["rule"] == "gap"


def test_two_rows_of_one_time_are_judged_and_not_refused(tmp_path: Path) -> None:
    rows = calm(30)
    result = asked(bars(tmp_path / "twice.csv", *rows, rows[-1], rows[3]), "--bar-stamp", "start", "--json")
    assert '"duplicate": 2' in result.output


def test_quotes_of_a_wrong_clock_are_told(tmp_path: Path) -> None:
    header = "ts,exch_ts,symbol,bid,ask"
    rows = [f"{START + at * 10**9},{START + at * 10**9 + 1_270_000_000},BTC,100,100.1" for at in range(120)]
    result = asked(bars(tmp_path / "quotes.csv", *rows, header=header), "--session", "always")
    assert "clock_skew_inhibits: received 1.270 s before" in result.output


def test_symbols_and_dates_choose(tmp_path: Path) -> None:
    day = 86_400_000_000_000
    path = bars(tmp_path / "two.csv", *prices(5), *prices(5, start=START + 3 * day), *prices(5, symbol="IBM"))
    result = asked(path, "--bar-stamp", "start", "--symbols", "SPY", "--start", "2013-10-07", "--json")
    assert '"received": 5' in result.output
    assert "IBM" not in result.output
    assert "2013-10-04" not in result.output


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["--symbols", "SPX"], DataError, "no symbol SPX"),
        (["--start", "yesterday"], UsageError, "is not a date"),
        (["--timeframe", "7m"], UsageError, "timeframe '7m'"),
        (["--factors", "nowhere.csv"], DataError, "nowhere.csv: no such file"),
    ],
)
def test_what_cannot_be_is_said_in_words(
    tmp_path: Path, arguments: list[str], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        asked(bars(tmp_path / "a.csv", *prices(5)), *arguments)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        asked(tmp_path / "nowhere.csv")


def test_one_bar_tells_no_timeframe(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="how long its bars are"):
        asked(bars(tmp_path / "one.csv", *prices(1)))
    assert asked(bars(tmp_path / "one.csv", *prices(1)), "--timeframe", "1m").return_value == 0


def test_the_rules_are_shown_with_their_limits() -> None:
    said = asked("--rules").output
    assert "spike               quarantined " in said
    assert "(impossible_ratio 5)" in said
    assert "(trade_jump 0.01, tick 0.01, confirmations 3)" in said


def test_the_rules_are_json_where_json_was_asked_for() -> None:
    rules = {one["rule"]: one for one in json.loads(asked("--rules", "--json").output)["rules"]}
    assert rules["spike"]["outcome"] == "quarantined"
    assert rules["float_noise"]["limits"] == {"tick": 0.01}


def test_in_extended_hours_bars_are_missing_there_too(tmp_path: Path) -> None:
    file = bars(tmp_path / "a.csv", *calm(390))
    for session, expected in (("regular", 390), ("extended", 960)):
        (day,) = json.loads(asked(file, "--bar-stamp", "start", "--session", session, "--json").output)["days"]
        assert day["expected"] == expected


def test_without_files_the_next_step_is_named() -> None:
    with pytest.raises(UsageError, match="no data file"):
        asked()
