"""Settings as text: a TOML file read, what is wrong with a key and what would be right, and a settings tree printed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from appliance.errors import SettingsError
from appliance.settings_kinds import IN_WORDS

MASK = "********"
_SHAPES = {
    "model_type": "must be a table", "dict_type": "must be a table", "tuple_type": "must be a list",
    "string_type": "must be a text",
}  # fmt: skip
"""What a value must be, in the words of TOML."""


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file, its decimal fractions as Decimal. Raises SettingsError that names the file (and line)."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read: {error.strerror}", hint="check the path; 'appliance config show' prints a start"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}", hint='text values need quotes: name = "box"') from error


def mistakes(model: type[BaseModel], error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    """One line per mistake: key, value (never a secret's), where it was set if not in the file, what is allowed."""
    return [line for one in error.errors(include_url=False) for line in _lines(model, dict(one), origins)]


def _lines(model: type[BaseModel], one: dict[str, Any], origins: Mapping[str, str]) -> list[str]:
    """A rule over a whole table may have found several mistakes, a line each, which begin with their keys."""
    if one["type"] == "value_error" and isinstance(one["input"], dict):
        key = _key(one["loc"])
        lines = one["msg"].removeprefix("Value error, ").split("\n")
        return [f"{key}.{line}" if key else line for line in lines]
    return [_mistake(model, one, origins)]


def _mistake(model: type[BaseModel], one: dict[str, Any], origins: Mapping[str, str]) -> str:
    key, words = (
        _key(one["loc"]),
        one["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must"),
    )
    words = _SHAPES.get(one["type"], words)
    if one["type"] == "string_pattern_mismatch":
        words = f"must be {IN_WORDS.get(one['ctx']['pattern'], one['ctx']['pattern'])}"
    if one["type"] == "extra_forbidden":
        return f"{key}{_origin(key, origins)}: unknown key; {_nearest(model, one['loc'])}"
    if one["type"] == "missing":
        return f"{key}: is missing; it must be set"
    return f"{key} = {_value(model, one)}{_origin(key, origins)}: {words[0].lower()}{words[1:]}"


def _key(loc: tuple[str | int, ...]) -> str:
    key = ""
    for part in loc:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def _origin(key: str, origins: Mapping[str, str]) -> str:
    return f" (from {origins[key]})" if key in origins else ""


def _value(model: type[BaseModel], one: dict[str, Any]) -> str:
    name = str(one["loc"][-1])
    owner = _owner(model, one["loc"])
    field = owner.model_fields.get(name) if owner else None
    if field is not None and field.annotation is SecretStr:
        return MASK
    value = one["input"]
    return str(value) if isinstance(value, Decimal) else json.dumps(value, default=str, ensure_ascii=False)


def _owner(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The table a key belongs to."""
    found: type[BaseModel] | None = model
    for part in loc[:-1]:
        if found is not None and isinstance(part, str):
            found = _tables(found).get(part)
    return found


def _tables(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    tables = {}
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                tables[field.alias or name] = kind
    return tables


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _nearest(model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """The right key next to it, the same key in another table, or all the keys there are."""
    name, owner = str(loc[-1]), _owner(model, loc)
    siblings = _names(owner) if owner else []
    if close := get_close_matches(name, siblings, n=1):
        return f"did you mean {_key((*loc[:-1], close[0]))}?"
    elsewhere = {f"{table}.{key}": key for table, inner in _tables(model).items() for key in _names(inner)}
    if close := get_close_matches(name, list(elsewhere.values()), n=1, cutoff=0.8):
        return f"did you mean {next(path for path, key in elsewhere.items() if key == close[0])}?"
    return f"known here: {', '.join(siblings)}"


def unsecret(value: Any, mask: str | None) -> Any:
    """Plain data with every secret replaced by ``mask``, or left out without one."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if mask is not None or not isinstance(item, SecretStr)}
        return {key: unsecret(item, mask) for key, item in kept.items()}
    if isinstance(value, tuple | list):
        return [unsecret(item, mask) for item in value]
    if isinstance(value, SecretStr):
        return mask if value.get_secret_value() else ""
    return value


def secrets_in(value: Any) -> Iterator[str]:
    """Every secret in plain data."""
    if isinstance(value, dict | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from secrets_in(item)
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()


def toml(tree: Mapping[str, Any]) -> str:
    """A settings tree as TOML: plain keys, then tables, then arrays of tables. Keys without a value are left out."""
    return "\n".join(_table(tree, "")).strip() + "\n"


def _table(tree: Mapping[str, Any], path: str) -> Iterator[str]:
    kept = {key: value for key, value in tree.items() if value is not None}
    inner = {key: value for key, value in kept.items() if isinstance(value, dict) or _is_tables(value)}
    yield from (f"{_bare(key)} = {_literal(value)}" for key, value in kept.items() if key not in inner)
    for key, value in inner.items():
        name = f"{path}.{_bare(key)}" if path else _bare(key)
        for row in [value] if isinstance(value, dict) else value:
            yield from ("", f"[{name}]" if isinstance(value, dict) else f"[[{name}]]")
            yield from _table(row, name)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _bare(key: str) -> str:
    plain = key.replace("-", "").replace("_", "")
    return key if plain.isascii() and plain.isalnum() else _quoted(key)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, int | float | date) else _quoted(value)
