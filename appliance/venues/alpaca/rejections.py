"""Alpaca's refusals as ours: what an order was refused for, and what an answer that is none means to the connection.

Code 40310000 is many things (buying power, shares that are held, a wash trade, the smallest size), so an order's
refusal is told by HTTP status and message.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from appliance.domain.venue import Rejection
from appliance.errors import VenueBusy, VenueDown, VenueError, VenueNonsense, VenueRefused, VenueSilent
from appliance.venues.alpaca.options import AlpacaBrokerOptions
from appliance.venues.alpaca.reading import SECOND, SHOWN, Body, Odd, beginning, decoded

Headers = Mapping[str, str]
WINDOW = 60 * SECOND
"""The longest (ns) that Alpaca's limit lasts: who says more is not believed, or an exit would wait for it."""
ADDRESS = "check the broker's url and stream_url, and what stands between us and it"
_KEYS = (
    "give the key and its secret, both from Alpaca's page and of the account that is meant (paper and live have "
    "keys of their own); a new key voids the old one"
)
_FORBIDDEN = 403
_NO_ORDER = 40410000
_ORDERS_CODES = 4031
_R = Rejection

MEANINGS: tuple[tuple[str, Rejection], ...] = (
    ("client_order_id must be unique", _R.DUPLICATE_ID),
    ("wash trade", _R.WASH_TRADE),
    ("while a short sell order is open", _R.WASH_TRADE),
    ("while a long buy order is open", _R.WASH_TRADE),
    ("insufficient qty available", _R.QUANTITY_HELD),
    ("insufficient quantity", _R.QUANTITY_HELD),
    ("insufficient balance", _R.BUYING_POWER),
    ("buying power", _R.BUYING_POWER),
    ("day trading", _R.NOT_ALLOWED),
    ("only day orders are allowed", _R.UNSUPPORTED),
    ("not allowed to short", _R.NOT_SHORTABLE),
    ("cannot be sold short", _R.NOT_SHORTABLE),
    ("shorting", _R.NOT_SHORTABLE),
    ("sold short", _R.NOT_SHORTABLE),
    ("shortable", _R.NOT_SHORTABLE),
    ("to borrow", _R.NOT_SHORTABLE),
    ("halt", _R.SYMBOL_HALTED_THERE),
    ("not fractionable", _R.QUANTITY),
    ("could not find asset", _R.UNKNOWN_SYMBOL),
    ("asset not found", _R.UNKNOWN_SYMBOL),
    ("invalid symbol", _R.UNKNOWN_SYMBOL),
    ("symbol is required", _R.UNKNOWN_SYMBOL),
    ("is not active", _R.UNKNOWN_SYMBOL),
    ("not tradable", _R.UNKNOWN_SYMBOL),
    ("not tradeable", _R.UNKNOWN_SYMBOL),
    ('" not found', _R.UNKNOWN_SYMBOL),
    ("market is closed", _R.MARKET_CLOSED),
    ("market is not open", _R.MARKET_CLOSED),
    ("market hours", _R.MARKET_CLOSED),
    ("outside of trading hours", _R.MARKET_CLOSED),
    ("cost basis must be", _R.QUANTITY),
    ("minimal amount", _R.QUANTITY),
    ("minimum order", _R.QUANTITY),
    ("sub-penny", _R.PRICE),
    ("limit_price", _R.PRICE),
    ("limit price", _R.PRICE),
    ("stop_price", _R.PRICE),
    ("stop price", _R.PRICE),
    ("trail_", _R.PRICE),
    ("price increment", _R.PRICE),
    ("time_in_force", _R.UNSUPPORTED),
    ("time in force", _R.UNSUPPORTED),
    ("extended hours", _R.UNSUPPORTED),
    ("extended_hours", _R.UNSUPPORTED),
    ("fractional orders must be", _R.UNSUPPORTED),
    ("order type", _R.UNSUPPORTED),
    ("order_type", _R.UNSUPPORTED),
    ("order class", _R.UNSUPPORTED),
    ("not supported", _R.UNSUPPORTED),
    ("unsupported", _R.UNSUPPORTED),
    ("qty", _R.QUANTITY),
    ("quantity", _R.QUANTITY),
    ("number of open orders", _R.TOO_MANY_ORDERS),
    ("too many orders", _R.TOO_MANY_ORDERS),
    ("trading is blocked", _R.NOT_ALLOWED),
    ("restricted", _R.NOT_ALLOWED),
    ("not eligible", _R.NOT_ALLOWED),
    ("not authorized", _R.NOT_ALLOWED),
    ("not permitted", _R.NOT_ALLOWED),
    ("not allowed", _R.NOT_ALLOWED),
    ("suspended", _R.NOT_ALLOWED),
    ("rejected by user request", _R.NOT_ALLOWED),
)
"""The first part of a message that is found in it, in small letters, says what it means."""
_FACTS = ("reject_reason", "buying_power", "cost_basis", "available", "held_for_orders", "existing_order_id", "symbol")


