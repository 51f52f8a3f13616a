"""What describes a REST/JSON source: where to ask, what for, and which field of the answer is what."""

from __future__ import annotations

from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec import Struct

from appliance.data.sources.fetching import Bounds
from appliance.data.sources.mapping import BarFields, QuoteFields, Times
from appliance.data.sources.moments import FORMS
from appliance.data.sources.templates import Secrets, check, chosen, filled
from appliance.domain.market import timeframe_ns
from appliance.errors import UsageError

SHAPES = ("rows", "columns", "keyed")
PAGINGS = ("none", "token", "time")
ERRORS = ("busy", "refused", "down")
SECRET = {"key", "secret", "basic"}
RANGE = {"symbol", "symbols", "timeframe", "start", "end", "limit", "page"}


class Paging(Struct, frozen=True, forbid_unknown_fields=True):
    """How a long answer goes on. ``token``: the value at path ``next`` fills ``{page}`` of the next question, until it
    is null or empty. ``time``: a full page (``limit`` rows) is followed by the question from its last bar on."""

    by: str = "none"
    next: str = ""


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """One more question: its address, query, and the path to a symbol's row (which may have ``{symbol}`` in it)."""

    url: str
    fields: QuoteFields
    query: dict[str, str] = {}
    row: str = "$"


class RestOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A REST/JSON source.

    ``url``, ``query`` and ``headers`` are templates: ``{symbol}`` (or all of a question as ``{symbols}``, separated by
    commas), ``{timeframe}``, ``{start}``, ``{end}``, ``{limit}``, ``{page}``, and of the credential ``{key}``,
    ``{secret}`` and ``{basic}`` (both in base64). What is ``{page}`` alone is left away on the first page.

    ``rows`` is the path to the rows, ``shape`` what they are: ``rows`` (a list), ``columns`` (a list for each field),
    or ``keyed`` (an object, whose names are the field ``@key``). ``asked`` is how times are written in a question,
    ``times`` how in an answer. ``timeframes`` and ``symbols`` translate ours into the server's names; a symbol that is
    not in it is written as it is. ``errors`` are paths that only a refusal has, and what it means: busy, refused or
    down. ``poll`` (seconds) makes it a live source too: the last bars, and ``quote`` where there is one, are asked for
    so often, though never more than ``rate`` requests a second, ``burst`` at once.
    """

    name: str
    url: str
    bars: BarFields
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    rows: str = "$"
    shape: str = "rows"
    times: Times = Times()
    asked: str = "iso"
    timeframes: dict[str, str] = {}
    symbols: dict[str, str] = {}
    limit: int = 1000
    paging: Paging = Paging()
    errors: dict[str, str] = {}
    quote: Ask | None = None
    poll: float = 0.0
    rate: float = 2.0
    burst: int = 5
    bounds: Bounds = Bounds()
    key: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"RestOptions(name={self.name!r}, url={self.secrets.masked(self.url)!r})"

    @property
    def secrets(self) -> Secrets:
        """Its credential."""
        return Secrets(self.key, self.secret)

    def checked(self) -> RestOptions:
        """Itself. Raises UsageError naming the option, its value, and what it may be."""
        check_address(self.name, "url", self.url, ("http", "https"))
        for option, template in (("url", self.url), ("query", self.query), ("headers", self.headers)):
            check(self.name, option, template, RANGE | SECRET)
        check(self.name, "rows", self.rows, {"symbol"})
        check_times(self.name, self.times, self.asked)
        check_timeframes(self.name, self.timeframes)
        chosen(self.name, "shape", self.shape, SHAPES)
        chosen(self.name, "paging.by", self.paging.by, PAGINGS)
        for meaning in self.errors.values():
            chosen(self.name, "errors", meaning, ERRORS)
        self._together()
        check_credential(self.name, (self.url, self.query, self.headers), self.key, self.secret)
        return self

    def _together(self) -> None:
        """What only makes sense with something else."""
        text = self.url + "".join(self.query.values())
        if self.paging.by == "token" and not (self.paging.next and "{page}" in text):
            raise UsageError(
                f"source {self.name}: paging by token needs the path to it and a place for it",
                hint='set paging.next to its path, and a query such as page_token = "{page}"',
            )
        if self.paging.by == "time" and "{start}" not in text:
            raise UsageError(
                f"source {self.name}: paging by time needs {{start}} in url or query",
                hint='add it, such as start = "{start}"',
            )
        if self.paging.by == "time" and "{symbols" in text:
            raise UsageError(
                f"source {self.name}: paging by time goes symbol by symbol, and it asks for several",
                hint="use {symbol} in place of {symbols}",
            )
        if "{symbols" in text and "{symbol}" not in self.rows and not self.bars.symbol:
            raise UsageError(
                f"source {self.name}: it asks for several symbols, and nothing tells whose a row is",
                hint="set bars.symbol to the field with the symbol, or rows to a path with {symbol} in it",
            )
        if self.quote is not None:
            check_address(self.name, "quote.url", self.quote.url, ("http", "https"))
            check(self.name, "quote", [self.quote.url, self.quote.query, self.quote.row], {"symbol"} | SECRET)
        if not (self.rate > 0 and self.burst >= 1):
            raise UsageError(
                f"source {self.name}: rate {self.rate:g}, burst {self.burst}",
                hint="rate is above 0 requests a second, burst 1 or more at once",
            )
        if self.limit < 1 or self.poll < 0 or self.bounds.largest < 1:
            raise UsageError(
                f"source {self.name}: limit {self.limit}, largest {self.bounds.largest}, poll {self.poll:g}",
                hint="limit and largest are 1 or more, poll is 0 (never) or more seconds",
            )


def check_address(source: str, option: str, url: str, schemes: tuple[str, ...]) -> None:
    """Raise UsageError for an address with another scheme, without a host, or with a password in it."""
    parts = urlsplit(filled(url, {}))
    if parts.scheme not in schemes or not parts.netloc or "@" in parts.netloc:
        shown = url if "@" not in parts.netloc else f"{parts.scheme}://…"
        raise UsageError(
            f"source {source}: {option} is {shown!r}",
            hint=f"it begins with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host, without a password",
        )


def check_times(source: str, times: Times, asked: str = "iso") -> None:
    """Raise UsageError for a form, zone or stamp that there is not."""
    for option, form in (("times.form", times.form), ("asked", asked)):
        if "%" not in form:
            chosen(source, option, form, FORMS)
    chosen(source, "times.stamp", times.stamp, ("start", "end"))
    try:
        ZoneInfo(times.zone)
    except (ValueError, OSError, KeyError):
        raise UsageError(
            f"source {source}: times.zone is {times.zone!r}", hint="it must be a name such as UTC or America/New_York"
        ) from None


def check_timeframes(source: str, timeframes: dict[str, str]) -> None:
    """Raise UsageError for a timeframe that is none, or where there is none at all."""
    if not timeframes:
        raise UsageError(f"source {source}: timeframes is empty", hint='name at least one, such as {"1m" = "1Min"}')
    for name in timeframes:
        try:
            timeframe_ns(name)
        except ValueError as error:
            raise UsageError(f"source {source}: timeframes has {error}") from None


def check_credential(source: str, templates: object, key: str, secret: str) -> None:
    """Raise UsageError where a template has a place for a credential that is not given."""
    text = str(templates)
    needs = [name for name in ("key", "secret") if f"{{{name}}}" in text or "{basic}" in text]
    lacking = [name for name in needs if not {"key": key, "secret": secret}[name]]
    if lacking:
        raise UsageError(
            f"source {source}: its {' and '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} used, but not given",
            hint="give them as the source's credential",
        )
