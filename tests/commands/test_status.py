"""`appliance status`: what its lines say."""

from __future__ import annotations

import pytest
from msgspec import to_builtins

from appliance.commands.status import _source_line
from appliance.domain.operations import SourceState


@pytest.mark.parametrize(
    ("state", "tells", "why", "said"),
    [
        ("connecting", 0, "", "not heard yet"),
        ("connecting", 0, "answers with a web page", "again, after: answers with a web page"),
        ("live", 0, "", "in reserve"),
        ("live", 1, "", "tells 1 symbol"),
        ("live", 2, "", "tells 2 symbols"),
    ],
)
def test_a_source_is_told_with_what_it_does_and_why_not(state: str, tells: int, why: str, said: str) -> None:
    line = _source_line(to_builtins(SourceState("mine", state, tells, why=why)))
    assert line.split(maxsplit=2) == ["mine", state, said]
