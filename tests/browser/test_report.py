"""The report in a browser: no error, no overflow, every chart drawn; on a phone, at a desk, in the dark, on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.market import DAY, MINUTE, Bar
from appliance.research.analysis import Curves
from appliance.research.report.page import report
from appliance.research.results.tape import Tape
from tests.research.accounts import NOON, fill, marks, result, trade

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")

PAPER = 688
"""CSS pixels between the margins of A4."""
OURS = "willReadFrequently"
"""Reading a canvas back, as only this test does, is what the browser then warns of."""
DRAWN = """() => [...document.querySelectorAll('canvas')].map((canvas) => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let inked = 0;
  for (let at = 3; at < data.length; at += 4) inked += data[at] > 0;
  return inked;
})"""
WIDE = "() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every part: two years of days, two symbols, long names."""
    days, names = 500, ("SPY", "A_VERY_LONG_SYMBOL.WITH-DOTS")
    tape = Tape(NOON, NOON + days * DAY)
    for name in names:
        tape.note([_bar(name, day) for day in range(days)], ())
    entries = [fill(10 if at % 2 else -10, symbol=names[at % 4 // 2], day=4 * at) for at in range(100)]
    steps = [(at * 7919 % 23 - 10.5) / 1000 for at in range(days)]
    equity = [1000.0]
    for step in steps[1:]:
        equity.append(equity[-1] * (1 + step))
    times = [NOON + at * DAY for at in range(63, days)]
    made = result(
        tape=tape, entries=entries, trades=[trade(at % 9 - 4, names[at % 2], 4 * at) for at in range(50)],
        marks=[_mark(mark, at) for at, mark in enumerate(marks(*equity))],
        curves=Curves(
            steps, {(2013 + at // 12, at % 12 + 1): at / 300 for at in range(9, 25)}, {2013: 0.1, 2014: -0.2}, 63,
            times, [at % 7 - 3.0 for at, _ in enumerate(times)], [0.1 + at % 5 / 50 for at, _ in enumerate(times)],
        ),
    )  # fmt: skip
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_bytes(report(made))
    return file


def _bar(symbol: str, day: int) -> Bar:
    price = 100 + day % 50 + day / 10
    return Bar(symbol, "1d", NOON + day * DAY - MINUTE, NOON + day * DAY, price, price, price, price, 1_000.0)


def _mark(mark: Any, at: int) -> Any:
    return mark.__class__(
        mark.time, mark.equity, mark.lowest, mark.highest, mark.cash, 500.0 * (at % 3), -200.0 * (at % 2)
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any, page_file: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Any, list[str]]]:
    """The page at a width and in a scheme, and whatever it complained of or asked the network for."""
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on(
        "console", lambda message: said.append(f"{message.type}: {message.text}") if OURS not in message.text else None
    )
    page.on("request", lambda asked: said.append(f"request: {asked.url}") if asked.url.startswith("http") else None)
    page.goto(page_file.as_uri())
    page.wait_for_function("() => document.querySelectorAll('canvas').length >= 7")
    yield page, said
    page.close()


SIZES = [(390, "light"), (1280, "light"), (390, "dark"), (1280, "dark"), (320, "light")]


@pytest.mark.parametrize("opened", SIZES, indirect=True, ids=[f"{width} {scheme}" for width, scheme in SIZES])
def test_the_page_is_drawn_without_an_error_and_fits(opened: tuple[Any, list[str]]) -> None:
    page, said = opened
    assert said == []
    assert page.evaluate(WIDE) <= page.viewport_size["width"]
    inked = page.evaluate(DRAWN)
    assert len(inked) == 7
    assert min(inked) > 1_000, inked


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_what_lies_under_the_pointer_is_told(opened: tuple[Any, list[str]]) -> None:
    page, said = opened
    page.locator("#chart-equity .u-over").hover()
    told = page.locator("#chart-equity .tip").inner_text()
    assert "New York" in told
    assert "equity" in told
    assert "SPY held" in told
    assert said == []


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_a_line_of_equity_can_be_taken_out_to_see_the_other(opened: tuple[Any, list[str]]) -> None:
    page, said = opened
    both, benchmark = page.evaluate(DRAWN)[0], page.get_by_role("button", name="SPY held")
    assert benchmark.get_attribute("aria-pressed") == "true"
    benchmark.click()
    page.wait_for_function(f"() => ({DRAWN})()[0] !== {both}")
    assert benchmark.get_attribute("aria-pressed") == "false"
    benchmark.click()
    page.wait_for_function(f"() => ({DRAWN})()[0] === {both}")
    assert said == []


@pytest.mark.parametrize("opened", [(1280, "dark")], indirect=True)
def test_a_narrower_window_and_paper_are_drawn_again(opened: tuple[Any, list[str]]) -> None:
    page, said = opened
    page.set_viewport_size({"width": 420, "height": 800})
    page.wait_for_function("() => document.querySelector('#chart-equity canvas').getBoundingClientRect().width < 420")
    assert page.evaluate(WIDE) <= 420
    assert min(page.evaluate(DRAWN)) > 1_000
    page.emulate_media(media="print")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": PAPER, "height": 900})
    assert page.evaluate(WIDE) <= PAPER
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert min(page.evaluate(DRAWN)) > 1_000
    assert len(page.pdf(format="A4")) > 20_000
    assert said == []


@pytest.mark.parametrize("opened", [(1280, "light")], indirect=True)
def test_every_chart_says_in_words_what_it_shows(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    words = page.eval_on_selector_all("[role=img]", "found => found.map((one) => one.getAttribute('aria-label'))")
    assert len(words) == 8
    assert all(len(one) > 20 for one in words)
    assert page.evaluate("() => document.querySelectorAll('section:not([aria-label])').length") == 0
