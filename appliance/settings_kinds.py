"""What the owner's settings are made of: the kinds of values, and the section they are in."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from appliance.domain.market import RECORDED

OFF = "off"
"""What an owner writes for a limit he does not want checked."""


def _commas(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _off(value: object) -> object:
    return None if value == OFF else value


def _speed(value: str) -> str:
    if value != "max" and not (value.replace(".", "", 1).isdecimal() and float(value) > 0):
        raise ValueError("must be 'max' or a number above 0, how many times real time")
    return value


def _timeframe(value: str) -> str:
    if value not in RECORDED:
        raise ValueError(f"must be one of {', '.join(RECORDED)}")
    return value


def _parameter(value: object) -> bool | int | float | str:
    """TOML's fractions are read as Decimal, because money is counted; a strategy's parameters are not money."""
    if isinstance(value, Decimal) and value.is_finite():
        return float(value)
    if isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    raise ValueError("must be true, false, a number or a text")


def _text(value: object) -> object:
    """A number may stand where a text does: ``participation = 10``."""
    return str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


_NAME, _SYMBOL = r"^[a-z0-9][a-z0-9-]*$", r"^[A-Z0-9][A-Z0-9./\-]*$"
_URL, _CLOCK = r"^((https?|wss?)://[^/\s]+(/[^\s]*[^/\s])?)?$", r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
IN_WORDS = {
    _URL: "an address such as https://paper-api.alpaca.markets, without a / at its end",
    _CLOCK: "a time of the day such as 23:45",
    _NAME: "small letters, digits and -, such as alpaca-iex",
    _SYMBOL: "capital letters, digits and . / -, such as SPY, BRK.B or BTC/USD",
}
"""What a pattern asks for."""
Name = Annotated[str, Field(pattern=_NAME, max_length=32)]
Symbol = Annotated[str, Field(pattern=_SYMBOL, max_length=24)]
Symbols = Annotated[tuple[Symbol, ...], BeforeValidator(_commas)]
Url = Annotated[str, Field(pattern=_URL)]
ClockTime = Annotated[str, Field(pattern=_CLOCK)]
Files = Annotated[tuple[str, ...], BeforeValidator(_commas)]
Speed = Annotated[str, BeforeValidator(str), AfterValidator(_speed)]
Timeframe = Annotated[str, AfterValidator(_timeframe)]
Parameter = Annotated[Any, BeforeValidator(_parameter)]
Limit = Annotated[Annotated[Decimal, Field(gt=0)] | None, BeforeValidator(_off)]
Money = Annotated[Decimal, Field(ge=0)]
Seconds = Annotated[Decimal, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1_000)]
Words = Annotated[str, BeforeValidator(_text)]


class Section(BaseModel):
    """A table of the file: no key is unknown, no value changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
