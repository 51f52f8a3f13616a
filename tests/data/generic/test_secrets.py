"""Templates are filled, and what is secret in them shows nowhere."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from appliance.data.sources.templates import Secrets, filled, filled_deep

KEYS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="*"), min_size=6, max_size=40
)


@given(KEYS, KEYS, st.text(max_size=20))
def test_no_form_of_a_secret_is_left_in_a_text(key: str, secret: str, around: str) -> None:
    secrets = Secrets(key, secret)
    forms = [form for value in secrets.values.values() for form in (value, quote(value, safe=""), quote_plus(value))]
    masked = secrets.masked(around.join(["", *forms, ""]))
    assert not any(form in masked for form in forms if form not in around * 3 + "***")
    assert key not in repr(secrets)


def test_templates_are_filled_deep_and_lists_spread_over_symbols() -> None:
    template = {"op": "sub", "args": ["{symbol:lower}@book", "fixed"], "all": "{symbols}", "n": [1, None], "id": "{id}"}
    assert filled_deep(template, {"symbols": ["A/B", "C"], "id": 7}) == {
        "op": "sub", "args": ["a/b@book", "c@book", "fixed"], "all": ["A/B", "C"], "n": [1, None], "id": 7,
    }  # fmt: skip


@given(st.text(max_size=60))
def test_braces_that_are_no_placeholder_stay(text: str) -> None:
    assert filled(text.replace("{symbol", "{sym"), {"symbol": "AAA"}) == text.replace("{symbol", "{sym")
