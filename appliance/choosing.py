"""A market model as an owner writes it: a preset's name, and single choices such as ``percent:0.2``.

The same texts on the command line and in the settings' ``[paper]``. A choice is a kind, and after a colon its values in
order or by name: ``per-share:0.005,minimum=1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from appliance.core.metrics.latency import Histogram
from appliance.core.models import PRESETS, MarketModel
from appliance.core.models.commission import FREE, Alpaca, Commission, MakerTaker, Percent
from appliance.core.models.impact import Almgren, Linear, NoImpact, SquareRoot
from appliance.core.models.latency import Delay, Drawn
from appliance.core.models.sizing import Sizing
from appliance.core.models.slippage import (
    Fixed,
    NoSlippage,
    Proportional,
    Spread,
    Ticks,
    Volatility,
    VolumeShare,
)
from appliance.errors import UsageError

Kind = type[Struct] | Struct


class Choice(Struct, frozen=True):
    """One thing to choose: what it is ``about``, the ``kinds`` by name (one that takes values, or one that is made),
    and an ``example``."""

    about: str
    kinds: dict[str, Kind]
    example: str


KINDS: dict[str, Choice] = {
    "commission": Choice(
        "what the broker charges",
        {"per-share": Commission, "ib": Commission(), "percent": Percent, "maker-taker": MakerTaker, "alpaca": Alpaca,
         "none": FREE},
        "percent:0.2",
    ),
    "slippage": Choice(
        "what is paid beyond the price that was met",
        {"none": NoSlippage(), "fixed": Fixed, "ticks": Ticks, "percent": Proportional, "spread": Spread,
         "volume-share": VolumeShare, "volatility": Volatility},
        "ticks:1",
    ),
    "impact": Choice(
        "how far large orders move the price",
        {"none": NoImpact(), "square-root": SquareRoot, "linear": Linear, "almgren": Almgren},
        "square-root:1",
    ),
    "sizing": Choice(
        "how many shares a weight is",
        {"whole": Sizing(), "lean": Sizing(Decimal("0.25"), "equity"), "all-in": Sizing(commission="order"),
         "rule": Sizing},
        "lean",
    ),
    "latency": Choice(
        "how long an order is on its way: milliseconds, or drawn from a recorded histogram",
        {"fixed": Delay, "drawn": Drawn},
        "fixed:50",
    ),
}  # fmt: skip
"""Choices between kinds with values of their own, by the field of ``MarketModel``."""
RULES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "market_fill": ("market", "when a market order fills", ("next-event", "at-once")),
    "limit_fill": ("limit", "what fills a limit", ("through", "touch")),
    "bar_fill": ("bars", "which bars an order can meet whole", ("begun", "ended")),
    "trailing_fill": ("trailing", "where a trailing stop is tested", ("open", "close")),
    "stop_limit_fill": ("stop_limit", "when a stop-limit fills once it is hit", ("next", "close")),
    "slippage_bound": ("bound", "where slippage ends", ("range", "none")),
}
"""Choices between words, by the name of the option: the field of ``Fills``, what it is about, the words."""
FEEDS = ("first", "quotes", "trades")
NUMBERS: dict[str, tuple[str, Decimal]] = {
    "participation": ("percent of an event's volume that is filled at most", Decimal(100)),
    "borrow": ("fee for borrowed shares, percent a year", Decimal(1_000)),
    "margin_interest": ("interest on borrowed money, percent a year", Decimal(1_000)),
}
"""Choices of a number above 0 (``off`` for none, and 0 for a rate), by the name of the option: what it is, the most."""
NAMES = ("model", *KINDS, *RULES, "fill_on", *NUMBERS)
"""Every option, as the settings write it; the command line has dashes."""


def explained(name: str) -> str:
    """What an option is about, what is allowed and an example, for a help text."""
    if name == "model":
        return f"fill rules, costs and sizing together: {', '.join(PRESETS)}"
    if name in KINDS:
        choice = KINDS[name]
        return f"{choice.about}: {', '.join(choice.kinds)}; such as {choice.example}"
    if name in RULES:
        return f"{RULES[name][1]}: {', '.join(RULES[name][2])}"
    if name == "fill_on":
        return f"which events fill orders where a symbol has quotes and trades: {', '.join(FEEDS)}"
    return f"{NUMBERS[name][0]}; off for none"


def words(name: str) -> tuple[str, ...]:
    """What a text of an option can begin with."""
    if name == "model":
        return tuple(PRESETS)
    if name in KINDS:
        return tuple(KINDS[name].kinds)
    if name in RULES:
        return tuple(RULES[name][2])
    return tuple(FEEDS) if name == "fill_on" else ("off",)


def market_model(chosen: Mapping[str, str], dashes: bool = False) -> MarketModel:
    """The model of these texts by name; "" and what is absent is as the preset has it. Raises UsageError that names the
    choice (``dashes``: as an option of the command line), its value and what is allowed."""
    given = {name: text.strip() for name, text in chosen.items() if text and text.strip()}
    model = PRESETS.get(given.pop("model", "pessimistic"))
    if model is None:
        option = _option("model", dashes)
        raise UsageError(f"{option} {chosen['model']!r}: there is no such model", hint=f"one of {', '.join(PRESETS)}")
    for name, text in given.items():
        try:
            model = _chosen(model, name, text)
        except ValueError as error:
            raise UsageError(f"{_option(name, dashes)} {text!r}: {error}", hint=explained(name)) from None
    return model


def _option(name: str, dashes: bool) -> str:
    return "--" + name.replace("_", "-") if dashes else name


def _chosen(model: MarketModel, name: str, text: str) -> MarketModel:
    if name in KINDS:
        return replace(model, **{name: _made(name, text)})
    if name in RULES:
        field, _, words = RULES[name]
        return replace(model, fills=replace(model.fills, **{field: _word(text, words)}))
    if name == "fill_on":
        feed = _word(text, FEEDS)
        return replace(model, fills=replace(model.fills, market_on=feed, resting_on=feed, trailing_on=feed))
    number = _number(name, text)
    if name == "participation":
        return replace(model, participation=number or None)
    field = {"borrow": "borrow_percent", "margin_interest": "margin_percent"}[name]
    return replace(model, financing=replace(model.financing, **{field: number}))


def _word(text: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise ValueError("it is not one of them")
    return text.replace("-", "_")


def _number(name: str, text: str) -> Decimal:
    most = NUMBERS[name][1]
    try:
        number = Decimal(0) if text == "off" else Decimal(text)
    except ArithmeticError:
        raise ValueError("it is not a number") from None
    if not (number.is_finite() and 0 <= number <= most):
        raise ValueError(f"it must be from 0 to {most}")
    if name == "participation" and number == 0 and text != "off":
        raise ValueError("nothing would ever be filled")
    return number


def _made(name: str, text: str) -> Struct:
    head, _, rest = text.partition(":")
    kind = KINDS[name].kinds.get(head)
    if kind is None:
        raise ValueError(f"there is no kind {head!r}")
    if isinstance(kind, Struct):
        if rest:
            raise ValueError(f"{head} takes no values")
        return kind
    if kind is Drawn:
        return _drawn(rest)
    return _converted(head, kind, _values(head, kind, rest))


def _values(head: str, kind: type[Struct], rest: str) -> dict[str, str]:
    fields = kind.__struct_fields__
    values: dict[str, str] = {}
    for place, item in enumerate(part.strip() for part in rest.split(",") if part.strip()):
        key, equals, value = item.rpartition("=")
        field = key.strip().replace("-", "_") if equals else fields[place] if place < len(fields) else ""
        if field not in fields:
            allowed = ", ".join(one.replace("_", "-") for one in fields)
            raise ValueError(f"{head} has no value for {item!r}; it takes {allowed}")
        if field in values:
            raise ValueError(f"{head} gets {field.replace('_', '-')} twice")
        values[field] = value.strip()
    return values


def _converted(head: str, kind: type[Struct], values: dict[str, str]) -> Struct:
    try:
        tag = kind.__struct_config__.tag
        made = msgspec.convert(values if tag is None else {"type": tag, **values}, kind, strict=False)
    except msgspec.ValidationError as error:
        text = str(error).replace("Object missing required field", "it misses").replace("`", "")
        raise ValueError(f"{head}: {text.partition(' - at ')[0].lower()}") from None
    for field in kind.__struct_fields__:
        value: Any = getattr(made, field)
        if isinstance(value, float | Decimal) and not (isfinite(value) and 0 <= value < 10**9):
            raise ValueError(f"{head}: {field.replace('_', '-')} {value} must be 0 or more, and finite")
    return made


def _drawn(rest: str) -> Drawn:
    """Latencies of a recorded histogram: JSON ``{"counts": {bucket: n}, …}`` as ``Histogram`` has it."""
    name, _, seed = rest.partition(",seed=")
    try:
        histogram = msgspec.json.decode(Path(name).read_bytes(), type=Histogram)
        recorded = histogram.values()
        return Drawn(recorded, int(seed or 1)) if recorded else _no_latencies(name)
    except (OSError, msgspec.MsgspecError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{name or 'no file'}: {why}; name a histogram's JSON file: drawn:FILE[,seed=1]") from None


def _no_latencies(name: str) -> Drawn:
    raise ValueError(f"{name}: there are no latencies in it")
