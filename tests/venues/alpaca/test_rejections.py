"""What Alpaca's refusals mean: for an order, and for the connection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.domain.venue import Rejection
from appliance.errors import (
    UsageError,
    VenueBusy,
    VenueDown,
    VenueNonsense,
    VenueRefused,
    VenueSilent,
)
from appliance.venues.alpaca import AlpacaBrokerOptions
from appliance.venues.alpaca.rejections import Declined, Limits, handshake, trouble
from tests.venues.alpaca import recorded

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
KEY, SECRET = "PKVERYSECRETKEY", "very-secret-secret"
OPTIONS = AlpacaBrokerOptions(key=KEY, secret=SECRET)


def told(status: int, raw: bytes, headers: dict[str, str] | None = None) -> Any:
    return trouble(status, raw, headers or {}, "POST /orders", OPTIONS, NOW)


@pytest.mark.parametrize(("status", "body", "code"), recorded.REFUSALS)
def test_a_refused_order_is_classified_by_its_message(status: int, body: dict[str, Any], code: str) -> None:
    found = told(status, json.dumps(body).encode())
    assert isinstance(found, Declined)
    assert found.meaning is Rejection(code)
    assert body["message"] in found.text


def test_a_refusal_tells_the_figures_it_was_given() -> None:
    text = told(*recorded.ABOVE_HELD).text
    assert "available 0.557436865" in text
    assert "symbol KO" in text


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (401, b'{"message":"unauthorized"}'), (401, b""), (401, b"<html>"),
        (401, b'{"code":40110000,"message":"request is not authorized"}'), (403, b'{"message":"forbidden."}'),
        (403, b'{"code":40310000,"message":"forbidden."}'),
    ],
)  # fmt: skip
def test_keys_that_are_refused_are_the_owners_business(status: int, raw: bytes) -> None:
    found = told(status, raw)
    assert isinstance(found, VenueRefused)
    assert "paper account" in found.text
    assert KEY not in str(found)
    assert SECRET not in str(found)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
@pytest.mark.parametrize("raw", [b"", b"<html>502</html>", b'{"message":"gateway timeout"}'])
def test_a_failure_on_their_side_may_have_been_done(status: int, raw: bytes) -> None:
    assert isinstance(told(status, raw), VenueSilent)


@pytest.mark.parametrize(
    ("status", "raw"), [(403, b"<html>blocked</html>"), (404, b""), (422, b"[]"), (302, b""), (418, b"{}")]
)
def test_an_answer_that_is_not_alpacas_is_nonsense_and_no_rejection(status: int, raw: bytes) -> None:
    assert isinstance(told(status, raw), VenueNonsense)


def test_too_many_requests_says_how_long_to_wait_by_their_clock() -> None:
    headers = {"X-RateLimit-Reset": "1790000130", "Date": "Mon, 21 Sep 2026 14:15:00 GMT"}
    theirs = 1_790_000_100
    found = told(429, b'{"code":42910000,"message":"rate limit exceeded"}', headers)
    assert isinstance(found, VenueBusy)
    assert found.wait == (1_790_000_130 - theirs + 1) * SECOND


def test_limits_are_read_and_nonsense_in_them_is_not_there() -> None:
    limits = Limits.of({"X-RateLimit-Remaining": "17", "X-RateLimit-Reset": "1790000030"}, NOW)
    assert limits == Limits(17, NOW + 30 * SECOND, 30 * SECOND)
    assert Limits.of({"X-RateLimit-Reset": "99999999999", "Retry-After": "86400"}, NOW).wait == 60 * SECOND
    assert Limits.of({"X-RateLimit-Reset": "99999999999"}, NOW).resets == NOW + 60 * SECOND
    assert Limits.of({"X-RateLimit-Remaining": "many", "X-RateLimit-Reset": "soon"}, NOW) == Limits(None, None, 0)


def test_only_alpacas_own_word_for_it_means_that_there_is_no_such_order() -> None:
    assert told(404, b'{"code":40410000,"message":"order not found"}').no_order
    assert not told(404, b'{"code":40410000,"message":"endpoint not found"}').no_order
    assert not told(422, b'{"code":40410000,"message":"order not found"}').no_order


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, VenueRefused),
        (403, VenueRefused),
        (429, VenueBusy),
        (406, VenueBusy),
        (502, VenueDown),
        (404, VenueNonsense),
    ],
)
def test_a_stream_that_refuses_the_handshake_is_told_by_its_status(status: int, kind: type[Exception]) -> None:
    assert isinstance(handshake(status, {}, OPTIONS, NOW), kind)


# --- options --------------------------------------------------------------------------------------


def test_options_show_no_secret() -> None:
    shown = f"{OPTIONS!r} {OPTIONS} {OPTIONS.__rich_repr__()}"
    assert SECRET not in shown
    assert KEY not in shown
    assert "PKVE…" in shown


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"key": ""}, "no key"), ({"secret": ""}, "no secret"), ({"key": "a b"}, "a space"),
        ({"url": "paper-api"}, "url 'paper-api'"), ({"stream_url": "http://x"}, "stream_url"),
        ({"answer": 0}, "answer 0"), ({"deadline": 1e9}, "deadline"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_with_what_is_allowed(given: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named) as raised:
        AlpacaBrokerOptions(**{"key": KEY, "secret": SECRET, **given}).checked()
    assert raised.value.hint
    assert SECRET not in str(raised.value)
