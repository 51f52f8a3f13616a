"""From a file to a runner: every mistake names file, line and text, and what to do."""

from __future__ import annotations

import traceback

import pytest

from appliance.domain.market import Bar
from appliance.errors import StrategyError
from appliance.strategy.loader import check_name, load, split_target, strategy_name

HEAD = "from appliance.strategy import Strategy, param\n"
GOOD = HEAD + "class Rule(Strategy):\n    symbol: str = param('SPY')\n"
TWO = GOOD + "class Other(Rule):\n    pass\n"


def refused(source: str, **options) -> StrategyError:
    with pytest.raises(StrategyError) as caught:
        load(source, "my/rule.py", **options)
    assert caught.value.exit_code == 4
    return caught.value


@pytest.mark.parametrize(
    ("source", "place", "words"),
    [
        # does not compile
        (HEAD + "class Rule(Strategy)\n    pass\n", "my/rule.py:2: class Rule(Strategy)", "does not compile: expected"),
        (HEAD + "x = (\n", "my/rule.py:2: x = (", "does not compile"),
        ("x = 1\0", "my/rule.py:1", "does not compile"),
        # raises on import
        (HEAD + "x = 1 / 0\n", "my/rule.py:2: x = 1 / 0", "import failed: ZeroDivisionError: division by zero"),
        (HEAD + "raise SystemExit(3)\n", "my/rule.py:2: raise SystemExit(3)", "import failed: SystemExit: 3"),
        ("from appliance.strategy import Strategi\n", "my/rule.py:1: from appliance", "cannot import name 'Strategi'"),
        # a class that cannot work
        (GOOD + "    def on_bars(self, bar): ...\n", "my/rule.py:2: class Rule(Strategy):", "did you mean 'on_bar'"),
        (HEAD + "class Rule(Strategy):\n    n: int = param(1, low=2)\n", "my/rule.py:2:", "Rule.n: the default"),
        # raises in on_start, directly or through a helper
        (
            GOOD + "    def on_start(self):\n        self.x = [][1]\n",
            "my/rule.py:5: self.x = [][1]",
            "Rule.on_start raised: IndexError: list index out of range",
        ),
        (
            GOOD + "    def on_start(self):\n        self.x = self.sma(self.symbol, 0)\n",
            "my/rule.py:5: self.x = self.sma(self.symbol, 0)",
            "the period must be",
        ),
        # nothing to run, or nothing to hear
        ("x = 1\n", "my/rule.py", "no strategy in it"),
        (HEAD, "my/rule.py", "no strategy in it"),
        (HEAD + "class Rule(Strategy):\n    pass\n", "my/rule.py", "names no symbol"),
        (TWO, "my/rule.py", "several strategies in it: Rule, Other"),
    ],
)
def test_a_broken_file_is_named_with_line_and_text(source, place, words):
    error = refused(source)
    assert place in error.text
    assert words in error.text


def test_several_strategies_are_chosen_between_by_name():
    assert "name one: my/rule.py:Rule" in refused(TWO).hint
    assert load(TWO, "my/rule.py", class_name="Other").symbols == ("SPY",)
    assert "no strategy 'Othr' in it; did you mean 'Other'?" in refused(TWO, class_name="Othr").text


def test_parameters_go_to_the_strategy_and_wrong_ones_are_refused():
    assert load(GOOD, "my/rule.py", params={"symbol": "QQQ"}).symbols == ("QQQ",)
    assert "did you mean 'symbol'" in refused(GOOD, params={"simbol": "QQQ"}).text


def test_a_trial_start_leaves_nothing_behind():
    runner = load(GOOD + "    def on_start(self):\n        self.log('x')\n        self.state['n'] = 1\n", "my/rule.py")
    assert runner.logs() == ()
    assert runner.snapshot()["started"] is None
    assert runner.snapshot()["state"] == {}


def test_a_traceback_shows_the_line_that_ran():
    runner = load(GOOD + "    def on_bar(self, bar):\n        return bar.nothing  # here\n", "my/other_rule.py")
    runner.start(0)
    with pytest.raises(AttributeError) as caught:
        runner.bar(Bar("SPY", "1m", 0, 1, 1.0, 1.0, 1.0, 1.0, 1.0), 1)
    told = "".join(traceback.format_exception(caught.value))
    assert 'File "my/other_rule.py", line 5, in on_bar' in told
    assert "return bar.nothing  # here" in told


def test_dataclasses_and_postponed_annotations_work_in_a_strategy_file():
    source = "from __future__ import annotations\nfrom dataclasses import dataclass\n" + GOOD
    assert load(
        source + "@dataclass\nclass Level:\n    price: float\n", "my/rule.py", params={"symbol": "X"}
    ).symbols == ("X",)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("a/b.py", ("a/b.py", None)),
        ("a/b.py:Rule", ("a/b.py", "Rule")),
        ("C:/b.py", ("C:/b.py", None)),
        ("b.py:", ("b.py:", None)),
    ],
)
def test_a_target_is_a_file_and_perhaps_a_class(target, parts):
    assert split_target(target) == parts


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("strategies/sma_cross.py", "sma_cross"),
        ("My Rule (2).py", "my_rule_2"),
        ("x/ÄÖ.py", "strategy"),
        ("a" * 40 + ".py", "a" * 24),
        ("pairs-v2.py", "pairs-v2"),
    ],
)
def test_a_strategy_is_named_after_its_file(path, name):
    assert strategy_name(path) == name
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "a b", "a" * 25, "a/b", "a\n", "ä"])
def test_a_name_that_does_not_fit_a_topic_is_refused(name):
    with pytest.raises(StrategyError, match="is not allowed"):
        load(GOOD, "my/rule.py", name=name)
