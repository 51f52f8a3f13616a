from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from appliance.commands.data.exporting import Pages, write
from appliance.commands.data.taking import Choice, Taking, survey
from appliance.commands.data.writing import written
from appliance.data.options import FileOptions
from appliance.data.store import HistoryStore
from appliance.domain.market import TIMEFRAMES, AlwaysOpen, Bar
from tests.commands.conftest import MINUTE, SMA, START, Appliance, bars, prices


def of(bars_: list[Bar], path: Path) -> HistoryStore:
    store = HistoryStore(path / "data" / "history.db")
    store.add(bars_)
    return store


def minute(at: int, close: float = 100.0, symbol: str = "SPY") -> Bar:
    start = START + at * MINUTE
    return Bar(symbol, "1m", start, start + MINUTE, 100.0, 101.0, 99.0, close, 1000.0, "alpaca", 0, at % 3)


@some.composite
def any_bars(draw: some.DrawFn) -> list[Bar]:
    timeframe = draw(some.sampled_from(sorted(TIMEFRAMES)))
    price = some.floats(min_value=1e-6, max_value=1e6, allow_nan=False)
    length, end, made = TIMEFRAMES[timeframe], START, []
    for _ in range(draw(some.integers(1, 12))):
        low, opened, close, high = draw(some.lists(price, min_size=4, max_size=4).map(sorted))
        short = draw(some.sampled_from((length, length // 2)))
        end += length * draw(some.integers(1, 3))
        volume = draw(some.floats(min_value=0, max_value=1e12))
        source = draw(some.sampled_from(("alpaca", "ib", "a,b", 'say "so"')))
        made.append(
            Bar(
                "SPY",
                timeframe,
                end - short,
                end,
                opened,
                high,
                low,
                close,
                volume,
                source,
                0,
                draw(some.integers(0, 9)),
            )
        )
    return made


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
@settings(max_examples=10, deadline=None)
@given(made=any_bars())
def test_import_of_an_export_is_what_was_exported(
    tmp_path_factory: pytest.TempPathFactory, ending: str, made: list[Bar]
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("round")
    store, again = of(made, folder / "one"), of([], folder / "two")
    write(Pages(store, "SPY", made[0].timeframe, 0, 2**62), folder / f"x.{ending}", False, False)
    choice = Choice(FileOptions(session="all", sessions=AlwaysOpen(), timeframe=made[0].timeframe), doubtful=True)
    Taking(again, lambda symbol: AlwaysOpen(), choice).take(
        survey(str(folder / f"x.{ending}"), made[0].timeframe, lambda rows: None), lambda rows: None
    )
    timeframe = made[0].timeframe
    first, second = ([bar for page in one.bars("SPY", timeframe, 0, 2**62) for bar in page] for one in (store, again))
    store.close()
    again.close()
    assert first == second == made


def test_the_days_that_are_asked_for_are_written(appliance: Appliance, tmp_path: Path) -> None:
    of([minute(at) for at in range(390)] + [minute(at + 3 * 1440) for at in range(390)], tmp_path).close()
    out = tmp_path / "spy.csv"
    said = appliance("data", "export", "SPY", "--start", "2013-10-05", "--out", out, "--state", tmp_path, "--json")
    assert (said.code, said.json["bars"], said.json["first"]) == (0, 390, START + 3 * 1440 * MINUTE)
    lines = out.read_text().splitlines()
    assert lines[0] == "ts,symbol,open,high,low,close,volume,start,source,received,revision"
    assert len(lines) == 391


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(appliance: Appliance, tmp_path: Path) -> None:
    of([minute(1)], tmp_path).close()
    out = tmp_path / "spy.csv"
    out.write_text("mine")
    said = appliance("data", "export", "SPY", "--out", out, "--state", tmp_path)
    assert (said.code, "--force" in said.err, out.read_text()) == (2, True, "mine")
    assert appliance("data", "export", "SPY", "--out", out, "--force", "--state", tmp_path).code == 0
    assert out.read_text().startswith("ts,symbol")


def test_where_nothing_is_written_no_file_is_left(appliance: Appliance, tmp_path: Path) -> None:
    of([minute(1)], tmp_path).close()
    before = sorted(tmp_path.iterdir())
    said = appliance(
        "data", "export", "SPY", "--start", "2020-01-01", "--out", tmp_path / "spy.csv", "--state", tmp_path
    )
    assert (said.code, "it holds 2013-10-04 to 2013-10-04" in said.err) == (3, True)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_an_export_that_fails_in_between_leaves_the_file_that_was_there(tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / f"spy.{ending}"
    out.write_text("mine")

    def interrupted() -> None:
        with written(out, force=True) as page_out:
            page_out([minute(1)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["SPX", "--out", "a.csv"], 3, "no 1m bars of SPX"),
        (["SPY", "--timeframe", "5m", "--out", "a.csv"], 3, "it holds SPY 1m"),
        (["SPY", "--timeframe", "soon", "--out", "a.csv"], 2, "'soon'"),
        (["SPY", "--out", "a.xlsx"], 2, "it ends with .csv, .csv.gz, .parquet"),
        (["SPY", "--out", "nowhere/a.csv"], 5, "nowhere/a.csv: cannot be written: No such file"),
        (["SPY"], 2, "--out"),
    ],
)
def test_what_cannot_be_is_said_in_words(
    appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    of([minute(1)], tmp_path).close()
    monkeypatch.chdir(tmp_path)
    told = appliance("data", "export", *arguments, "--state", tmp_path)
    assert (told.code, said in told.err) == (code, True), told.err
    assert not list(tmp_path.glob("a.*"))


def test_equal_bars_give_equal_bytes(appliance: Appliance, tmp_path: Path) -> None:
    of([minute(at) for at in range(5)], tmp_path).close()
    for name in ("one.csv.gz", "two.csv.gz"):
        appliance("data", "export", "SPY", "--out", tmp_path / name, "--state", tmp_path)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "one.csv.gz").read_bytes()).count(b"\n") == 6


def test_a_backtest_reads_what_was_exported_as_it_reads_the_file_it_came_from(
    appliance: Appliance, tmp_path: Path
) -> None:
    file = bars(tmp_path / "in.csv", *prices(120))
    appliance("data", "import", file, "--bar-stamp", "start", "--state", tmp_path)
    appliance("data", "export", "SPY", "--out", tmp_path / "out.csv", "--state", tmp_path)
    orders = []
    for data, stamp in ((file, "start"), (tmp_path / "out.csv", "end")):
        out = tmp_path / f"{stamp}.orders"
        said = appliance("backtest", SMA, "--data", data, "--bar-stamp", stamp, "--orders-out", out)
        assert said.code == 0, said.err
        orders.append(out.read_bytes())
    assert orders[0] == orders[1] != b""
