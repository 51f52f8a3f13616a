"""What happens to an account at Alpaca without an order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from appliance.domain.messages import VenueFill
from appliance.domain.trading import Activity, ActivityKind, Side
from appliance.venues.alpaca.activities import Holdings, halves, listed, names_symbol, told
from appliance.venues.alpaca.reading import Odd, moment
from tests.venues.alpaca import recorded

D = Decimal
K = ActivityKind
T = "2026-10-08T15:00:0{}Z"


def row(kind: str, n: int = 1, **facts: Any) -> dict[str, Any]:
    return {
        "activity_type": kind, "id": f"20261008000000000::{n}", "date": "2026-10-08", "net_amount": "0",
        "created_at": T.format(n), "status": "executed", **facts,
    }  # fmt: skip


def amount_to(
    rows: Sequence[dict[str, Any]], positions: dict[str, Decimal] | None = None, fills: Sequence[VenueFill] = ()
) -> list[Activity]:
    return [one.activity for one in told(Holdings(positions or {}, fills, listed(rows)))]


def only(*rows: dict[str, Any], **held: str) -> Activity:
    (one,) = amount_to(rows, {symbol: D(shares) for symbol, shares in held.items()})
    return one


def pair(kind: str, gone: str, come: str, symbols: tuple[str, str] = ("AAPL", "AAPL"), **facts: Any) -> list[Any]:
    return [
        row(kind, 1, symbol=symbols[0], qty=gone, description=f"REMOVE, From QTY:{gone}, To QTY:{come}", **facts),
        row(kind, 2, symbol=symbols[1], qty=come, description=f"ADD, From QTY:{gone}, To QTY:{come}", **facts),
    ]


@pytest.mark.parametrize(
    ("gone", "come", "new", "old"),
    [
        ("-10", "40", 4, 1), ("-100", "10", 1, 10), ("-0.54796447", "0.821946705", 3, 2), ("10", "-40", 4, 1),
        ("-0.29194239", "0.029194239", 1, 10), ("-7", "10.5", 3, 2), ("-1000", "1", 1, 1000),
    ],
)  # fmt: skip
def test_what_goes_and_what_comes_are_one_split(gone: str, come: str, new: int, old: int) -> None:
    split = only(*pair("SPLIT", gone, come, price="200"))
    assert (split.kind, split.symbol, split.position, split.new, split.old) == (K.SPLIT, "AAPL", D(come), new, old)
    assert split.price == D(200)


def test_half_a_pair_is_not_told_before_the_other_half_is_there() -> None:
    gone, come = pair("SPLIT", "-10", "40")
    assert amount_to([gone]) == amount_to([come]) == []


def test_the_splits_of_two_days_are_two() -> None:
    later = [{**one, "id": f"{one['id']}b", "date": "2026-10-09"} for one in pair("SPLIT", "-40", "80")]
    assert [one.new for one in amount_to([*pair("SPLIT", "-10", "40"), *later])] == [4, 2]


def test_a_split_in_one_row_is_read_from_what_is_held_now() -> None:
    split = only(row("SPLIT", symbol="AAPL", qty="30"), AAPL="40")
    assert (split.new, split.old, split.position) == (4, 1, D(40))


def test_a_split_that_cannot_be_one_is_told_without_a_ratio() -> None:
    assert only(row("SPLIT", symbol="AAPL", qty="30"), AAPL="30").kind is K.OTHER
    assert only(*pair("SPLIT", "-10", "-40")).kind is K.OTHER


def test_a_dividend_in_shares_is_a_small_split() -> None:
    paid = only(row("DIV", symbol="ICNP", qty="0.12", per_share_amount="1.12", net_amount="0"), ICNP="1.12")
    assert (paid.kind, paid.new, paid.old, paid.position, paid.cash) == (K.SPLIT, 28, 25, D("1.12"), D(0))


def test_a_split_without_words_is_read_by_its_signs() -> None:
    bare = [row("SPLIT", 1, symbol="AAPL", qty="-10"), row("SPLIT", 2, symbol="AAPL", qty="40")]
    assert (only(*bare).new, only(*bare).position) == (4, D(40))


def test_what_has_gone_and_not_come_yet_is_known_by_its_symbol() -> None:
    gone, come = pair("SPLIT", "-10", "40")
    assert list(halves(listed([gone]))) == ["AAPL"]
    assert halves(listed([come])) == halves(listed([gone, come])) == {}


@pytest.mark.parametrize("gone_first", [True, False])
def test_a_name_change_says_in_words_which_name_was_the_old_one(gone_first: bool) -> None:
    said = {"description": "Name Change from YTEN to YTENQ"}
    both = [row("NC", 1, symbol="YTEN", qty="-1.25", **said), row("NC", 2, symbol="YTENQ", qty="1.25", **said)]
    changed = only(*(both if gone_first else both[::-1]))
    assert (changed.symbol, changed.becomes, changed.position) == ("YTEN", "YTENQ", D("1.25"))


def test_a_cash_merger_ends_the_position_and_pays() -> None:
    said = {"description": "Cash Merger $12.6341694 per share", "symbol": "HIE"}
    gone, paid = amount_to([row("MA", 1, qty="-2", **said), row("MA", 2, qty="0", net_amount="25.27", **said)])
    assert (gone.kind, gone.position, gone.cash) == (K.DELISTING, D(0), D(0))
    assert paid.cash == D("25.27")


def test_a_stock_merger_ends_one_position_and_brings_another() -> None:
    said = {"description": "Stock Merger 0.255 COP for 1 MRO"}
    rows = [row("MA", 1, symbol="MRO", qty="-0.7", **said), row("MA", 2, symbol="COP", qty="0.18", **said)]
    gone, come = amount_to(rows, {"COP": D("0.18")})
    assert (gone.kind, gone.symbol, come.kind, come.symbol) == (K.DELISTING, "MRO", K.TRANSFER, "COP")
    assert come.position == D("0.18")


def test_a_spin_off_brings_shares_and_a_change_of_cost_moves_none() -> None:
    cost = "Cost basis adjustment for source company"
    rows = [
        row("SPIN", 1, symbol="CON", qty="0.5", description="Target Symbol: CON, Initiating Symbol: SEM"),
        row("SPIN", 2, symbol="SEM", qty="7", description=f"ADD, {cost}"),
        row("SPIN", 3, symbol="SEM", qty="-7", description=f"REMOVE, {cost}"),
    ]
    found = amount_to(rows, {"CON": D("0.5"), "SEM": D(7)})
    assert [(one.symbol, one.kind) for one in found] == [("CON", K.TRANSFER), ("SEM", K.OTHER), ("SEM", K.OTHER)]


def test_what_is_pending_has_not_happened() -> None:
    assert amount_to([row("JNLC", net_amount="-0.29", status="pending")]) == []


def test_a_symbol_change_names_both_and_what_is_held() -> None:
    changed = only(*pair("NC", "-10", "10", ("FB", "META")))
    assert (changed.kind, changed.symbol, changed.becomes, changed.position) == (K.SYMBOL_CHANGE, "FB", "META", D(10))
    assert only(*pair("NC", "-10", "10", ("FB", "FB"))).kind is K.OTHER  # a new name of the company alone


def test_a_dividend_pays_by_the_share() -> None:
    paid = only(row("DIV", symbol="KO", qty="100", net_amount="48.5", per_share_amount="0.485"))
    assert (paid.kind, paid.cash, paid.amount, paid.position) == (K.DIVIDEND, D("48.5"), D("0.485"), D(100))


@pytest.mark.parametrize(
    ("kind", "means"),
    [
        ("FEE", K.FEE), ("DIVNRA", K.FEE), ("INT", K.INTEREST), ("CSD", K.TRANSFER), ("CSW", K.TRANSFER),
        ("JNLC", K.TRANSFER), ("ACATC", K.TRANSFER), ("MISC", K.OTHER), ("DIV", K.OTHER), ("SOMETHING_NEW", K.OTHER),
    ],
)  # fmt: skip
def test_money_that_moves_is_told_with_its_kind_and_its_sign(kind: str, means: ActivityKind) -> None:
    moved = only(row(kind, net_amount="-1.25"))
    assert (moved.kind, moved.cash, moved.symbol) == (means, D("-1.25"), "")
    assert moved.text == kind


def test_shares_that_come_by_transfer_are_what_is_held_after_them() -> None:
    came = row("ACATS", 1, symbol="KO", qty="5")
    bought = VenueFill("k", "", "KO", Side.BUY, D(3), D(60), D(0), moment({"t": T.format(5)}, "t"), 9)
    more = row("ACATS", 4, symbol="KO", qty="2")
    first, second = amount_to([came, more], {"KO": D(10)}, [bought])
    assert (first.position, second.position) == (D(5), D(7))
    assert names_symbol(listed([came]))
    assert not names_symbol(listed([row("CSD"), *pair("SPLIT", "-1", "2")]))


def test_a_delisting_ends_a_position_and_what_is_left_of_one_is_something_else() -> None:
    assert only(row("REORG", symbol="GONE", qty="-5")).kind is K.DELISTING
    assert only(row("REORG", symbol="GONE", qty="-5"), GONE="2").kind is K.OTHER


def test_a_fee_taken_in_coins_changes_what_is_held() -> None:
    fee = only(row("CFEE", symbol="BTCUSD", qty="-0.0025"), **{"BTC/USD": "0.9975"})
    assert (fee.kind, fee.symbol, fee.position) == (K.TRANSFER, "BTC/USD", D("0.9975"))


def test_a_row_that_was_canceled_moves_nothing_and_is_told() -> None:
    gone = only(row("DIV", symbol="KO", qty="1", net_amount="5", per_share_amount="5", status="canceled"), KO="1")
    assert (gone.kind, gone.cash) == (K.OTHER, D(0))
    assert "canceled" in gone.text


def test_fills_are_no_activities_and_the_oldest_is_told_first() -> None:
    found = amount_to([row("INT", 3), recorded.FILLS[0], row("FEE", 1)])
    assert [one.kind for one in found] == [K.FEE, K.INTEREST]


def test_the_time_is_in_the_id_where_nothing_else_tells_it() -> None:
    (one,) = amount_to([{**row("INT"), "created_at": None}])
    assert one.time == moment({"t": "2026-10-08T04:00:00Z"}, "t")  # midnight in New York


@pytest.mark.parametrize("broken", [{"id": None}, {"id": "x", "created_at": None}, {"net_amount": "much"}])
def test_a_row_that_cannot_be_read_is_not_left_out(broken: dict[str, Any]) -> None:
    with pytest.raises(Odd):
        amount_to([{**row("INT"), **broken}])
