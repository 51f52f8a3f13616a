"""The books as CSV: every row, exact money, times for machines and people, nothing where there is nothing."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

from appliance.core.books.entries import EntryKind
from appliance.research.results.tables import (
    bookings_csv,
    equity_csv,
    fills_csv,
    round_trips_csv,
    trade_return,
    trades_csv,
    utc,
)
from appliance.research.results.tape import Path
from tests.research.accounts import NOON, booked, fill, marks, trade


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_fills_carry_money_exactly_and_the_share_of_their_bar() -> None:
    entries = [fill(fee="0.10"), booked(EntryKind.DIVIDEND, "1.5"), fill(-10, "100.125")]
    first, second = rows(fills_csv(entries, {0: 0.25, 2: None}))
    assert (first["side"], first["quantity"], first["price"], first["fee"]) == ("buy", "10", "100", "0.1")
    assert (first["when"], first["volume_share"]) == ("2013-10-04T16:00:00Z", "0.25")
    assert (second["side"], second["quantity"], second["price"], second["amount"]) == (
        "sell",
        "10",
        "100.125",
        "1000.25",
    )
    assert second["volume_share"] == ""


def test_the_amounts_of_all_rows_are_the_change_of_cash() -> None:
    entries = [fill(fee="0.10"), booked(EntryKind.DIVIDEND, "1.5"), booked(EntryKind.BORROW, "-0.7"), fill(-10, "101")]
    told = [Decimal(row["amount"]) for row in rows(fills_csv(entries, {})) + rows(bookings_csv(entries))]
    assert sum(told) == sum(entry.amount for entry in entries)


def test_what_is_no_fill_is_listed_by_its_kind() -> None:
    entries = [fill(), booked(EntryKind.DIVIDEND, "1.5"), booked(EntryKind.INTEREST, "-2")]
    assert [(row["kind"], row["amount"]) for row in rows(bookings_csv(entries))] == [
        ("dividend", "1.5"),
        ("interest", "-2"),
    ]


def test_a_trade_has_its_return_on_what_was_paid() -> None:
    (row,) = rows(trades_csv([trade("12.5")]))
    assert (row["profit"], row["return"], row["seconds"]) == ("12.5", "0.0125", "86400.0")
    assert (row["best"], row["worst"]) == ("", "")
    assert trade_return(trade(-5)) == -0.005


def test_equity_has_its_drawdown_and_the_benchmark_where_it_is_known() -> None:
    path = Path()
    path.extend([marks(1, 1)[1].time], [50.0], 1_000_000_000)
    told = rows(equity_csv(marks(1000, 1100, 990), 1000.0, path))
    assert [row["drawdown"] for row in told] == ["0.0", "0.0", repr(990 / 1100 - 1)]
    assert [row["benchmark"] for row in told] == ["", "50.0", "50.0"]


def test_empty_books_leave_only_the_header() -> None:
    for content in (
        fills_csv([], {}),
        bookings_csv([]),
        trades_csv([]),
        round_trips_csv([]),
        equity_csv([], 1000.0, None),
    ):
        assert content.count(b"\n") == 1


def test_times_are_told_with_the_fraction_they_have() -> None:
    assert utc(NOON) == "2013-10-04T16:00:00Z"
    assert utc(NOON + 120_000_000) == "2013-10-04T16:00:00.12Z"
