"""What can be wrong with the trading API, each switched on and off while it runs, or for the next few times."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tests.standins.alpaca.data_rest import Request
from tests.standins.alpaca.faults import Faults

HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"
ORDERS = "POST /v2/orders"


class Mishap(Struct, frozen=True):
    """What befalls a request. ``done``: it is carried out all the same, ``later`` that many seconds after it came;
    ``status`` and ``body`` (bytes as they are, else JSON) take the answer's place; ``after``: seconds before it is
    told; ``hang``: it is never told; ``cut``: the connection ends after so many bytes of the answer, headers
    included, with RST or (``end``) FIN. ``on``: the beginning of ``METHOD path`` of the requests it befalls."""

    on: str = ""
    done: bool = True
    later: float = 0.0
    status: int = 0
    body: Any = None
    after: float = 0.0
    hang: bool = False
    cut: int = -1
    end: bool = False

    @property
    def text(self) -> bytes:
        """The body in place of the answer's."""
        return (
            self.body if isinstance(self.body, bytes) else b"" if self.body is None else json.dumps(self.body).encode()
        )

    @property
    def kind(self) -> str:
        """The content type of the body."""
        return "text/html" if isinstance(self.body, bytes) else "application/json; charset=UTF-8"


def _no(status: int, code: int, message: str, **more: Any) -> Mishap:
    return Mishap(ORDERS, done=False, status=status, body={"code": code, "message": message, **more})


_WASH = "potential wash trade detected. use complex orders"
MISHAPS: dict[str, Mishap] = {
    "504 after": Mishap(ORDERS, status=504, body=HTML.replace(b"502 Bad Gateway", b"504 Gateway Time-out")),
    "504 before": Mishap(ORDERS, done=False, status=504, body={"message": "gateway timeout"}),
    "504 late": Mishap(ORDERS, done=False, later=0.5, status=504, body=b""),
    "500 before": Mishap(ORDERS, done=False, status=500, body={"code": 50010000, "message": "internal server error"}),
    "502 after": Mishap(ORDERS, status=502, body=HTML),
    "502 before": Mishap(ORDERS, done=False, status=502, body=HTML),
    "503 before": Mishap(ORDERS, done=False, status=503, body=b""),
    "html after": Mishap(ORDERS, status=200, body=HTML),
    "html before": Mishap(ORDERS, done=False, status=200, body=HTML),
    "empty after": Mishap(ORDERS, status=200, body=b""),
    "timeout after": Mishap(ORDERS, hang=True),
    "timeout before": Mishap(ORDERS, done=False, hang=True),
    "cut after": Mishap(ORDERS, cut=0),
    "cut before": Mishap(ORDERS, done=False, cut=0),
    "slow": Mishap(ORDERS, after=1.0),
    "429": Mishap(done=False, status=429, body={"code": 42910000, "message": "rate limit exceeded"}),
    "401": Mishap(done=False, status=401, body={"message": "unauthorized"}),
    "403": Mishap(done=False, status=403, body={"message": "forbidden."}),
    "buying power": _no(403, 40310000, "insufficient buying power", buying_power="0", cost_basis="1000"),
    "held": _no(
        403, 40310000, "insufficient qty available for order (requested: 1, available: 0)", available="0",
        existing_qty="1", held_for_orders="1", related_orders=["00000000-0000-4000-8000-000000000001"],
    ),
    "wash trade": _no(
        403, 40310000, _WASH, existing_order_id="00000000-0000-4000-8000-000000000001",
        reject_reason="opposite side market/stop order exists",
    ),
    "wash trade 422": _no(422, 42210000, _WASH),
    "minimum": _no(403, 40310000, "cost basis must be >= minimal amount of order 10"),
    "opposite": _no(403, 40310000, "cannot open a long buy while a short sell order is open"),
    "blocked": _no(403, 40310000, "account is restricted to liquidation only"),
    "suspended": _no(403, 40310000, "new orders are rejected by user request"),
    "closed": _no(403, 40310000, "market is not open"),
    "halted": _no(
        422, 42210000, 'market order rejected due to trading halt on symbol: "SPY", please place a limit order instead'
    ),
    "hard to borrow": _no(422, 42210000, 'only day orders are allowed for hard-to-borrow asset "SPY"'),
    "base price": _no(422, 42210000, "stop price must not be greater than base price / 1.001"),
    "not active": _no(422, 42210000, "asset SPY is not active"),
    "not fractionable": _no(403, 40310000, 'asset "SPY" is not fractionable'),
    "not shortable": _no(422, 42210000, "asset SPY cannot be sold short"),
    "duplicate": _no(422, 40010001, "client_order_id must be unique"),
    "chain": Mishap(
        "PATCH", done=False, status=422, body={"code": 42210000, "message": "order chain not fully replaced"}
    ),
    "new code": _no(422, 42299999, "a reason that did not exist yesterday"),
}  # fmt: skip
"""By name: ``after`` an order is taken, ``before`` it is."""


