"""A market model as an owner writes it: what each text means, and what each mistake is told as."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from appliance.choosing import NAMES, RULES, explained, market_model
from appliance.core.metrics.latency import Histogram
from appliance.core.models import PRESETS, MarketModel
from appliance.core.models.commission import FREE, IB_EXACT, Alpaca, Commission, MakerTaker, Percent
from appliance.core.models.fills import Fills
from appliance.core.models.financing import Financing
from appliance.core.models.impact import Linear, SquareRoot
from appliance.core.models.latency import Delay, Drawn
from appliance.core.models.sizing import Sizing
from appliance.core.models.slippage import Spread, Ticks, VolumeShare
from appliance.errors import SettingsError, UsageError
from appliance.settings import Paper, load_settings

D = Decimal


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("commission", "ib", "commission", Commission()),
        ("commission", "per-share:0.01,minimum=2", "commission", Commission(D("0.01"), D(2))),
        ("commission", "per-share:to-cent=false", "commission", IB_EXACT),
        ("commission", "percent:0.2", "commission", Percent(D("0.2"))),
        ("commission", "maker-taker:0.02, 0.05", "commission", MakerTaker(D("0.02"), D("0.05"))),
        ("commission", "alpaca:sec-per-million=0", "commission", Alpaca(D(0))),
        ("commission", "none", "commission", FREE),
        ("slippage", "ticks:2", "slippage", Ticks(2.0)),
        ("slippage", "spread", "slippage", Spread()),
        ("slippage", "volume-share:5,impact=0.2", "slippage", VolumeShare(5.0, 0.2)),
        ("impact", "square-root", "impact", SquareRoot()),
        ("impact", "linear:0.5", "impact", Linear(0.5)),
        ("sizing", "lean", "sizing", Sizing(D("0.25"), "equity")),
        ("sizing", "rule:1,order", "sizing", Sizing(D(1), "order")),
        ("latency", "fixed:50", "latency", Delay(50.0)),
        ("market_fill", "at-once", "fills", Fills("at_once")),
        ("limit_fill", "touch", "fills", Fills(limit="touch")),
        ("bar_fill", "ended", "fills", Fills(bars="ended")),
        ("trailing_fill", "close", "fills", Fills(trailing="close")),
        ("stop_limit_fill", "close", "fills", Fills(stop_limit="close")),
        ("slippage_bound", "none", "fills", Fills(bound="none")),
        ("fill_on", "trades", "fills", Fills(market_on="trades", resting_on="trades", trailing_on="trades")),
        ("participation", "10", "participation", D(10)),
        ("participation", "off", "participation", None),
        ("borrow", "3", "financing", Financing(borrow_percent=D(3))),
        ("margin_interest", "off", "financing", Financing(margin_percent=D(0))),
    ],
)
def test_what_each_choice_means(name: str, text: str, field: str, value: object) -> None:
    assert market_model({name: text}) == replace(MarketModel(), **{field: value})


def test_choices_are_made_over_a_preset() -> None:
    model = market_model({"model": "lean", "commission": "none", "limit_fill": ""})
    assert model == replace(PRESETS["lean"], commission=FREE)
    assert market_model({}) == MarketModel() == PRESETS["pessimistic"]


def test_latencies_are_read_from_a_recorded_histogram(tmp_path: Path) -> None:
    histogram = Histogram()
    for latency in (1_000_000, 1_000_000, 9_000_000):
        histogram.add(latency)
    file = tmp_path / "latencies.json"
    file.write_bytes(msgspec.json.encode(histogram))
    assert market_model({"latency": f"drawn:{file},seed=7"}).latency == Drawn(histogram.values(), 7)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("model", "leen", "--model 'leen': there is no such model\n  hint: one of pessimistic, lean, backtesting.py"),
        ("commission", "percnt:1", "--commission 'percnt:1': there is no kind 'percnt'"),
        ("commission", "percent", "percent: it misses percent"),
        ("commission", "percent:-1", "percent -1 must be 0 or more"),
        ("commission", "percent:nan", "percent NaN must be 0 or more, and finite"),
        ("commission", "percent:x", "percent: "),
        ("commission", "percent:1,2,3,4", "percent has no value for '4'; it takes percent, minimum, to-cent"),
        ("commission", "percent:1,percent=2", "percent gets percent twice"),
        ("commission", "ib:1", "ib takes no values"),
        ("slippage", "ticks", "ticks: it misses ticks"),
        ("slippage", "ticks:inf", "must be 0 or more, and finite"),
        ("latency", "drawn:", "no file"),
        ("latency", "drawn:/nowhere", "/nowhere: No such file or directory"),
        (
            "limit_fill",
            "toch",
            "--limit-fill 'toch': it is not one of them\n  hint: what fills a limit: through, touch",
        ),
        ("fill_on", "bars", "--fill-on 'bars'"),
        ("participation", "0", "nothing would ever be filled"),
        ("participation", "101", "must be from 0 to 100"),
        ("participation", "lots", "it is not a number"),
        ("borrow", "-1", "must be from 0 to 1000"),
    ],
)
def test_each_mistake_names_the_option_the_value_and_what_is_allowed(name: str, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        market_model({name: text}, dashes=True)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"--{name.replace('_', '-')} {text!r}: ")
    assert caught.value.hint


def test_an_empty_histogram_has_no_latencies(tmp_path: Path) -> None:
    file = tmp_path / "latencies.json"
    file.write_bytes(msgspec.json.encode(Histogram()))
    with pytest.raises(UsageError, match="no latencies in it"):
        market_model({"latency": f"drawn:{file}"})


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained(name: str) -> None:
    assert len(explained(name)) > 20


def test_every_fill_rule_and_every_setting_can_be_chosen() -> None:
    chosen = {field for field, _, _ in RULES.values()} | {"market_on", "resting_on", "trailing_on"}
    assert chosen == set(Fills.__struct_fields__)
    assert set(NAMES) <= set(Paper.model_fields)


def test_the_settings_take_the_same_texts(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[paper]\nmodel = "lean"\ncommission = "none"\nparticipation = 10\n')
    paper = load_settings(file, env={}).paper
    assert market_model(paper.choices) == replace(PRESETS["lean"], commission=FREE, participation=D(10))


def test_a_mistake_in_the_settings_is_told_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[paper]\ncommission = "percnt:1"\n')
    with pytest.raises(
        SettingsError, match=r"paper\.commission 'percnt:1': there is no kind 'percnt'; what the broker"
    ):
        load_settings(file, env={})
