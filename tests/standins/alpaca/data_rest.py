"""The data REST: bars, quotes, trades, their latest, corporate actions, as questions and answers without a socket."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from tests.standins.alpaca.faults import Faults
from tests.standins.alpaca.market import KINDS, MINUTE, SYMBOLS, Market, Row, instant, written

TIMEFRAME = re.compile(r"([1-9]|[1-5]\d)(Min|T)|([1-9]|1\d|2[0-3])(Hour|H)|1(Day|D)|1(Week|W)|(1|2|3|4|6|12)(Month|M)")
FEEDS = ("iex", "sip", "otc", "boats")
LIMIT, LIMIT_MAX = 1000, 10_000
FAR = 1 << 62


class Request(NamedTuple):
    """A request: its path, its parameters, and the JSON of its body, numbers as Decimal."""

    path: str
    query: dict[str, str]
    method: str = "GET"
    body: Any = None


class Reply(NamedTuple):
    """A status and what becomes JSON; None is no body at all."""

    status: int
    body: Any


class Wrong(Exception):
    """A question that is refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"code": status * 100_000, "message": message})


class DataRest:
    """Answers from a market. ``page_max`` is the most rows of one page; ``paid``: the plan has recent SIP data."""

    def __init__(
        self, market: Market, faults: Faults, clock: Callable[[], int], page_max: int = LIMIT_MAX, paid: bool = False
    ) -> None:
        self.page_max = page_max
        self._market, self._faults, self._clock, self._paid = market, faults, clock, paid

    def answer(self, request: Request) -> Reply | None:
        """The answer; None for a path that is not of this surface."""
        for pattern, answer in _PATHS:
            if found := pattern.fullmatch(request.path):
                try:
                    return Reply(200, answer(self, request.query, **found.groupdict()))
                except Wrong as wrong:
                    return wrong.reply
        return None

    def _past(self, query: dict[str, str], kind: str, market: str) -> dict[str, Any]:
        symbols = _symbols(query, market)
        timeframe = self._timeframe(query) if kind == "bars" else ""
        start, end = _time(query, "start", 0), _time(query, "end", FAR)
        if market == "stocks":
            self._allowed(query, end)
        rows = [
            (symbol, row) for symbol in sorted(symbols)
            for row in self._market.between(kind, symbol, timeframe, start, min(end, self._clock()))
        ]  # fmt: skip
        if query.get("sort") == "desc":
            rows.sort(key=lambda pair: (pair[0], -pair[1]["t"]))
        page, token = self._page(rows, query)
        groups: dict[str, list[Row]] = {}
        for symbol, row in self._faults.twisted(page):
            groups.setdefault(symbol, []).append(self._row(row))
        return {kind: groups, "next_page_token": token}

    def _latest(self, query: dict[str, str], kind: str, market: str) -> dict[str, Any]:
        found = {symbol: self._market.latest(kind, symbol) for symbol in _symbols(query, market)}
        return {kind: {symbol: self._row(row) for symbol, row in found.items() if row is not None}}

    def _corporate_actions(self, query: dict[str, str]) -> dict[str, Any]:
        """By the day they are processed, as Alpaca does."""
        symbols = query.get("symbols", "").split(",") if query.get("symbols") else []
        types = query.get("types", "").split(",") if query.get("types") else []
        first, last = query.get("start", ""), query.get("end", "9999")
        rows = [
            (group, row) for group, mine in self._market.actions.items() for row in mine
            if (not types or group.removesuffix("s") in types) and (not symbols or row["symbol"] in symbols)
            and first <= row["process_date"] <= last
        ]  # fmt: skip
        rows.sort(key=lambda pair: pair[1]["process_date"])
        page, token = self._page(rows, query)
        groups: dict[str, list[Row]] = {}
        for group, row in page:
            groups.setdefault(group, []).append({} if self._faults.garbled else row)
        return {"corporate_actions": groups, "next_page_token": token}

    def _page(self, rows: list[Any], query: dict[str, str]) -> tuple[list[Any], str | None]:
        """Rows of all symbols count together; the token says where the next page begins."""
        limit = query.get("limit", str(LIMIT))
        if not limit.isdecimal() or not 1 <= int(limit) <= LIMIT_MAX:
            raise Wrong(422, f"invalid limit: {limit}")
        begin = _begin(query.get("page_token"))
        end = begin + min(int(limit), self.page_max)
        return rows[begin:end], base64.b64encode(b"%d" % end).decode() if end < len(rows) else None

    def _allowed(self, query: dict[str, str], end: int) -> None:
        feed = query.get("feed", "sip")
        if feed not in FEEDS:
            raise Wrong(400, f"invalid feed: {feed}")
        if query.get("adjustment", "raw") not in ("raw", "split", "dividend", "all"):
            raise Wrong(400, f"invalid adjustment: {query['adjustment']}")
        if asof := query.get("asof"):
            date.fromisoformat(asof)
        if feed == "sip" and not self._paid and end > self._clock() - 15 * MINUTE:
            raise Wrong(403, "subscription does not permit querying recent SIP data")

    def _timeframe(self, query: dict[str, str]) -> str:
        found = query.get("timeframe", "")
        if not TIMEFRAME.fullmatch(found):
            raise Wrong(400, f"invalid timeframe: {found}")
        return found

    def _row(self, row: Row) -> Row:
        return {"t": "yesterday"} if self._faults.garbled else written(row)


_KIND = f"(?P<kind>{'|'.join(KINDS)})"
_PATHS: tuple[tuple[re.Pattern[str], Callable[..., dict[str, Any]]], ...] = (
    (re.compile(f"/v2/(?P<market>stocks)/{_KIND}"), DataRest._past),
    (re.compile(f"/v1beta3/(?P<market>crypto)/us/{_KIND}"), DataRest._past),
    (re.compile(f"/v2/(?P<market>stocks)/{_KIND}/latest"), DataRest._latest),
    (re.compile(f"/v1beta3/(?P<market>crypto)/us/latest/{_KIND}"), DataRest._latest),
    (re.compile("/v1/corporate-actions"), DataRest._corporate_actions),
)


def _symbols(query: dict[str, str], market: str) -> list[str]:
    symbols = query.get("symbols", "").split(",")
    for symbol in symbols:
        if not SYMBOLS[market].fullmatch(symbol):
            raise Wrong(422, f"invalid symbol: {symbol}")
    return symbols


def _time(query: dict[str, str], name: str, default: int) -> int:
    try:
        return instant(query[name]) if name in query else default
    except ValueError:
        raise Wrong(400, f"invalid {name}: {query[name]}") from None


def _begin(token: str | None) -> int:
    try:
        return int(base64.b64decode(token, validate=True)) if token else 0
    except ValueError:
        raise Wrong(400, "invalid page_token") from None
