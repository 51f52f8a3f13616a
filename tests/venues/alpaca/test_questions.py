"""What is asked of Alpaca, against scripted answers: what no stand-in does by itself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from appliance.venues.alpaca.executions import Executions
from appliance.venues.alpaca.names import Names
from appliance.venues.alpaca.questions import ACTIVITIES_PAGE, Questions
from appliance.venues.alpaca.reading import SECOND, Odd, moment, rfc3339
from appliance.venues.alpaca.rejections import Declined
from tests.venues.alpaca import recorded

D = Decimal
NOW = moment({"t": "2026-10-08T15:10:00Z"}, "t")
MINUTE = 60 * SECOND
Answer = Callable[[dict[str, Any]], Any]


class Script:
    """Answers by path; remembers what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked, self.now = answers, list[tuple[str, dict[str, Any]]](), NOW
        self.questions = Questions(self, Names(), Executions(), lambda: self.now)  # type: ignore[arg-type]

    def ask(self, method: str, path: str, data: Any = None) -> Any:
        self.asked.append((path, data or {}))
        name = path.removeprefix("/").replace("/", "_").removeprefix("account_")
        answer = self.answers[name] if name in self.answers else self.answers["orders"]
        return answer(data or {}) if callable(answer) else answer


def held(symbol: str, shares: str, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "qty": shares, "side": "short" if shares.startswith("-") else "long", **more}


def split_rows(*shares: str) -> list[dict[str, Any]]:
    return [
        {
            "activity_type": "SPLIT", "id": f"20261008000000000::{label}", "date": "2026-10-08", "net_amount": "0",
            "created_at": rfc3339(NOW - 5 * MINUTE), "symbol": "ANET", "qty": moved, "status": "executed",
            "description": f"{label}, From QTY:{shares[0]}, To QTY:40",
        }
        for label, moved in zip(("REMOVE", "ADD"), shares, strict=False)
    ]  # fmt: skip


def test_a_split_that_is_written_down_by_half_leaves_the_position_as_it_was() -> None:
    script = Script(positions=[held("KO", "5")], activities=split_rows("-10"))
    assert script.questions.positions() == {"KO": D(5)}
    assert script.questions.activities(0) == ()
    assert script.questions.positions() == {"KO": D(5), "ANET": D(10)}
    script.answers |= {"positions": [held("ANET", "40")], "activities": split_rows("-10", "40")}
    (split,) = script.questions.activities(0)
    assert (split.activity.new, split.activity.position) == (4, D(40))
    assert script.questions.positions() == {"ANET": D(40)}


def test_half_a_split_is_no_excuse_for_ever() -> None:
    script = Script(positions=[], activities=split_rows("-10"))
    script.questions.activities(0)
    script.now += 60 * MINUTE
    assert script.questions.positions() == {}


def test_a_position_is_signed_whichever_way_it_is_written() -> None:
    script = Script(positions=[held("A", "-5"), held("B", "5", side="short"), held("C", "0")])
    assert script.questions.positions() == {"A": D(-5), "B": D(-5)}


@pytest.mark.parametrize("broken", [{"side": "sideways"}, {"qty": "many"}, {"symbol": None}])
def test_a_position_that_cannot_be_read_is_not_left_out(broken: dict[str, Any]) -> None:
    with pytest.raises(Odd):
        Script(positions=[{**held("A", "5"), **broken}]).questions.positions()


def test_pages_that_do_not_go_on_are_no_end_and_no_loop() -> None:
    script = Script(activities_FILL=[recorded.FILLS[0]] * ACTIVITIES_PAGE)
    with pytest.raises(Odd, match="the page before"):
        script.questions.fills(0)


def test_the_first_look_goes_back_a_week_and_later_ones_a_little_more_than_asked_for() -> None:
    script = Script(activities_FILL=[], activities=[])
    script.questions.fills(0)
    script.questions.fills(NOW)
    script.questions.activities(NOW)
    after = [data["after"] for _, data in script.asked]
    assert after == ["2026-10-01T15:10:00Z", "2026-10-08T15:09:00Z", "2026-10-07T15:10:00Z"]


def test_a_fill_of_an_order_that_even_alpaca_does_not_know_is_nobodys() -> None:
    def unknown(_: dict[str, Any]) -> Any:
        raise Declined(404, {"code": 40410000, "message": "order not found"})

    script = Script(activities_FILL=[recorded.FILLS[0]], orders=unknown)
    (fill,) = script.questions.fills(0)
    assert (fill.order_id, fill.symbol, fill.quantity) == ("", "KO", D("0.057436865"))


def test_a_fill_and_a_split_of_one_look_are_in_the_order_in_which_they_happened() -> None:
    script = Script(
        positions=[held("ANET", "40")], activities=split_rows("-10", "40"), activities_FILL=[recorded.FILLS[1]],
        orders=recorded.BUY_WHOLE_FILLED,
    )  # fmt: skip
    (fill,), (split,) = script.questions.fills(0), script.questions.activities(0)
    assert split.at < fill.at


def test_orders_put_one_in_anothers_place_for_ever_are_no_loop() -> None:
    around = recorded.order(id="v1", client_order_id="a", status="replaced", replaced_by="v1", replaces="v1")
    script = Script(orders=[around], orders_v1=around)
    script.answers["orders:by_client_order_id"] = around
    with pytest.raises(Odd, match="its own place"):
        script.questions.chain("a")
    assert script.questions.open_orders()


def test_the_fills_of_a_changed_order_are_asked_for_by_each_order_in_the_chain() -> None:
    first = recorded.order(id="v1", client_order_id="a", status="replaced", filled_qty="3", replaced_by="v2",
                           created_at=rfc3339(NOW))  # fmt: skip
    second = {**first, "id": "v2", "replaces": "v1", "replaced_by": None, "status": "filled", "filled_qty": "7"}
    rows = {
        one["id"]: {**recorded.FILLS[0], "order_id": one["id"], "qty": one["filled_qty"], "cum_qty": one["filled_qty"]}
        for one in (first, second)
    }
    script = Script(activities_FILL=lambda asked: [rows[asked["order_id"]]])
    fills = script.questions.fills_of([first, second])
    assert [(fill.order_id, fill.fill_key, fill.quantity) for fill in fills] == [
        ("a", "v1:3", D(3)), ("a", "v2:7", D(7)),
    ]  # fmt: skip
