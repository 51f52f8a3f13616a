"""Whatever is asked of the trading API in whatever order, its answers agree with each other and with the brokerage."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.standins.alpaca.data_rest import Request
from tests.standins.alpaca.trading_faults import TradingFaults
from tests.standins.alpaca.trading_rest import TradingRest
from tests.standins.brokerage import Brokerage

STEPS = st.one_of(
    st.tuples(
        st.just("place"), st.integers(0, 7), st.sampled_from(["buy", "sell"]), st.integers(1, 9),
        st.sampled_from(["market", "limit", "stop", "bracket"]), st.integers(95, 105),
    ),
    st.tuples(st.sampled_from(["cancel", "patch", "fill"]), st.integers(0, 9), st.integers(1, 9)),
    st.tuples(st.just("price"), st.integers(94, 106)),
    st.tuples(st.sampled_from(["close_market", "open_market", "flatten"])),
)  # fmt: skip


class Asked:
    """The API without a socket."""

    def __init__(self) -> None:
        self.clock = 10**18
        self.carried: dict[str, Decimal] = {}
        self.books = Brokerage(1_000_000, clock=self._tick)
        self.rest = TradingRest(self.books, TradingFaults(lambda name, value: None))
        self.books.price("SPY", 99, 101)

    def _tick(self) -> int:
        self.clock += 1_000_000
        return self.clock

    def __call__(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        reply = self.rest.answer(Request(f"/v2/{path}", query, method, body))
        assert reply is not None
        assert reply.status in (200, 204, 207, 403, 404, 422)
        return reply.body

    def before(self, order_id: str) -> Decimal:
        """What had been filled of the order that this one replaced, when it did."""
        old = self.books.orders[order_id].replaces
        return self.carried.get(old, Decimal(0))

    def do(self, name: str, *facts: Any) -> None:
        """One step; those that are refused change nothing."""
        if name == "price":
            self.books.price("SPY", facts[0] - 1, facts[0] + 1)
        elif name == "place":
            self._place(*facts)
        elif name == "flatten":
            self("DELETE", "positions", cancel_orders="true")
        elif not facts:
            getattr(self.books, name)()
        elif orders := list(self.books.orders.values()):
            order = orders[facts[0] % len(orders)]
            if name == "fill" and order.remaining >= facts[1]:
                self.books.fill(order.id, facts[1], 100, late=True)
            elif name != "fill":
                method, body = ("DELETE", None) if name == "cancel" else ("PATCH", {"qty": str(facts[1])})
                self(method, f"orders/{order.id}", body)
                if self.books.orders[order.id].status == "replaced":
                    self.carried.setdefault(order.id, order.filled)

    def _place(self, number: int, side: str, quantity: int, kind: str, price: int) -> None:
        body: dict[str, Any] = {
            "symbol": "SPY", "side": side, "qty": str(quantity), "client_order_id": f"id-{number}",
            "time_in_force": "day", "type": "market" if kind == "bracket" else kind,
        }  # fmt: skip
        if kind == "bracket":
            up = 1 if side == "buy" else -1
            body |= {"order_class": "bracket", "take_profit": {"limit_price": str(100 + 10 * up)},
                     "stop_loss": {"stop_price": str(100 - 10 * up)}}  # fmt: skip
        self("POST", "orders", body | {f"{kind}_price": str(price)} if kind in ("limit", "stop") else body)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_fills_orders_positions_and_cash_add_up(steps: list[tuple[Any, ...]]) -> None:
    asked = Asked()
    for step in steps:
        asked.do(*step)
    fills = asked("GET", "account/activities/FILL", direction="asc")
    traded: dict[str, Decimal] = defaultdict(Decimal)
    cash = held = Decimal(0)
    for row in fills:
        signed = Decimal(row["qty"]) * (1 if row["side"] == "buy" else -1)
        traded[row["order_id"]] += Decimal(row["qty"])
        assert Decimal(row["cum_qty"]) == traded[row["order_id"]] + asked.before(row["order_id"])
        held, cash = held + signed, cash - signed * Decimal(row["price"])
    assert len({(row["order_id"], row["cum_qty"]) for row in fills}) == len(fills)
    assert Decimal(asked("GET", "account")["cash"]) == 1_000_000 + cash
    positions = asked("GET", "positions")
    assert {one["symbol"]: Decimal(one["qty"]) for one in positions} == ({"SPY": held} if held else {})
    for order in asked("GET", "orders", status="all", limit="500"):
        assert Decimal(order["filled_qty"]) == traded[order["id"]] + asked.before(order["id"]) <= Decimal(order["qty"])
    assert all(len(asked.books.log.accepted(one.client_id)) == 1 for one in asked.books.orders.values())


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["symbol", "side", "type", "time_in_force", "qty", "limit_price", "notional", "order_class"]),
        st.one_of(st.none(), st.text(max_size=5), st.integers(), st.just("SPY"), st.just("buy"), st.just("limit")),
    )
)
def test_nonsense_is_refused_and_never_taken(body: dict[str, Any]) -> None:
    asked = Asked()
    reply = asked.rest.answer(Request("/v2/orders", {}, "POST", body))
    assert reply is not None
    taken = len(asked.books.log.accepted())
    assert (reply.status, taken) in ((200, 1), (403, 0), (422, 0))
