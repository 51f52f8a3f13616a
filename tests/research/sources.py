"""Strategies under the lens, made of a few lines."""

from __future__ import annotations

from pathlib import Path

from appliance.research.subject import Subject

PLANTED = Path(__file__).parent / "planted"
STRATEGIES = Path(__file__).parents[2] / "strategies"


def planted(name: str, **params: str) -> Subject:
    """A strategy file with a fault in it."""
    return of_file(PLANTED / f"{name}.py", **params)


def of_file(path: Path, **params: str) -> Subject:
    """A strategy file."""
    return Subject(path.stem, str(path), path.read_text(), params=params)


def written(on_bar: str, on_start: str = "pass", top: str = "", symbol: str = "SPY") -> Subject:
    """A strategy whose hooks are a few lines each."""
    start, bar = ("\n        ".join(lines.splitlines()) for lines in (on_start, on_bar))
    source = (
        f"from appliance.strategy import Strategy, param\n{top}\n\nclass Mine(Strategy):\n"
        f"    symbol: str = param({symbol!r})\n\n"
        f"    def on_start(self):\n        {start}\n\n    def on_bar(self, bar):\n        {bar}\n"
    )
    return Subject("mine", "mine.py", source)
