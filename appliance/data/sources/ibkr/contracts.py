"""Symbols as IB's contracts; one of no known form is a mistake in the question."""

from __future__ import annotations

from typing import Any

from appliance.clients import ibkr
from appliance.errors import DataError


def spec(symbol: str) -> ibkr.Spec:
    """What a symbol names. Raises DataError for one of no known form."""
    try:
        return ibkr.spec(symbol)
    except ibkr.NoContract as error:
        raise DataError(error.text, hint=error.hint) from None


def contract(library: Any, symbol: str) -> Any:
    """The library's contract of a symbol, not looked up yet. Raises DataError for one of no known form."""
    spec(symbol)
    return ibkr.contract(library, symbol)
