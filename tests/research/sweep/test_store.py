"""What has been found is kept, once, whatever happens to the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.errors import EnvironmentFault
from appliance.research.sweep.store import Outcome, Store

ONE = Outcome(1, {"fast": "5"}, {"sharpe": 1.25, "calmar": None}, "", 0.5)
FAILED = Outcome(0, {"fast": "4"}, None, "it raised", 0.1)


def test_what_was_kept_is_there_in_the_order_of_the_combinations(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db", 2) as store:
        store.begin(b'{"a":1}')
        store.keep(ONE)
        store.keep(FAILED)
    with Store(tmp_path / "s.db", 2) as store:
        assert store.job() == b'{"a":1}'
        assert store.numbers() == {0, 1}
        assert list(store.outcomes()) == [FAILED, ONE]
        assert store.session == 2


def test_a_combination_is_never_kept_twice(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db", 2) as store:
        store.keep(ONE)
        with pytest.raises(EnvironmentFault, match=r"s\.db"):
            store.keep(Outcome(1, {"fast": "6"}))
        assert list(store.outcomes()) == [ONE]


def test_what_a_sweep_is_of_is_written_once(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db", 2) as store:
        assert store.job() is None
        store.begin(b"first")
        store.begin(b"second")
        assert store.job() == b"first"


def test_what_was_kept_before_a_kill_9_is_there(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from appliance.research.sweep.store import Outcome, Store\n"
        "store = Store(Path(sys.argv[1]), 9)\n"
        "for n in range(5): store.keep(Outcome(n, {}))\n"
        "os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.db")], env=dict(os.environ), check=False)
    assert ended.returncode == -signal.SIGKILL
    with Store(tmp_path / "s.db", 9) as store:
        assert store.numbers() == frozenset(range(5))


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(EnvironmentFault, match=r"s\.db"):
        Store(tmp_path / "s.db", 1)
