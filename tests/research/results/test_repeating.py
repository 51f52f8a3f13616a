"""What differs between a result and its repeat is named: the file and line, the figure, the input."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.research.results.inputs import Inputs, changed
from appliance.research.results.repeating import differences, first_difference
from appliance.research.results.result import REPEATED
from tests.research.accounts import result

INPUTS = Inputs("aa", "bb", {"bars.csv": "cc"}, "ss", "dd", {"appliance": "0.1.0", "numpy": "2.0"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in result().files(b"<html>\n").items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_the_same_result_has_the_same_bytes(folder: Path) -> None:
    assert differences(folder, result().files(b"<html>\n")) == []
    assert {path.name for path in folder.iterdir()} == set(REPEATED)


def test_a_row_that_differs_is_told_with_its_number(folder: Path) -> None:
    changed_rows = result().files(b"<html>\n") | {"orders.jsonl": b'{"id":"2"}\n'}
    assert differences(folder, changed_rows) == ['orders.jsonl: line 1 was \'{"id":"1"}\', is \'{"id":"2"}\'']


def test_a_row_that_is_missing_is_told() -> None:
    assert first_difference(b"a\nb\n", b"a\n") == "line 2 was 'b', is not there"
    assert first_difference(b"a\n", b"a\nb\n") == "line 2 was not there, is 'b'"
    assert first_difference(b"a\n", b"a\r\n") == "only its line ends differ"


def test_figures_that_differ_are_told_by_name(folder: Path) -> None:
    other = result(metrics={"total_return": 0.01, "sharpe": None}).files(b"<html>\n")
    assert differences(folder, other) == ["result.json: total_return was 0.009, is 0.01"]


def test_a_file_that_was_lost_is_told(folder: Path) -> None:
    (folder / "fills.csv").unlink()
    assert differences(folder, result().files(b"<html>\n")) == ["fills.csv: cannot be read: No such file or directory"]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"strategy": "x"}, "strategy: its source is another"),
        ({"settings": "x"}, "settings: what result.json says of the run is another"),
        ({"sessions": "x"}, "sessions: the exchange's calendar is another"),
        ({"code": "x"}, "version: the appliance's code is another"),
        ({"data": {"bars.csv": "x"}}, "data: bars.csv has other bytes"),
        ({"versions": {"appliance": "0.1.0", "numpy": "2.1"}}, "version: numpy was 2.0, is 2.1"),
    ],
)
def test_an_input_that_changed_is_told(after: dict[str, object], words: str) -> None:
    assert changed(INPUTS, replace(INPUTS, **after)) == [words]
    assert changed(INPUTS, INPUTS) == []
