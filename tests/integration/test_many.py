"""Many strategies on many symbols: each hears every bar once and in order, also where its host is killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.shell.paths import StatePaths
from tests.bench import many
from tests.integration.driving import account, portfolios, traded

SYMBOLS, MINUTES = 10, 120
BARS = [(end, symbol) for end in range(1, 13) for symbol in range(3)]


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "each host killed"])
def test_every_strategy_hears_every_bar_once_and_in_order(tmp_path: Path, killed: bool) -> None:
    paths, file = StatePaths(tmp_path / "state"), tmp_path / "bars.csv"
    many.write_data(file, SYMBOLS, MINUTES)
    apart = [replace(one, name=f"own{n}") for n, one in enumerate(many.strategies(3, SYMBOLS, 0))]
    of = (*many.strategies(20, SYMBOLS, 2), *apart)
    spec = many.recorded(file, of)
    kills = {150 * n: f"host@{host}" for n, host in enumerate(spec.hosts, 1)} if killed else {}
    figures = traded(paths, spec, kills)
    expected = many.heard_of(file)
    assert expected[0] == SYMBOLS * MINUTES == figures.bars
    assert many.faults(paths, of, expected) == []
    assert figures.record.fills > 20
    held = {symbol: quantity for symbol, quantity in figures.record.positions.items() if quantity}
    assert account(paths) == (figures.cash, held)
    assert len(portfolios(paths, spec)) == 23


@given(at=st.integers(0, len(BARS) - 1), other=st.integers(0, len(BARS) - 1))
def test_the_number_tells_a_missing_a_double_and_a_misplaced_bar(at: int, other: int) -> None:
    good = many.number_of(BARS)
    assert many.number_of(BARS[:at] + BARS[at + 1 :]) != good
    assert many.number_of([*BARS[: at + 1], *BARS[at:]])[1] != good[1]
    swapped = list(BARS)
    swapped[at], swapped[other] = swapped[other], swapped[at]
    assert (many.number_of(swapped) == good) == (at == other)