class TradingFaults(Faults):
    """Switches, and what befalls the next few requests: ``next("504 after", 3)``. The counted ones (``int``) are for so
    many of the next orders, cancels or events."""

    taken_as: str = "pending_new"
    """The status that the answer to a POST tells."""
    carried: bool = True
    """A replacement begins with what the order before it has filled, and its ``qty`` is that of both: so say Alpaca's
    error list ("qty must be > filled_qty") and those who measured it in 2026. False: it begins with nothing, and is for
    all of it again where it has no ``qty``: so says alpacahq/Alpaca-API, issue 165, of 2021."""
    orders_lag: float = 0.0
    """Seconds until an order can be found."""
    activities_lag: float = 0.0
    """Seconds until an execution or activity is among the activities."""
    halted: tuple[str, ...] = ()
    """Symbols in which trading is halted: limit orders only."""
    new_status: str = ""
    """Every order has this status, which did not exist yesterday."""
    new_event: str = ""
    """Every event has this name, which did not exist yesterday."""
    partial_then_cancel: int = 0
    """Orders that fill in part and then are cancelled by the broker."""
    reject_later: int = 0
    """Orders that are taken, and then rejected."""
    cancel_loses: int = 0
    """Cancels answered 204 of orders that fill instead."""
    cancel_hangs: int = 0
    """Cancels answered 204 of orders that stay in pending_cancel."""
    lost_cancels: int = 0
    """Cancels answered 204 that never come to anything."""
    late_fill: int = 0
    """Cancelled orders that fill after that."""
    replace_loses: int = 0
    """Replacements answered 200 of orders that fill before; the new one is rejected."""
    lost_events: int = 0
    """Events that are not told."""
    swapped_events: int = 0
    """Events that are told after the one that follows them."""
    event_delay: float = 0.0
    """Seconds before an event is told."""
    text_frames: bool = False
    """Text frames instead of binary ones."""
    deaf: bool = False
    """The stream takes no authentication and no listening, and says nothing."""

    def __init__(self, changed: Callable[[str, Any], None]) -> None:
        super().__init__(changed)
        object.__setattr__(self, "_lock", threading.Lock())
        object.__setattr__(self, "_mishaps", [])

    def next(self, name: str, times: int = 1, **others: Any) -> None:
        """The next so many requests meet a mishap by name, with ``others`` of its fields; -1: all, until ``clear``."""
        assert name in MISHAPS, f"no such mishap: {name}; there are {', '.join(MISHAPS)}"
        mishap = replace(MISHAPS[name], **others)
        with self._lock:  # type: ignore[attr-defined]
            self._mishaps.append([mishap, times])  # type: ignore[attr-defined]
        self._changed(name, times)  # type: ignore[attr-defined]

    def mishap(self, request: Request) -> Mishap | None:
        """What befalls a request; taken off the count."""
        with self._lock:  # type: ignore[attr-defined]
            for one in self._mishaps:  # type: ignore[attr-defined]
                if one[1] and f"{request.method} {request.path}".startswith(one[0].on):
                    one[1] -= 1 if one[1] > 0 else 0
                    found: Mishap = one[0]
                    return found
        return None

    def use(self, name: str) -> bool:
        """Whether a counted fault is due; it is taken off the count."""
        with self._lock:  # type: ignore[attr-defined]
            left = getattr(self, name)
            if left:
                setattr(self, name, left - 1 if left > 0 else left)
            return bool(left)

    def clear(self) -> None:
        """All off."""
        with self._lock:  # type: ignore[attr-defined]
            self._mishaps.clear()  # type: ignore[attr-defined]
            for name in [name for name in vars(self) if not name.startswith("_")]:
                setattr(self, name, getattr(type(self), name))
