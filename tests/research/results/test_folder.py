"""A folder of results appears whole or not at all, and never takes the place of what is not a former result."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.errors import EnvironmentFault, UsageError
from appliance.research.results import folder
from appliance.research.results.folder import Out

NAMES = frozenset({"result.json", "fills.csv"})
FILES = {"result.json": b"{}\n", "fills.csv": b"time\n"}


def held(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_a_new_folder_holds_the_files_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    Out(tmp_path / "out", NAMES).write(FILES)
    assert held(tmp_path / "out") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folders_above_it_are_made_only_with_it(tmp_path: Path) -> None:
    place = Out(tmp_path / "deep" / "er" / "out", NAMES)
    assert list(tmp_path.iterdir()) == []
    place.write(FILES)
    assert held(tmp_path / "deep" / "er" / "out") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    Out(tmp_path / "out", NAMES).write(FILES)
    assert held(tmp_path / "out") == FILES


def test_a_former_result_is_replaced_whole(tmp_path: Path) -> None:
    Out(tmp_path / "out", NAMES).write(FILES)
    Out(tmp_path / "out", NAMES).write({"result.json": b"[]\n"})
    assert held(tmp_path / "out") == {"result.json": b"[]\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (["notes.txt"], "is there already and holds no result"),
        (["result.json", "notes.txt"], "also notes.txt, which would be lost"),
    ],
)
def test_what_is_not_ours_is_never_replaced(tmp_path: Path, there: list[str], words: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in there:
        (out / name).write_text("mine")
    with pytest.raises(UsageError, match=words):
        Out(out, NAMES)
    assert sorted(held(out)) == sorted(there)


def test_a_file_in_its_place_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        Out(tmp_path / "out", NAMES)


def test_what_came_into_its_place_during_the_run_stays(tmp_path: Path) -> None:
    place = Out(tmp_path / "out", NAMES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds no result"):
        place.write(FILES)
    assert held(tmp_path / "out") == {"notes.txt": b"mine"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_disk_that_fills_up_leaves_the_former_result_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Out(tmp_path / "out", NAMES).write(FILES)
    written = folder._write

    def full(path: Path, content: bytes) -> None:
        if path.name == "fills.csv":
            raise OSError(28, "No space left on device")
        written(path, content)

    monkeypatch.setattr(folder, "_write", full)
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        Out(tmp_path / "out", NAMES).write({"result.json": b"[]\n", "fills.csv": b""})
    assert held(tmp_path / "out") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Out(tmp_path / "out", NAMES).write(FILES)
    assert list(tmp_path.iterdir()) == []


def test_a_former_result_stands_again_when_its_successor_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Out(tmp_path / "out", NAMES).write(FILES)
    place, renamed = Out(tmp_path / "out", NAMES), os.rename

    def interrupted(source: Path, target: Path) -> None:
        if source.name == "new":
            raise KeyboardInterrupt
        renamed(source, target)

    monkeypatch.setattr(folder.os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        place.write({"result.json": b"[]\n"})
    assert held(tmp_path / "out") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        Out(tmp_path / "out", NAMES).write(FILES)
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_a_place_that_cannot_be_written_is_told_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **given: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folder.tempfile, "mkdtemp", refused)
    with pytest.raises(EnvironmentFault, match="cannot be written: Permission denied"):
        Out(tmp_path / "out", NAMES)
