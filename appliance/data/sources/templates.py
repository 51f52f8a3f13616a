"""Addresses, headers and messages with placeholders in them, and the secrets that must not be seen in any text."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from appliance.data.layout import nearest
from appliance.errors import UsageError

_PLACE = re.compile(r"\{(\w+)(?::(\w+))?\}")
_CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}
MASK = "***"


class Secrets:
    """Key and secret of a source, and what is made of them; ``masked`` takes them out of a text."""

    def __init__(self, key: str = "", secret: str = "") -> None:
        pair = base64.b64encode(f"{key}:{secret}".encode()).decode() if key and secret else ""
        self.values = {"key": key, "secret": secret, "basic": pair}
        plain = [value for value in self.values.values() if value]
        forms = {form for value in plain for form in (value, quote(value, safe=""), quote_plus(value))}
        self._hidden = sorted(forms, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"Secrets({MASK})"

    def masked(self, text: str) -> str:
        """The text without them."""
        for value in self._hidden:
            text = text.replace(value, MASK)
        return text


def filled(template: str, values: Mapping[str, str], encode: bool = False) -> str:
    """``{name}`` replaced by its value, ``{name:lower}`` and ``{name:upper}`` in that case; ``encode`` for addresses.
    Anything else in braces stays as it is."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            return found[0]
        text = _CASES.get(found[2] or "", str)(values[found[1]])
        return quote(text, safe=",") if encode else text

    return _PLACE.sub(value, template)


def filled_deep(template: Any, values: Mapping[str, Any]) -> Any:
    """A JSON template: texts are filled wherever they stand; a text that is one placeholder alone becomes its value,
    a list for instance; a list with one text for each symbol (``{symbol}`` in it) is spread over ``symbols``."""
    if isinstance(template, dict):
        return {name: filled_deep(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [each for value in template for each in _spread(value, values)]
    if not isinstance(template, str):
        return template
    alone = _PLACE.fullmatch(template)
    if alone and alone[1] in values and not isinstance(values[alone[1]], str):
        if not isinstance(values[alone[1]], list):
            return values[alone[1]]
        return [_CASES.get(alone[2] or "", str)(one) for one in values[alone[1]]]
    return filled(template, {name: value for name, value in values.items() if isinstance(value, str)})


def _spread(value: Any, values: Mapping[str, Any]) -> list[Any]:
    if isinstance(value, str) and "symbol" not in values and "{symbol" in value and "{symbols" not in value:
        return [filled_deep(value, {**values, "symbol": symbol}) for symbol in values.get("symbols", ())]
    return [filled_deep(value, values)]


def placeholders(template: Any) -> set[str]:
    """The names in braces, wherever they stand in a template."""
    if isinstance(template, Mapping):
        return {name for value in template.values() for name in placeholders(value)}
    if isinstance(template, list | tuple):
        return {name for value in template for name in placeholders(value)}
    return {found[1] for found in _PLACE.finditer(template)} if isinstance(template, str) else set()


def check(source: str, option: str, template: Any, known: Mapping[str, object] | set[str]) -> None:
    """Raise UsageError for a placeholder that nothing fills."""
    for name in sorted(placeholders(template) - set(known)):
        raise UsageError(
            f"source {source}: {option} has the placeholder {{{name}}}, which nothing fills",
            hint=f"{nearest(name, known)} it may be {', '.join(f'{{{one}}}' for one in sorted(known))}".strip(),
        )


def chosen(source: str, option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise UsageError for a value that is not one of those allowed."""
    if value not in allowed:
        raise UsageError(
            f"source {source}: {option} is {value!r}",
            hint=f"{nearest(value, allowed)} it must be one of {', '.join(allowed)}".strip(),
        )
