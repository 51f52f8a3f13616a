"""Published bars are kept in a real store; while that fails it is said, and tried again after a minute."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.data.live.keeping import AGAIN, Keeper
from appliance.data.store import HistoryStore
from appliance.errors import EnvironmentFault
from tests.data.store.storing import bars

MINE = bars(3)


class Hands:
    """A keeper and its time."""

    def __init__(self, path: Path) -> None:
        self.path, self.now, self.opened = path, 1, 0
        self.keeper = Keeper(self._open, lambda: self.now)

    def _open(self) -> HistoryStore:
        self.opened += 1
        return HistoryStore(self.path)

    def kept(self) -> int:
        store = HistoryStore(self.path, read_only=True)
        found = sum(holding.bars for holding in store.holdings())
        store.close()
        return found


def test_bars_are_kept_with_one_connection(tmp_path: Path) -> None:
    hands = Hands(tmp_path / "data" / "history.db")
    for _ in range(3):
        hands.keeper(MINE)
    assert (hands.kept(), hands.opened) == (3, 1)


def test_a_store_that_cannot_be_opened_is_said_each_time_and_tried_again_after_a_minute(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    hands = Hands(tmp_path / "data" / "history.db")
    for _ in range(3):
        with pytest.raises(EnvironmentFault) as raised:
            hands.keeper(MINE)
        assert raised.value.text
    assert hands.opened == 1
    os.unlink(tmp_path / "data")
    hands.now += AGAIN
    hands.keeper(MINE)
    assert (hands.kept(), hands.opened) == (3, 2)


def test_bars_that_came_while_the_store_could_not_be_opened_are_kept_once_it_can(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    hands = Hands(tmp_path / "data" / "history.db")
    for one in MINE[:2]:
        with pytest.raises(EnvironmentFault):
            hands.keeper([one])
    os.unlink(tmp_path / "data")
    hands.now += AGAIN
    hands.keeper(MINE[2:])
    assert hands.kept() == 3


def test_a_clock_that_is_set_back_does_not_keep_the_store_closed(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    hands = Hands(tmp_path / "data" / "history.db")
    hands.now = 10 * AGAIN
    with pytest.raises(EnvironmentFault):
        hands.keeper(MINE)
    os.unlink(tmp_path / "data")
    hands.now -= AGAIN
    hands.keeper(MINE)
    assert hands.kept() == 3
