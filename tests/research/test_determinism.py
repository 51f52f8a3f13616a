"""Two runs are compared byte for byte, in processes that hash texts differently."""

from __future__ import annotations

import subprocess
import sys

import pytest

from appliance.errors import StrategyError
from appliance.research.decisions import decide
from appliance.research.determinism import deterministic, hash_seeds, run_elsewhere
from appliance.research.scenes import minutes
from tests.research.sources import written

SCENE = minutes(("SPY",), 50, seed=1)
TRADES = written("self.target(bar.symbol, quantity=round(bar.close))")


def test_the_seeds_bring_the_symbols_in_different_orders() -> None:
    texts = ("SPY", "QQQ")
    command = [sys.executable, "-S", "-c", "import sys; print(*set(sys.argv[1:]))", *texts]
    first, second = (
        subprocess.run(command, env={"PYTHONHASHSEED": str(seed)}, capture_output=True, check=True).stdout
        for seed in hash_seeds(texts)
    )
    assert first != second


def test_other_processes_decide_the_same_to_the_byte() -> None:
    whole = decide(TRADES.on(SCENE), SCENE)
    elsewhere = run_elsewhere(TRADES, SCENE, 60)
    assert [run for _, run in elsewhere] == [whole, whole]
    assert deterministic(lambda scene: decide(TRADES.on(scene), scene), elsewhere, SCENE, whole).verdict == "pass"


def test_a_second_run_that_differs_is_told_with_both_decisions() -> None:
    whole = decide(TRADES.on(SCENE), SCENE)
    other = written("self.target(bar.symbol, quantity=round(bar.close) + 1)")
    found = deterministic(lambda scene: decide(other.on(scene), scene), (), SCENE, whole)
    assert found.verdict == "fail"
    assert "the first run SPY 100; a second run SPY 101" in found.text


@pytest.mark.parametrize(
    ("on_bar", "words"),
    [("while True:\n    pass", "no answer within 1 s"), ("raise KeyboardInterrupt", "ends its process")],
)
def test_a_process_that_gives_no_answer_is_an_error_of_the_strategy(on_bar: str, words: str) -> None:
    with pytest.raises(StrategyError, match=words):
        run_elsewhere(written(on_bar), SCENE, 1 if "within" in words else 60)
