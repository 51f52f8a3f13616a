"""The options `up` and `backtest` share: what they become, and what the session calendar costs."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from appliance.commands.options import limit_values, sessions_cache, sessions_for, strategy_specs
from appliance.core.limits import LimitValues
from appliance.domain.market import SECOND
from appliance.settings import Limits
from tests.commands.conftest import ROOT, SMA, Appliance


def test_the_owners_limits_become_the_guards() -> None:
    values = limit_values(Limits(stale_price_seconds=Decimal("1.5"), max_order_notional=None))
    assert (values.stale_price, values.max_order_notional) == (3 * SECOND // 2, None)
    assert values.max_order_shares == Limits().max_order_shares
    assert limit_values(Limits.off()) == LimitValues()


def test_strategies_of_one_name_get_a_number_each() -> None:
    specs = strategy_specs((SMA, f"{SMA}:SmaCross", SMA), {"fast": "3"})
    assert [spec.name for spec in specs] == ["sma_cross", "sma_cross-2", "sma_cross-3"]
    assert [spec.class_name for spec in specs] == ["", "SmaCross", ""]
    assert all(spec.file == SMA and spec.params == {"fast": "3"} for spec in specs)


def test_the_calendar_is_kept_where_the_owner_keeps_such_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert sessions_cache() == Path("cache/appliance/sessions.json")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert sessions_cache() == Path.home() / ".cache/appliance/sessions.json"


def test_the_calendar_is_compiled_elsewhere_so_that_this_process_does_not_pay_for_pandas(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom appliance.commands.options import sessions_for\n"
        "table = sessions_for(Path(sys.argv[1]))\nprint(len(table), 'pandas' in sys.modules)"
    )
    cache = tmp_path / "deep" / "sessions.json"
    for _ in range(2):
        ran = subprocess.run([sys.executable, "-c", code, cache], cwd=ROOT, capture_output=True, text=True, check=True)
        count, paid = ran.stdout.split()
        assert int(count) > 7000
        assert paid == "False"
    assert cache.exists()


def test_where_the_cache_cannot_be_written_there_is_a_calendar_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: None)  # the child could not write it either
    (tmp_path / "file").write_text("in the way")
    assert len(sessions_for(tmp_path / "file" / "sessions.json")) > 7000


@pytest.mark.parametrize(
    ("given", "says"),
    [(("--warm-up", "5"), "--warm-up 5 without --start"), (("--warm-up", "-1"), "--warm-up"),
     (("--warm-up", "x", "--start", "2013-10-08"), "--warm-up")],
)  # fmt: skip
def test_a_warm_up_is_a_number_of_bars_before_a_first_date(
    appliance: Appliance, data: Path, given: tuple[str, ...], says: str
) -> None:
    said = appliance("backtest", SMA, "--data", data, *given)
    assert said.code == 2
    assert says in said.err


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("--model ", ["plain,pessimistic", "plain,lean", "plain,backtesting.py"]),
        ("--commission p", ["plain,per-share", "plain,percent"]),
        ("--limit-fill ", ["plain,through", "plain,touch"]),
        ("--data equ", ["file,equ"]),
        ("stra", ["file,stra"]),
    ],
)
def test_a_shell_completes_files_and_choices(begun: str, offered: list[str]) -> None:
    words = f"appliance backtest {begun}"
    asked = {"_APPLIANCE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    said = subprocess.run(
        [sys.executable, "-m", "appliance"], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert said.stdout.split() == offered
