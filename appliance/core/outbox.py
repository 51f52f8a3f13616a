"""What waits for its turn at the broker: in order of urgency, within the rates the broker allows. Pure.

Cancels go first, then what reduces a position or protects one, then questions, then new risk. Nothing is sent twice,
nothing is sent late. Of an order only one thing is asked at a time: a cancel that overtakes its order would be told
that there is none. Orders of one symbol are sent one after the other: an entry must not overtake the exit before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct, field

from appliance.core.gateway import expired
from appliance.core.rate_limit import Rate, TokenBucket
from appliance.domain.messages import Now, VenueAsk, VenueCancel, VenueLook, VenueReport, VenueSubmit
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Order
from appliance.domain.venue import Rejection

SECOND = 1_000_000_000
WAITING_MAX = 1000
"""Orders that may wait; beyond, one is denied at once: it would be too late anyway."""
CANCEL_PAUSE = SECOND
"""A cancel that came too often for the broker is tried again after so long (ns), whatever the broker says."""
JUDGED_EVERY = SECOND // 10
DENY = OrderEvent.DENY

Request = VenueSubmit | VenueCancel | VenueAsk | VenueLook
KINDS: dict[type[Request], str] = {VenueSubmit: "submit", VenueCancel: "cancel", VenueAsk: "ask", VenueLook: "look"}
"""What rates call a request."""


class Urgency(IntEnum):
    """What goes before what."""

    CANCEL = 0
    REDUCE = 1
    DOUBT = 2
    RISK = 3


class Rates(Struct, frozen=True):
    """How often a venue may be asked: ``buckets`` by name, and how many tokens of which a request of a kind (submit,
    cancel, ask, look) ``costs``. The reserve of a bucket is for cancels."""

    buckets: Mapping[str, Rate] = field(default_factory=dict)
    costs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, costs in self.costs.items():
            for name, tokens in costs.items():
                rate = self.buckets.get(name)
                if kind not in KINDS.values() or rate is None:
                    raise ValueError(f"a {kind} that costs tokens of {name}: no such kind or bucket")
                if not 0 < tokens <= rate.burst - (0 if kind == "cancel" else rate.reserve):
                    raise ValueError(f"a {kind} costs {tokens} tokens of {name}, which holds too few: {rate}")


UNLIMITED = Rates()


class Taken(Struct, frozen=True):
    """What may be sent now; without it, how long (ns) to wait before the next may, 0: until something else happens."""

    request: Request | None = None
    wait: int = 0


class _Waiting(Struct):
    request: Request
    urgency: Urgency
    order_id: str
    about: tuple[tuple[str, str], ...]
    not_before: int = 0


class Outbox:
    """Requests in, requests out in their turn. All times are ``ticks`` but what is said of an order (``Now.time``)."""

    def __init__(self, rates: Rates = UNLIMITED, now: int = 0, most: int = WAITING_MAX) -> None:
        self._buckets = {name: TokenBucket(rate, now) for name, rate in rates.buckets.items()}
        self._costs = {kind: tuple(rates.costs.get(name, {}).items()) for kind, name in KINDS.items()}
        self._most = most
        self._busy = self._judged = 0
        self._waiting: dict[Urgency, dict[tuple[str, str], _Waiting]] = {urgency: {} for urgency in Urgency}
        self._asked: dict[tuple[str, str], None] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def depth(self) -> dict[str, int]:
        """How many requests wait, by urgency."""
        return {urgency.name.lower(): len(waiting) for urgency, waiting in self._waiting.items()}

    def holds(self, order_id: str) -> bool:
        """Whether an order waits for its turn."""
        return self._unsent(order_id) is not None

    # --- in -------------------------------------------------------------------------------------------------------

    def put(self, request: Request, now: Now) -> list[VenueReport]:
        """Take a request in; what is to be said of its order at once. An order that is cancelled before its turn was
        never sent; a question that waits already is asked once, the newest of its kind, and none about an order whose
        turn is still to come: what becomes of that is told anyway, and "absent" would be no answer."""
        if isinstance(request, VenueCancel):
            unsent = self._unsent(request.order_id)
            if unsent is not None:
                self._drop(unsent)
                return [denied(unsent.order_id, Rejection.NOT_SENT, "cancelled before it was its turn", now)]
        if isinstance(request, VenueAsk) and self.holds(request.order_id):
            return []
        if isinstance(request, VenueSubmit):
            if self.holds(request.order.id):
                return []
            self._waiting[Urgency.DOUBT].pop(("ask", request.order.id), None)
            if sum(len(self._waiting[urgency]) for urgency in (Urgency.REDUCE, Urgency.RISK)) >= self._most:
                return [denied(request.order.id, Rejection.RATE_LIMITED, f"{self._most} orders wait before it", now)]
        self._add(_waiting(request))
        return []

    def put_back(self, request: Request, now: Now, wait: int = 0) -> list[VenueReport]:
        """The venue wants fewer requests and has not done this one: nothing but cancels before ``wait`` (ns) is over,
        and this one first of its kind. An order that is to be cancelled is not sent again."""
        self.done(request)
        self._busy = max(self._busy, now.ticks + wait)
        one = _waiting(request)
        cancel = self._waiting[Urgency.CANCEL].get(("cancel", one.order_id))
        if isinstance(request, VenueSubmit) and cancel is not None:
            self._drop(cancel)
            return [denied(one.order_id, Rejection.NOT_SENT, "cancelled before it was its turn", now)]
        if one.urgency is Urgency.CANCEL:
            one.not_before = now.ticks + min(wait or CANCEL_PAUSE, CANCEL_PAUSE)
        if _key(one) not in self._waiting[one.urgency]:
            self._waiting[one.urgency] = {_key(one): one, **self._waiting[one.urgency]}
        return []

    def observe(self, now: int, remaining: int, wait: int) -> None:
        """A reply said that so many requests are left for the next ``wait`` ns."""
        for bucket in self._buckets.values():
            bucket.observe(now, remaining, now + wait)

    # --- out ------------------------------------------------------------------------------------------------------

    def take(self, now: Now, least: Urgency | None = Urgency.RISK, looks: bool = True) -> Taken:
        """The most urgent request that may be sent now: a look, where there are to be ``looks``, or one about an order
        that is as urgent as ``least`` or more (None: none). It counts as asked until ``done``."""
        blocked: dict[str, None] = {}
        stuck: dict[type[Request], None] = {}
        waits = []
        for waiting in self._waiting.values():
            for one in waiting.values():
                kind = type(one.request)
                wanted = looks if kind is VenueLook else least is not None and one.urgency <= least
                if not wanted or kind in stuck or any(key in self._asked for key in one.about):
                    continue
                wait = self._wait(one, now.ticks, blocked)
                if wait == 0 and not _expired(one, now):
                    return self._send(one, now.ticks)
                if wait:
                    waits.append(wait)
                if any(name in blocked for name, _ in self._costs[kind]):
                    stuck[kind] = None  # all of its kind wait for the same tokens
        return Taken(wait=min(waits, default=0))

    def done(self, request: Request) -> None:
        """A request was answered, or will never be."""
        for key in _about(request):
            self._asked.pop(key, None)

    def newer(self, look: VenueLook) -> VenueLook | None:
        """Take out the look that came while ``look`` was under way: its answer is that of both."""
        waiting = self._waiting[Urgency.DOUBT].get(("look", ""))
        if waiting is None or not isinstance(waiting.request, VenueLook) or waiting.request.since < look.since:
            return None
        self._drop(waiting)
        return waiting.request

    # --- what is never sent ---------------------------------------------------------------------------------------

    def late(self, now: Now) -> list[VenueReport]:
        """Orders that have waited past their validity: never sent. Looked for ten times a second."""
        if now.ticks < self._judged:
            return []
        self._judged = now.ticks + JUDGED_EVERY
        late = [one for one in self._orders(Urgency.RISK) if _expired(one, now)]
        return self._deny(late, Rejection.RATE_LIMITED, "it waited for its turn past its validity", now)

    def deny(self, least: Urgency, why: str, now: Now) -> list[VenueReport]:
        """Take out the orders of this urgency and below; they were never sent."""
        return self._deny(self._orders(least), Rejection.NOT_SENT, why, now)

    def lost(self, why: str, now: Now) -> list[VenueReport]:
        """The connection is gone. What is unsent stays unsent, questions are asked anew; cancels are kept."""
        told = self.deny(Urgency.REDUCE, why, now)
        self._waiting[Urgency.DOUBT].clear()
        return told

    def _orders(self, least: Urgency) -> list[_Waiting]:
        return [
            one
            for urgency, waiting in self._waiting.items()
            for one in waiting.values()
            if urgency >= least and isinstance(one.request, VenueSubmit)
        ]

    def _deny(self, found: list[_Waiting], code: Rejection, why: str, now: Now) -> list[VenueReport]:
        for one in found:
            self._drop(one)
        return [denied(one.order_id, code, why, now) for one in found]

    # --- how ------------------------------------------------------------------------------------------------------

    def _unsent(self, order_id: str) -> _Waiting | None:
        key = ("submit", order_id)
        return self._waiting[Urgency.REDUCE].get(key) or self._waiting[Urgency.RISK].get(key)

    def _add(self, one: _Waiting) -> None:
        before = self._waiting[one.urgency].get(_key(one))
        if before is None:
            self._waiting[one.urgency][_key(one)] = one
        elif not isinstance(one.request, VenueCancel) or one.request.venue_id:
            before.request = one.request  # in the place it had

    def _drop(self, one: _Waiting) -> None:
        del self._waiting[one.urgency][_key(one)]

    def _wait(self, one: _Waiting, now: int, blocked: dict[str, None]) -> int | None:
        """How long (ns) a request has to wait; None: for another one, since what waits for tokens keeps those behind it
        from taking them."""
        urgent = one.urgency is Urgency.CANCEL
        not_before = one.not_before if urgent else self._busy
        if now < not_before:
            return not_before - now
        costs = self._costs[type(one.request)]
        if any(name in blocked for name, _ in costs):
            return None
        wait = max((self._buckets[name].wait(now, n, urgent) for name, n in costs), default=0)
        if wait:
            blocked.update((name, None) for name, _ in costs)
        return wait

    def _send(self, one: _Waiting, now: int) -> Taken:
        for name, n in self._costs[type(one.request)]:
            self._buckets[name].take(now, n, one.urgency is Urgency.CANCEL)
        self._drop(one)
        self._asked.update((key, None) for key in one.about)
        return Taken(one.request)


def urgency_of(request: Request) -> Urgency:
    """How urgent a request is."""
    if isinstance(request, VenueCancel):
        return Urgency.CANCEL
    if isinstance(request, VenueSubmit):
        return Urgency.REDUCE if _reduces(request.order) else Urgency.RISK
    return Urgency.DOUBT


def order_id_of(request: Request) -> str:
    """The order a request is about; "": all of them."""
    if isinstance(request, VenueLook):
        return ""
    return request.order.id if isinstance(request, VenueSubmit) else request.order_id


def denied(order_id: str, code: Rejection, why: str, now: Now) -> VenueReport:
    """What is said of an order that was never sent."""
    return VenueReport(order_id, DENY, now.time, text=why, code=code)


def _about(request: Request) -> tuple[tuple[str, str], ...]:
    """What nothing else may be asked about until this is answered."""
    if isinstance(request, VenueLook):
        return (("look", ""),)
    if isinstance(request, VenueSubmit):
        return ("order", request.order.id), ("symbol", request.order.symbol)
    return (("order", request.order_id),)


def _waiting(request: Request) -> _Waiting:
    return _Waiting(request, urgency_of(request), order_id_of(request), _about(request))


def _reduces(order: Order) -> bool:
    return bool(order.protects) or order.intent.exit


def _expired(one: _Waiting, now: Now) -> bool:
    """Less risk is never too late: an exit may have waited for long, and rightly, for what it takes the place of."""
    request = one.request
    if one.urgency is not Urgency.RISK or not isinstance(request, VenueSubmit):
        return False
    return expired(request.order.intent, request.order.approval, now)


def _key(one: _Waiting) -> tuple[str, str]:
    return KINDS[type(one.request)], one.order_id
