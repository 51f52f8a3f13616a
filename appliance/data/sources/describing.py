"""A source's description as it stands in settings, a table of plain values, into its options."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from appliance.data.layout import nearest
from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.data.sources.rest_options import RestOptions
from appliance.data.sources.websocket_options import WebSocketOptions
from appliance.errors import UsageError

Options = TypeVar("Options", AlpacaOptions, IbkrOptions, RestOptions, WebSocketOptions)
_AT = re.compile(r"^(?P<said>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.S)
EVERY_KIND = ("kind", "key", "secret", "live", "history", "rate", "burst")
"""What a source of any kind may have in settings, beside its name and its own options."""
_LONGEST = 60
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_EXPECTED = re.compile(r"^Expected `([^`]*)`")
_WORDS = {
    "int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "array": "a list",
    "object": "a table",
}  # fmt: skip
_UNKNOWN = re.compile(r"Object contains unknown field `(\w+)`")


def described(kind: type[Options], table: Mapping[str, Any], key: str = "", secret: str = "") -> Options:
    """The options of a source, checked, with its credential. Raises UsageError naming the source, the option and what
    is wrong with it."""
    name = str(table.get("name") or "without a name")
    given = [option for option in ("key", "secret") if option in table]
    if given:
        raise UsageError(
            f"source {name}: {given[0]} stands in its description",
            hint="give it as the source's credential, where no log or copy of the settings shows it",
        )
    try:
        keys = {"key": key, "secret": secret} if "secret" in kind.__struct_fields__ else {}
        options = msgspec.convert({**table, **keys}, kind)
    except msgspec.ValidationError as error:
        raise _mistake(name, str(error), kind, table) from None
    return options.checked()


def _mistake(name: str, text: str, kind: type[Struct], table: Mapping[str, Any]) -> UsageError:
    found = _AT.match(text)
    said, path = (found["said"], found["path"] or "") if found else (text, "")
    known = _fields(kind, path)
    if unknown := _UNKNOWN.search(said):
        option = f"{path}.{unknown[1]}" if path else unknown[1]
        allowed = known if path else [*known, *(one for one in EVERY_KIND if one not in known)]
        hint = f"{nearest(unknown[1], allowed)} there may be {', '.join(allowed)}" if known else "leave it out"
        return UsageError(f"source {name}: there is no option {option}", hint=hint.strip())
    if missing := _MISSING.search(said):
        option = f"{path}.{missing[1]}" if path else missing[1]
        return UsageError(f"source {name}: {option} is missing", hint=f"there may be {', '.join(known)}")
    if wrong := _EXPECTED.search(said):
        must = " or ".join(_WORDS.get(one, one) for one in wrong[1].split(" | "))
        return UsageError(f"source {name}: {path} = {_shown(table, path)}", hint=f"it must be {must}")
    where = f"{path}: " if path else ""
    hint = f"there may be {', '.join(known)}" if known else "correct it where the source is described"
    return UsageError(f"source {name}: {where}{said}", hint=hint)


def _shown(table: Mapping[str, Any], path: str) -> str:
    """The value at a path as TOML would have it, shortened."""
    value: Any = table
    for step in re.findall(r"[^.\[\]]+", path):
        try:
            value = value[int(step)] if isinstance(value, list | tuple) else value[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return "…"
    shown = json.dumps(value, default=str, ensure_ascii=False)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def _fields(kind: type[Struct], path: str) -> list[str]:
    """The options there are at a path: those of the source, or of a table in it that has one form."""
    here: Any = kind
    for step in [step for step in re.sub(r"\[[^]]*\]", "", path).split(".") if step]:
        here = _form(next((field.type for field in msgspec.structs.fields(here) if field.name == step), None))
        if here is None:
            return []
    return [field.name for field in msgspec.structs.fields(here) if field.name not in ("key", "secret")]


def _form(annotation: Any) -> type[Struct] | None:
    """The one Struct that an annotation is, may be, or is a row of."""
    inner = [annotation, *getattr(annotation, "__args__", ())]
    forms = [one for one in inner if isinstance(one, type) and issubclass(one, Struct)]
    return forms[0] if len(forms) == 1 else None
