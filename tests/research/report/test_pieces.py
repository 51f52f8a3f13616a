"""The parts a page is made of: escaping, thinning, places on an axis, bars and maps."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.research.report.html import Html, join, page, script_json, table, tag
from appliance.research.report.pictures import bins, flow, heat_map, histogram
from appliance.research.report.series import place, thinned

EVIL = "</script><script>alert(1)</script>\"'&"


def test_text_is_escaped_wherever_it_stands() -> None:
    made = tag("p", EVIL, tag("b", EVIL), title=EVIL) + table((EVIL,), [(EVIL,)])
    assert "<script" not in made
    assert made.count("&lt;script&gt;") == 5


def test_what_is_html_already_is_not_escaped_twice() -> None:
    assert join("<", Html("<br>"), tag("i", "&")) == "&lt;<br><i>&amp;</i>"


def test_data_in_a_script_cannot_end_it() -> None:
    told = script_json({"label": EVIL})
    assert "<" not in told
    assert json.loads(told) == {"label": EVIL}


def test_numbers_that_are_none_never_reach_the_page() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        script_json([float("nan")])


def test_a_page_brings_everything_along() -> None:
    whole = page(EVIL, tag("main", EVIL), [{"id": "a"}]).decode()
    assert not re.findall(r'(?:src|href)="(?!#|data:)', whole)
    assert "url(" not in whole
    assert "default-src 'none'" in whole
    assert "uPlot" in whole
    assert whole.count("<script") == whole.count("</script>") == 3


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5_000), st.integers(10, 200))
def test_thinning_keeps_ends_and_extremes(values: list[float], points: int) -> None:
    kept = thinned(values, points)
    shown = [values[at] for at in kept]
    assert kept == sorted(set(kept))
    assert len(kept) <= max(points, 10) + 2
    assert (shown[0], shown[-1], min(shown), max(shown)) == (values[0], values[-1], min(values), max(values))


def test_thinning_keeps_what_it_is_told_to() -> None:
    assert 777 in thinned([0.0] * 5_000, 100, keep=(777,))


def test_a_time_lies_between_its_neighbours_by_its_part() -> None:
    assert [place([10, 20, 40], time) for time in (5, 10, 15, 30, 40, 99)] == [0.0, 0.0, 0.5, 1.5, 2.0, 2.0]


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=300))
def test_bars_hold_every_value_and_none_holds_gains_and_losses_both(values: list[float]) -> None:
    low, step, counts = bins(values)
    assert sum(counts) == len(values)
    edges = [low + at * step for at in range(len(counts) + 1)]
    assert min(abs(edge) for edge in edges) < step * 1e-6
    assert low <= min(values) + step * 1e-6
    assert edges[-1] >= max(values) - step * 1e-6


def test_a_histogram_tells_its_numbers_in_words() -> None:
    drawn = histogram([0.01, -0.02, 0.03])
    assert 'aria-label="3 daily returns from −2.00 % to 3.00 %, mean 0.667 %"' in drawn
    counted = [int(found) for found in re.findall(r"%: (\d+)</title>", drawn)]
    assert sum(counted) == 3


def test_a_map_of_months_has_a_cell_for_each_and_none_where_there_is_none() -> None:
    drawn = heat_map({(2013, 10): 0.012, (2013, 12): -0.03, (2014, 1): 0.0}, {2013: -0.018, 2014: 0.0})
    rows = re.findall(r"<tr>(.*?)</tr>", drawn)
    assert [re.findall(r">([^<>]+)</t[dh]>", row) for row in rows[1:]] == [
        ["2014", "0.0", "0.0"],
        ["2013", "1.2", "−3.0", "−1.8"],
    ]
    assert drawn.count('class="plus"') == drawn.count('class="minus"') == 1


def test_bars_of_money_begin_where_the_one_before_ended() -> None:
    drawn = flow([("prices", 100.0, "100"), ("fees", -40.0, "-40"), ("left", 60.0, "60")])
    assert re.findall(r"--x:([\d.]+)%;--w:([\d.]+)%", drawn) == [
        ("0.00", "100.00"),
        ("60.00", "40.00"),
        ("0.00", "60.00"),
    ]


def test_months_without_any_change_are_drawn_without_colour() -> None:
    assert "plus" not in heat_map({(2020, 1): 0.0}, {})
    assert histogram([0.0, 0.0]).count("<rect") == 1
