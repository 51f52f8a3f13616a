"""History: rows of the market by end, duration and bar size, with IB's pacing."""

from __future__ import annotations

import re
from collections import deque
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.standins.ibkr.faults import Faults
from tests.standins.ibkr.market import Market, Row
from tests.standins.ibkr.peer import Handler, Peer

_SERVICE = "Historical Market Data Service error message:"
_SECONDS = {"S": 1, "W": 7 * 86400, "M": 30 * 86400, "Y": 365 * 86400}
_LONGEST = {"1 secs": 1800, "5 secs": 3600, "10 secs": 14400, "15 secs": 14400, "30 secs": 28800}
"""Seconds of history that one question may ask for in small bars."""
NEW_YORK = ZoneInfo("America/New_York")


class History:
    """``most``: questions of small bars in ten minutes. Six of one contract within 2 s, and the same one within 15 s,
    are forbidden."""

    def __init__(self, market: Market, faults: Faults, most: int = 60) -> None:
        self._market = market
        self._faults = faults
        self._most = most
        self._asked: deque[tuple[float, str, str, tuple[str, ...]]] = deque()
        self.handlers: dict[str, Handler] = {"20": self._history, "25": self._cancel}

    def gone(self, peer: Peer) -> None:
        """It holds nothing of a client's."""

    def _cancel(self, peer: Peer, fields: list[str]) -> None:
        peer.error(fields[2], 162, f"{_SERVICE}API historical data query cancelled: {fields[2]}")

    def _history(self, peer: Peer, fields: list[str]) -> None:
        request, con_id, name = fields[1], fields[2], fields[3]
        end, size, duration, format_date = fields[15], fields[16], fields[17], fields[20]
        symbol = self._market.symbol(con_id, name)
        if symbol is None:
            peer.error(request, 200, "No security definition has been found for the request")
            return
        if self._faults.refusing[0]:
            peer.error(request, *self._faults.refusing)
            return
        if self._violates(peer, symbol, size, tuple(fields[2:])):
            peer.error(request, 162, f"{_SERVICE}Historical data request pacing violation")
            return
        if not self._allowed(size, duration):
            cause = f"Invalid step: {duration} with {size}"
            peer.error(request, 321, f"Error validating request.-'bH' : cause - {cause}")
            return
        rows = self._rows(symbol, size, duration, end)
        if not rows:
            peer.error(request, 162, f"{_SERVICE}HMDS query returned no data: {symbol}@SMART Trades")
            return
        shown = [_shown(row, format_date) for row in self._faults.twisted(rows)]
        peer.send(17, request, shown[0][0], shown[-1][0], len(shown), *(field for row in shown for field in row))

    def _violates(self, peer: Peer, symbol: str, size: str, question: tuple[str, ...]) -> bool:
        now = peer._loop.time()
        while self._asked and now - self._asked[0][0] >= 600:
            self._asked.popleft()
        same = any(now - asked < 15 and question == before for asked, _, _, before in self._asked)
        near = sum(now - asked < 2 and symbol == of for asked, of, _, _ in self._asked) >= 5
        small = "sec" in size and sum("sec" in of for _, _, of, _ in self._asked) >= self._most
        self._asked.append((now, symbol, size, question))
        return same or near or small or self._faults.pacing

    def _allowed(self, size: str, duration: str) -> bool:
        found = re.fullmatch(r"([1-9][0-9]*) ([SDWMY])", duration)
        if found is None or (found[2] == "S" and int(found[1]) > 86400) or (found[2] == "D" and int(found[1]) > 365):
            return False
        return size not in _LONGEST or (found[2] == "S" and int(found[1]) <= _LONGEST[size])

    def _rows(self, symbol: str, size: str, duration: str, end: str) -> list[Row]:
        rows = self._market.rows.get((symbol, size), [])
        until = _end(end)
        before = [row for row in rows if _begins(row) < until]
        count, unit = duration.split()
        if unit == "D":
            days = sorted({_day(row) for row in before})[-int(count) :]
            return [row for row in before if _day(row) in days]
        since = until - timedelta(seconds=int(count) * _SECONDS[unit])
        return [row for row in before if _begins(row) >= since]


def _end(text: str) -> datetime:
    """``20131007 20:00:00 UTC``; nothing means now."""
    return datetime.strptime(text, "%Y%m%d %H:%M:%S %Z").replace(tzinfo=UTC) if text else datetime.now(UTC)


def _begins(row: Row) -> datetime:
    if len(row.date) == 8:
        return datetime.strptime(row.date, "%Y%m%d").replace(tzinfo=NEW_YORK)
    return datetime.fromtimestamp(int(row.date), UTC)


def _day(row: Row) -> str:
    return _begins(row).astimezone(NEW_YORK).strftime("%Y%m%d")


def _shown(row: Row, format_date: str) -> Row:
    """Epoch seconds for formatDate 2, else the exchange's time; days as they are."""
    if len(row.date) == 8 or format_date == "2":
        return row
    return row._replace(date=_begins(row).astimezone(NEW_YORK).strftime("%Y%m%d %H:%M:%S US/Eastern"))