class Declined(Exception):
    """An answer of Alpaca's own (JSON, with a message) that says no to this one request; nothing was done."""

    def __init__(self, status: int, told: Body) -> None:
        self.status, self.told = status, told
        code = told.get("code")
        self.code = code if isinstance(code, int) else 0
        self.message = str(told.get("message", ""))
        super().__init__(f"HTTP {status}: {self.text}")

    @property
    def text(self) -> str:
        """What it said, with the figures it gave."""
        facts = ", ".join(f"{name} {self.told[name]}" for name in _FACTS if self.told.get(name))
        return f"{self.message} ({self.code}{'; ' if facts else ''}{facts})"[: 4 * SHOWN]

    @property
    def meaning(self) -> Rejection:
        """What an order was refused for."""
        return meaning(f"{self.message} {self.told.get('reject_reason') or ''}")

    @property
    def no_order(self) -> bool:
        """There is no such order; a path that is not there has the same code."""
        return self.status == 404 and self.code == _NO_ORDER and "order" in self.message.lower()


def meaning(message: str) -> Rejection:
    """What a refusal's message means; OTHER where we do not know."""
    said = message.lower()
    return next((kind for part, kind in MEANINGS if part in said), Rejection.OTHER)


class Limits(NamedTuple):
    """What a reply says of the rate limit: requests ``remaining`` until the window ``resets`` (ns UTC); None: it does
    not say. ``wait`` (ns): how long it wants to be left alone."""

    remaining: int | None
    resets: int | None
    wait: int

    @classmethod
    def of(cls, headers: Headers, now: int) -> Limits:
        """Read the headers of a reply that came ``now`` (ns UTC). Reset is told by their clock: the reply's own date is
        what to measure it from."""
        reset = _whole(headers.get("X-RateLimit-Reset"))
        after = _whole(headers.get("Retry-After"))
        left = min(max(reset * SECOND - (_date(headers.get("Date")) or now), 0), WINDOW) if reset is not None else None
        wait = min(after * SECOND, WINDOW) if after is not None else (left or 0)
        return cls(_whole(headers.get("X-RateLimit-Remaining")), now + left if left is not None else None, wait)


def trouble(
    status: int, raw: bytes, headers: Headers, asked: str, options: AlpacaBrokerOptions, now: int
) -> VenueError | Declined:
    """What an answer with another HTTP status than 2xx is to us: ``asked`` names the request."""
    told = _told(raw)
    said = f"HTTP {status}: {told.get('message') if told else beginning(raw)}"[: 3 * SHOWN]
    if status == 401 or (status == _FORBIDDEN and told and not _of_the_order(told)):
        return refused(said, options)
    if status == 429:
        wait = Limits.of(headers, now).wait + SECOND
        return VenueBusy(f"too many requests ({said})", venue=options.name, wait=wait)
    if status >= 500 or status == 408:
        return VenueSilent(f"{asked} fails on its side ({said})", venue=options.name)
    if status >= 400 and told:
        return Declined(status, told)
    return VenueNonsense(f"answers {asked} with {said}", venue=options.name, hint=ADDRESS)


def refused(said: str, options: AlpacaBrokerOptions) -> VenueRefused:
    """The keys are not taken."""
    account = "paper" if options.paper else "live"
    text = f"refuses key {options.shown_key} for the {account} account ({said})"
    return VenueRefused(text, venue=options.name, hint=_KEYS)


def handshake(status: int, headers: Headers, options: AlpacaBrokerOptions, now: int) -> VenueError:
    """What a stream is to us that answers the upgrade to WebSocket with another HTTP status. 406, 429: the account's
    one connection is still held."""
    said = f"HTTP {status} instead of a WebSocket"
    if status in (401, _FORBIDDEN):
        return refused(said, options)
    if status in (406, 429):
        wait = Limits.of(headers, now).wait + SECOND
        return VenueBusy(f"too many connections ({said})", venue=options.name, wait=wait)
    if status >= 500 or status == 408:
        return VenueDown(f"its stream fails on its side ({said})", venue=options.name)
    return VenueNonsense(f"its stream answers with {said}", venue=options.name, hint=ADDRESS)


def _of_the_order(told: Body) -> bool:
    """A 403 with one of Alpaca's codes for it (4031xxxx) is about the order, any other about the key."""
    code = told.get("code")
    about_the_order = isinstance(code, int) and code // 10_000 == _ORDERS_CODES
    return about_the_order and not str(told.get("message")).lower().startswith("forbidden")


def _told(raw: bytes) -> Body | None:
    """The body of an answer of Alpaca's own, None where it is anybody else's."""
    try:
        found = decoded(raw)
    except Odd:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("message"), str) else None


def _whole(written: str | None) -> int | None:
    digits = (written or "").strip()
    return int(digits) if digits.isdecimal() and len(digits) <= 15 else None


def _date(written: str | None) -> int:
    """An HTTP date in ns UTC; 0: there is none."""
    try:
        return int(parsedate_to_datetime(written).timestamp()) * SECOND if written else 0
    except (ValueError, TypeError, OverflowError):
        return 0
