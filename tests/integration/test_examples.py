"""Every example trades: recorded data through backtest and box alike, and a simulated market as the backtest of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.domain import wire
from appliance.domain.market import Bar
from appliance.domain.messages import Event, EventType
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from appliance.shell import audit
from appliance.shell.paths import StatePaths
from appliance.world.backtest import Backtest
from tests.integration.conftest import LIVE
from tests.integration.running import STRATEGIES, Box, appliance, orders_of, until

MINUTES = ("equity_1min_bars", "--bar-stamp", "start")
DAYS = ("equity_daily",)
ADJUSTED = "equity_factors.csv.gz"
RECORDED: dict[str, tuple[str, ...]] = {
    "sma_cross": (*MINUTES, "--start", "2013-10-08", "--end", "2013-10-08"),
    "rsi_reversion": (*MINUTES, "--start", "2013-10-08", "--end", "2013-10-08"),
    "bollinger": (*MINUTES, "--start", "2013-10-09", "--end", "2013-10-09"),
    "opening_range": (*MINUTES, "--start", "2013-10-07", "--end", "2013-10-08"),
    "pairs": (*MINUTES, "--start", "2013-10-11", "--end", "2013-10-11"),
    "donchian_breakout": (*DAYS, "--start", "2013-01-02", "--end", "2014-06-30"),
    "momentum_rotation": (*DAYS, "--start", "2009-06-01", "--end", "2010-09-30"),
    "buy_and_hold": (*DAYS, "--start", "2014-06-02", "--end", "2015-03-31"),
}
"""Real data for each: the file and the dates."""


@pytest.mark.parametrize("name", RECORDED)
def test_an_example_trades_real_data_alike_in_backtest_and_box(box: Box, real_data: Path, name: str) -> None:
    file, *dates = RECORDED[name]
    data = ("--data", real_data / f"{file}.csv.gz", "--factors", real_data / ADJUSTED, *dates)
    wanted = box.folder / "backtest.jsonl"
    tested = appliance("backtest", STRATEGIES / f"{name}.py", *data, "--orders-out", wanted, "--json")
    assert tested.code == 0, tested
    assert tested.json["fills"] >= 2
    assert tested.json["denied"] == 0
    done = box.finish(*data, "--strategy", STRATEGIES / f"{name}.py", "--speed", "max")
    assert done.code == 0, done
    assert len(orders_of(wanted)) == tested.json["intents"]
    assert box.orders.read_bytes() == wanted.read_bytes()


# --- live -------------------------------------------------------------------------------------------------------------

SOON, LATER, END = 16, 18, 36
"""Seconds from the start of the box to the beginning, the end and the leaving of the "opening" range."""
EIGHTH = Decimal("12500.00")
"""What each of eight strategies is allotted of 100,000 USD."""
SIZED_BY_EQUITY = ("momentum-rotation",)
"""Sizes later positions by what earlier fills have left: a cent in a fill may be a share in the next order."""
QUICK: dict[str, dict[str, str]] = {
    "sma-cross": {"symbol": "ALFA", "fast": "2", "slow": "5"},
    "rsi-reversion": {
        "symbol": "CHLE", "shares": "10", "period": "2", "oversold": "49", "leave": "50", "loss": "50", "gain": "200",
    },
    "bollinger": {"symbol": "BRVO", "shares": "10", "window": "5", "width": "0.5", "loss": "20"},
    "donchian-breakout": {"symbol": "CHLE", "entry": "2", "leave": "2", "period": "2", "ranges": "20", "risk": "20"},
    "momentum-rotation": {"symbols": "ALFA,BRVO,CHLE", "timeframe": "2s", "lookback": "1"},
    "pairs": {
        "symbol": "ALFA", "other": "CHLE", "period": "5", "entry": "0.5", "leave": "0", "give_up": "20",
        "amount": "2000",
    },
    "opening-range": {
        "symbol": "CHLE", "shares": "10", "widths": "20", "begin": "{soon}", "ready": "{later}", "leave": "{end}",
    },
    "buy-and-hold": {"symbols": "ALFA,BRVO,CHLE", "look": "{soon}"},
}  # fmt: skip
"""Parameters with which each trades within seconds on bars of one second."""


class Asked(NamedTuple):
    """An order a strategy asked for."""

    symbol: str
    side: str
    quantity: Decimal
    cause: str = ""


class Seen:
    """What a strategy heard and asked for, as its host's journal has it.

    ``timely`` is how many of its orders were decided before a fill came later than the next bar: from then on the box
    knew less than a backtest does.
    """

    def __init__(self, name: str) -> None:
        self.bars: list[Bar] = []
        self.asked: list[Asked] = []
        self.timely: int | None = None
        self._name = name
        self._before = 0  # orders decided before the last bar
        self._waiting: dict[str, int] = {}  # orders without a fill so far, and when (ns UTC) they were decided

    def note(self, event: Event) -> None:
        """Take what the host heard or said next."""
        body: Any = event.body
        if event.type is EventType.BAR:
            self.bars.append(body)
            self._before = len(self.asked)
            if self.timely is None and any(decided < body.end for decided in self._waiting.values()):
                self.timely = len(self.asked)
        elif event.type is EventType.INTENT and body.strategy == self._name:
            self.asked.append(Asked(body.symbol, body.side.value, body.quantity, body.cause))
            self._waiting[body.id] = self.bars[-1].end
        elif event.type is EventType.FILL:
            self._waiting.pop(body.order_id, None)

    def compared(self) -> tuple[list[Asked], bool]:
        """The orders a backtest of these bars asks for too, and whether it asks for no others.

        What was decided on fills after the last bar is left out: in a backtest they come with the bar that did not.
        """
        if self.timely is not None:
            return self.asked[: self.timely], False
        after = [one for one in self.asked[self._before :] if not one.cause.startswith("gateway/")]
        return [*self.asked[: self._before], *after], True


@pytest.fixture(scope="module")
def parameters() -> dict[str, dict[str, str]]:
    """``QUICK`` with times of day that are soon."""
    began = time.time()
    names = {"soon": SOON, "later": LATER, "end": END}
    times = {name: time.strftime("%H:%M:%S", time.gmtime(began + after)) for name, after in names.items()}
    return {name: {key: value.format(**times) for key, value in given.items()} for name, given in QUICK.items()}


@pytest.fixture(scope="module")
def traded(parameters: dict[str, dict[str, str]], boxes: Callable[..., Box]) -> StatePaths:
    """The state of a box in which all eight have traded a simulated market, four to a host."""
    began = time.monotonic()
    box = boxes("examples", LIVE)
    settings = box.folder / "settings.toml"
    settings.write_text("\n".join(_settings(parameters)))
    box.up("--settings", settings).ready()
    assert time.monotonic() - began < SOON, "the box was too slow for the times of day the examples were given"
    until(lambda: time.monotonic() - began > END + 3, END + 10, "the last timer is due")
    done = box.interrupt()
    assert done.code == 0, done
    return StatePaths(box.state)


def _settings(parameters: dict[str, dict[str, str]]) -> Iterator[str]:
    for index, (name, given) in enumerate(parameters.items()):
        yield f'[[strategies]]\nname = "{name}"\ngroup = "group-{index % 2}"'
        yield f'file = "{_file(name)}"\n[strategies.params]'
        yield from (f'{key} = "{value}"' for key, value in given.items())


def _said(paths: StatePaths, process: str) -> dict[str, Event]:
    """What a process said, by position."""
    with closing(audit.opened(paths.journal(process))) as journal:
        return {line.position: wire.decode(line.payload) for line in audit.lines(journal) if line.kind == "out"}


def _seen(paths: StatePaths, name: str, host: str) -> Seen:
    """The journal of its host, read again; of what others said it has the position alone."""
    others = _said(paths, "feed") | _said(paths, "gateway")
    seen = Seen(name)
    with closing(audit.opened(paths.journal(host))) as journal:
        for line in audit.lines(journal):
            event = others.get(line.position) if line.kind == "in" else wire.decode(line.payload)
            if event is not None:
                seen.note(event)
    return seen


@pytest.mark.parametrize(("index", "name"), [*enumerate(QUICK)], ids=QUICK)
def test_an_example_asks_live_for_the_orders_of_its_backtest(
    traded: StatePaths, parameters: dict[str, dict[str, str]], index: int, name: str
) -> None:
    seen = _seen(traded, name, f"host@group-{index % 2}")
    live, whole = seen.compared()
    assert live
    spec = StrategySpec(name, str(_file(name)), params=parameters[name])
    run = Backtest(name, (runner_factory(spec),), rules(LimitValues()), EIGHTH, MarketModel())
    run.run(seen.bars)
    tested = [Asked(row["symbol"], row["side"], Decimal(row["quantity"])) for row in run.record.rows()]
    assert [one[:2] for one in live] == [one[:2] for one in (tested if whole else tested[: len(live)])]
    for one, other in zip(live, tested, strict=False):
        tolerance = 1 + other.quantity / 100 if name in SIZED_BY_EQUITY else 0
        assert abs(one.quantity - other.quantity) <= tolerance


def _file(name: str) -> Path:
    return STRATEGIES / f"{name.replace('-', '_')}.py"
