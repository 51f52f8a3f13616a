"""A hypothesis strategy for any of our values, made from its annotations."""

from __future__ import annotations

import types
import typing
from decimal import Decimal
from enum import Enum
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    str: TEXT,
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type as our structs use it."""
    if kind in LEAVES:
        return LEAVES[kind]
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return st.lists(anything(inside[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(anything(inside[0]), anything(inside[1]), max_size=3)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([anything(one) for one in inside])
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return struct(kind)


def struct(kind: type[Struct]) -> st.SearchStrategy[Any]:
    """Any value of one of our structs."""
    hints = typing.get_type_hints(kind)
    return st.deferred(lambda: st.builds(kind, **{name: anything(hints[name]) for name in kind.__struct_fields__}))
