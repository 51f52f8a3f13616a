"""The reports of a sweep, a walk-forward and a Monte Carlo in a browser: no error, no overflow, phone and desk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from appliance.data.options import FileOptions
from appliance.research import monte_carlo
from appliance.research.results.inputs import Inputs
from appliance.research.results.running import Plan
from appliance.research.statistics.resampling import resampled_returns
from appliance.research.sweep import forward_page, page
from appliance.research.sweep.axes import axes
from appliance.research.sweep.board import Aim
from appliance.research.sweep.forward import Forward, Step
from appliance.research.sweep.job import Job, Varied
from appliance.research.sweep.windows import Window
from appliance.runs import StrategySpec
from tests.research.accounts import marks
from tests.research.sweep.boards import ranked

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")
SYMBOLS = ("SPY", "A_VERY_LONG_SYMBOL.WITH-DOTS")
GRIDS = ["fast=5:100:5", "a_parameter_with_a_long_name=10:300:10", "mode=long,short"]
WIDE = "() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"


def sweep_page() -> bytes:
    """1,200 combinations over three axes, some of which raised."""
    figures: list[Any] = [
        f"it raised <b>{at}</b>" if at % 97 == 0 else {"sharpe": at * 7919 % 301 / 100 - 1, "trades": 12.0, "cagr": 0.1,
                                                        "periods": 252.0, "days": 500.0, "fees": 1234.5}
        for at in range(20 * 30 * 2)
    ]  # fmt: skip
    plan = Plan(StrategySpec("mine", "mine.py"), ("data.csv",), cash=Decimal(1_000), files=FileOptions(symbols=SYMBOLS))
    job = Job(plan, Varied(axes(GRIDS), ("fast < 200",)), Inputs("a" * 64, "b", {"data.csv": "c" * 64}, "", "d", {}))
    return page.report(job, ranked(GRIDS, figures, Aim(where=("trades > 1",))))


def forward_pages() -> bytes:
    """Twelve windows, in one of which nothing was chosen."""
    windows = [Window(date(2000 + at, 1, 1), date(2001 + at, 12, 31), date(2002 + at, 1, 1), date(2002 + at, 12, 31))
               for at in range(12)]  # fmt: skip
    steps = tuple(
        Step(one, None if at == 3 else {"fast": "10", "a_parameter_with_a_long_name": "200"}, 1.5, 0.2, -0.3, 0.01,
             1_000.0, 1_010.0 - at, 7)
        for at, one in enumerate(windows)
    )  # fmt: skip
    path = tuple(marks(*(1_000.0 + at % 50 for at in range(600))))
    figures = {"cagr": 0.05, "sharpe": 0.4, "max_drawdown": -0.2, "trades": 84.0}
    return forward_page.report("mine", "fast=5,10", Forward(Aim(), steps, path, figures, 0.2, 0.4))


def chance_page() -> bytes:
    """A thousand runs of two hundred days."""
    found = resampled_returns([(at * 7919 % 23 - 10.5) / 300 for at in range(200)], 1_000.0, 1_000, ruin=0.1)
    return monte_carlo.report(monte_carlo.Chance("mine", 1_000.0, found))


PAGES = {"sweep": sweep_page, "walk-forward": forward_pages, "monte-carlo": chance_page}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_the_page_has_no_error_asks_nobody_and_fits(browser: Any, tmp_path: Path, name: str, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(PAGES[name]())
    shown = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    shown.on("pageerror", lambda error: said.append(f"error: {error}"))
    shown.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    shown.on("request", lambda asked: said.append(asked.url) if asked.url.startswith("http") else None)
    shown.goto(file.as_uri())
    if name == "walk-forward":
        shown.wait_for_function("() => document.querySelectorAll('canvas').length >= 1")
    assert said == []
    assert shown.evaluate(WIDE) <= width
    assert shown.locator("h1").inner_text().startswith("mine")
    shown.close()


def test_every_combination_that_counts_has_its_cell(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(sweep_page())
    shown = browser.new_page()
    shown.goto(file.as_uri())
    assert shown.locator("#map-fast-a_parameter_with_a_long_name tbody td").count() == 20 * 30
    assert shown.locator("#map-fast-mode tbody td").count() == 20 * 2
    assert shown.locator("#findings .finding").count() >= 3
    assert shown.locator("#findings b b").count() == 0  # what a strategy says is text
    assert shown.locator("#top tbody tr").count() == 25
    shown.close()
