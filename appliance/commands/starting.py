"""`appliance strategy new`: a commented starting point with its test, both of which pass as they are."""

from __future__ import annotations

import re
from pathlib import Path

import click

from appliance.errors import EnvironmentFault, UsageError

NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")

STRATEGY = '''\
"""What the idea is, in a few sentences: when it buys, when it sells, why that should earn something. What data it needs
(bars of one symbol). What the risk is: this one loses a little, again and again, when the price goes sideways.
"""

from appliance.strategy import Strategy, param


class {title}(Strategy):
    """Long while the price is above its average."""

    # Parameters: a type, a default, a range. `--param window=50` sets one; a live one can be changed while it runs:
    # `appliance strategy set {name} shares=20`. In a parameter called symbol stands what it hears of.
    symbol: str = param("SPY", help="what to trade")
    window: int = param(20, low=2, high=400, help="bars in the average")
    shares: int = param(10, low=1, high=10_000, live=True, help="how many to hold")

    def on_start(self):
        # Indicators are made here and fed before on_bar: self.sma, ema, rsi, atr, stdev, highest, lowest, …
        self.average = self.sma(self.symbol, self.window)
        # What changes later is kept in self.state, which survives a restart; any other attribute would be lost.
        self.state["entries"] = 0

    def on_bar(self, bar):
        if not self.average.ready:  # too few bars so far
            return
        held = self.position(bar.symbol)
        if bar.close > self.average.value and held == 0:
            self.state["entries"] += 1
            # target says what to hold, not what to order; stop_loss is a protective stop price in USD.
            loss = round(bar.close * 0.95, 2)
            self.target(bar.symbol, quantity=self.shares, reason=f"entry {{self.state['entries']}}", stop_loss=loss)
        elif bar.close < self.average.value and held > 0:
            self.target(bar.symbol, quantity=0, reason="below the average")
'''

TEST = '''\
"""{title} does what it says, and does not deceive itself. Run it with `python -m pytest` and the path of this file."""

from decimal import Decimal
from pathlib import Path

from appliance.domain.market import MINUTE, Bar
from appliance.research.checks import check
from appliance.research.subject import Subject

FILE = Path(__file__).parents[1] / "{name}.py"


def made(**params):
    """The strategy with some parameters."""
    return Subject("{name}", str(FILE), FILE.read_text(), params=params)


def trade(runner, closes):
    """The wishes on bars with these closes, each with the number of its bar; every wish is granted at once."""
    found = []
    for number, close in enumerate(closes):
        start = number * MINUTE
        bar = Bar("SPY", "1m", start, start + MINUTE, close, close, close, close, 100.0)
        for wish in runner.bar(bar, bar.end):
            runner.set_position(wish.symbol, wish.quantity)
            found.append((number, wish.quantity))
    return found


def test_it_buys_above_the_average_and_sells_below_it():
    runner = made(symbol="SPY", window="3", shares="5")()
    runner.start(0)
    assert trade(runner, [10, 10, 10, 11, 12, 12, 9, 9]) == [(3, Decimal(5)), (6, Decimal(0))]


def test_it_passes_every_check():
    assert check(made()).failures == []
'''


@click.command()
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("strategies"),
    show_default=True,
    help="where strategies are; its test goes into tests/ below it",
)
def new(name: str, folder: Path) -> None:
    """Write FOLDER/NAME.py, a commented starting point, and its test FOLDER/tests/test_NAME.py.

    Both work as they are. What is there is never overwritten.

    \b
      appliance strategy new my_rule
      appliance strategy check strategies/my_rule.py
      python -m pytest strategies/tests
    """
    title = _title(name)
    file, test = folder / f"{name}.py", folder / "tests" / f"test_{name}.py"
    for path in (file, test):
        if path.exists():
            raise UsageError(f"{path} is there already", hint="choose another name, or remove it first")
    _write(file, STRATEGY.format(title=title, name=name))
    _write(test, TEST.format(title=title, name=name))
    click.echo(f"wrote {file} and {test}\nnext: appliance strategy check {file}")


def _title(name: str) -> str:
    """The class's name. Raises UsageError when the strategy's is not allowed."""
    title = "".join(part.capitalize() for part in name.split("_"))
    if not NAME.fullmatch(name) or title in ("Strategy", "Bar"):
        raise UsageError(
            f"strategy name {name!r} is not allowed",
            hint="1 to 24 characters out of a-z, 0-9 and _, the first a letter, for instance my_rule",
        )
    return title


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            file.write(text)
    except OSError as error:
        raise EnvironmentFault(
            f"{path}: {error.strerror or error}", hint="choose another place: --folder DIR"
        ) from None
