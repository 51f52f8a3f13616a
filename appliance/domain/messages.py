"""One envelope for everything that happens, and the protocol messages that keep the processes in step."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

from msgspec import Struct

from appliance.domain import market, operations, performance, trading
from appliance.domain.operations import Head, Spot
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Moment, Side
from appliance.domain.venue import LinkState

WIRE_VERSION = 1
DATA_BOOT = "data"
"""The boot id of replays, in which ticks are data time."""


class Now(Struct, frozen=True, gc=False):
    """The time a turn is given: market ``time`` (ns UTC), ``boot`` id, and ``ticks`` (CLOCK_BOOTTIME ns)."""

    time: int
    boot: str
    ticks: int

    @property
    def moment(self) -> Moment:
        return Moment(self.time, self.boot, self.ticks)


class Stage(Enum):
    """The stages of one timestamp in lockstep, in order; a WAKE may stand between two timestamps."""

    VENUE = "venue"  # the venue gets the market events, its fills settle everywhere
    GUARD = "guard"  # the guard gets them, its stops settle
    HOSTS = "hosts"  # hosts get what is new: order events, then market events
    TAKE = "take"  # the guard takes the round's intents, in (strategy, counter) order
    WAKE = "wake"  # a deadline a core asked for
    DONE = "done"  # the data has ended

    __hash__ = object.__hash__  # Enum's own is slow, and there is only one of each


class Step(Struct, frozen=True, gc=False):
    """The feed releases one stage of data time ``time`` (ns UTC). Its market events come with the VENUE, the GUARD and
    the first HOSTS stage, so that nobody has to remember them from one stage to the next. Corporate ``actions`` come
    with the VENUE stage alone, before its events: who books them is told by ``gateway/orders``."""

    stage: Stage
    time: int
    round: int = 0
    events: tuple[market.MarketEvent, ...] = ()
    actions: tuple[market.CorporateAction, ...] = ()


class Ticks(Struct, frozen=True):
    """All symbols that changed in one tick of the feed, conflated; ``n`` has no gaps while the feed lives."""

    n: int
    quotes: tuple[market.Quote, ...]


class Offer(Struct, frozen=True):
    """Market events and corporate actions a source hands to the feed; ``position`` is the source's own, after them.

    ``outside`` counts events before it that were outside the session; ``state`` is what the source wants back after a
    restart. ``notices`` are what live sources want the owner to know, ``views`` how they and their symbols are.
    """

    position: int
    events: tuple[market.MarketEvent | market.CorporateAction, ...]
    outside: int = 0
    done: bool = False
    state: str = ""
    notices: tuple[operations.Notice, ...] = ()
    views: tuple[operations.SourceState | market.SymbolStatus, ...] = ()


class Settled(Struct, frozen=True):
    """Every process has consumed everything up to ``step``: what the barrier tells the feed in lockstep."""

    held: int
    deadline: int | None = None
    step: Spot = Spot()


class Ask(Struct, frozen=True):
    """Ask a publisher for its heads (no stream), or for a stream's messages after a position."""

    consumer: str
    stream: str = ""
    after: Spot = Spot()
    limit: int = 500


class Replayed(Struct, frozen=True):
    """Messages of a stream in order, each as it was published; ``more`` when the publisher holds more of them."""

    stream: str
    events: tuple[str, ...]
    more: bool
    head: Head


class Compacted(Struct, frozen=True):
    """The asked position is below retention: what the stream amounts to as of ``as_of``."""

    stream: str
    as_of: Spot
    snapshot: tuple[str, ...]


class VenueSubmit(Struct, frozen=True, gc=False):
    """Send this order once."""

    order: trading.Order


class VenueCancel(Struct, frozen=True, gc=False):
    """Cancel by our order id (``venue_id`` where the venue needs its own)."""

    order_id: str
    venue_id: str = ""


class VenueReplace(Struct, frozen=True, gc=False):
    """Let a working order ask for another quantity (shares, what is filled included) or price (USD) under the same id;
    None: as before."""

    order_id: str
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class VenueAsk(Struct, frozen=True, gc=False):
    """What became of our order id?"""

    order_id: str


class VenueLook(Struct, frozen=True, gc=False):
    """Ask for a snapshot: open orders, fills since ``since`` (ns UTC), positions, cash. ``n`` comes back with it."""

    n: int
    since: int = 0


class VenueReport(Struct, frozen=True, gc=False):
    """What the venue says of one order: an answer or a hint. LOSE: no answer came; ABSENT: it has no such id.

    ``filled`` are the shares filled by then, so that an end is not believed before its fills are known; ``stop`` is the
    price (USD) a trailing stop has come to. ``code`` is the kind of a rejection, such as BUYING_POWER; ``text`` is the
    venue's own. DENY: it was never sent, since it waited for too long, or the connection was gone before.
    """

    order_id: str
    event: OrderEvent
    at: int
    venue_id: str = ""
    text: str = ""
    filled: Decimal = Decimal(0)
    stop: Decimal | None = None
    code: str = ""


class VenueFill(Struct, frozen=True, gc=False):
    """One execution as the venue tells it; ``at`` is when it told. ``order_id`` is "" for an order that is not ours.

    ``corrects`` is the key of the execution that this one takes the place of, with its whole quantity and price;
    quantity 0: that one never happened (a bust).
    """

    fill_key: str
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    time: int
    at: int
    corrects: str = ""


class OpenOrder(Struct, frozen=True):
    """An order that works at the venue, as the venue has it: also one that is not ours (``order_id`` is then whatever
    client id it was given there, or "")."""

    order_id: str
    venue_id: str
    symbol: str
    side: Side
    quantity: Decimal
    type: trading.OrderType
    filled: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: trading.TimeInForce = trading.TimeInForce.DAY


class VenueActivity(Struct, frozen=True):
    """What the venue did to the account without an order; ``at`` is when it told."""

    activity: trading.Activity
    at: int


class VenueSnapshot(Struct, frozen=True):
    """The venue's truth at one instant: ids of open orders, fills and activities since ``since``, positions (shares),
    cash (USD); ``others`` are open orders in full, those of its ``open`` that may not be ours. ``equity`` and
    ``buying_power`` are USD, where the venue tells them."""

    n: int
    at: int
    open: tuple[str, ...]
    fills: tuple[VenueFill, ...]
    positions: dict[str, Decimal]
    cash: Decimal
    since: int = 0
    activities: tuple[VenueActivity, ...] = ()
    others: tuple[OpenOrder, ...] = ()
    equity: Decimal | None = None
    buying_power: Decimal | None = None


class VenueLink(Struct, frozen=True):
    """The connection to the venue came up, went down, or stands differently. ``code`` is the venue's own, such as
    1100; from the gateway: connect."""

    up: bool
    text: str = ""
    state: LinkState = LinkState.READY
    code: str = ""


class VenueState(Struct, frozen=True):
    """How the venue stands for us: SYNCING until we are reconciled, then READY; ``since`` is ns UTC. ``code`` and
    ``text`` are the venue's own."""

    state: LinkState
    code: str = ""
    text: str = ""
    since: int = 0


class Foreign(Struct, frozen=True):
    """The ``n`` orders that work at our account and are not ours, the first of them in full: shown, and left alone."""

    n: int = 0
    orders: tuple[OpenOrder, ...] = ()


class EventType(Enum):
    """What an event is; the value is its ``type`` on the wire."""

    BAR = "bar"
    QUOTE_BAR = "quote_bar"
    QUOTE = "quote"
    TRADE = "trade"
    TICKS = "ticks"
    STEP = "step"
    SOURCE_STATE = "source_state"
    SYMBOL_STATUS = "symbol_status"
    OFFER = "offer"
    SETTLED = "settled"
    SIGNAL = "signal"
    INTENT = "intent"
    CANCEL = "cancel"
    APPROVED = "approved"
    DENIED = "denied"
    ORDER = "order"
    FILL = "fill"
    POSITION = "position"
    ACCOUNT = "account"
    ACTIVITY = "activity"
    PERFORMANCE = "performance"
    LATCH = "latch"
    NOTICE = "notice"
    ALERT = "alert"
    HEARTBEAT = "heartbeat"
    PROGRESS = "progress"
    COMMAND = "command"
    RESULT = "result"
    ASK = "ask"
    REPLAYED = "replayed"
    COMPACTED = "compacted"
    PEER = "peer"
    DEATH = "death"
    INHIBIT = "inhibit"
    LATCH_FILE = "latch_file"
    WAKEUP = "wakeup"
    VENUE_SUBMIT = "venue_submit"
    VENUE_CANCEL = "venue_cancel"
    VENUE_REPLACE = "venue_replace"
    VENUE_ASK = "venue_ask"
    VENUE_LOOK = "venue_look"
    VENUE_REPORT = "venue_report"
    VENUE_FILL = "venue_fill"
    VENUE_ACTIVITY = "venue_activity"
    VENUE_SNAPSHOT = "venue_snapshot"
    VENUE_LINK = "venue_link"
    VENUE_STATE = "venue_state"
    FOREIGN = "foreign"


BODIES: dict[EventType, type[Struct]] = {
    EventType.BAR: market.Bar,
    EventType.QUOTE_BAR: market.QuoteBar,
    EventType.QUOTE: market.Quote,
    EventType.TRADE: market.Trade,
    EventType.TICKS: Ticks,
    EventType.STEP: Step,
    EventType.SOURCE_STATE: operations.SourceState,
    EventType.SYMBOL_STATUS: market.SymbolStatus,
    EventType.OFFER: Offer,
    EventType.SETTLED: Settled,
    EventType.SIGNAL: trading.Signal,
    EventType.INTENT: trading.Intent,
    EventType.CANCEL: trading.Cancel,
    EventType.APPROVED: trading.Approved,
    EventType.DENIED: trading.Denied,
    EventType.ORDER: trading.Order,
    EventType.FILL: trading.Fill,
    EventType.POSITION: trading.Position,
    EventType.ACCOUNT: trading.Account,
    EventType.ACTIVITY: trading.Activity,
    EventType.PERFORMANCE: performance.PerformanceReport,
    EventType.LATCH: operations.Latch,
    EventType.NOTICE: operations.Notice,
    EventType.ALERT: operations.Alert,
    EventType.HEARTBEAT: operations.Heartbeat,
    EventType.PROGRESS: operations.Progress,
    EventType.COMMAND: operations.Command,
    EventType.RESULT: operations.CommandResult,
    EventType.ASK: Ask,
    EventType.REPLAYED: Replayed,
    EventType.COMPACTED: Compacted,
    EventType.PEER: operations.Peer,
    EventType.DEATH: operations.Death,
    EventType.INHIBIT: operations.Inhibit,
    EventType.LATCH_FILE: operations.LatchFile,
    EventType.WAKEUP: operations.Wakeup,
    EventType.VENUE_SUBMIT: VenueSubmit,
    EventType.VENUE_CANCEL: VenueCancel,
    EventType.VENUE_REPLACE: VenueReplace,
    EventType.VENUE_ASK: VenueAsk,
    EventType.VENUE_LOOK: VenueLook,
    EventType.VENUE_REPORT: VenueReport,
    EventType.VENUE_FILL: VenueFill,
    EventType.VENUE_ACTIVITY: VenueActivity,
    EventType.VENUE_SNAPSHOT: VenueSnapshot,
    EventType.VENUE_LINK: VenueLink,
    EventType.VENUE_STATE: VenueState,
    EventType.FOREIGN: Foreign,
}
"""The body of each type; one row a type, and the wire knows no other."""

TYPE_OF: dict[type, EventType] = {body: kind for kind, body in BODIES.items()}


class Event(Struct, frozen=True, gc=False):
    """The envelope: a typed body, where it stands (``stream``, ``epoch``, ``seq``), when it happened in market time
    (``ts``, ns UTC), and the position of what caused it. ``after`` comes with an epoch's first message.

    ``topic`` is where a message outside the streams goes (``heartbeat/guard``); a stream's topic is its name.
    """

    type: EventType
    body: Any
    stream: str = ""
    epoch: int = 0
    seq: int = 0
    ts: int = 0
    cause: str = ""
    after: Spot | None = None
    topic: str = ""

    @property
    def spot(self) -> Spot:
        return Spot(self.epoch, self.seq)

    @property
    def position(self) -> str:
        """``stream:epoch:seq``, the name others quote as their cause."""
        return f"{self.stream}:{self.epoch}:{self.seq}"


def local(body: Struct, ts: int = 0, topic: str = "", cause: str = "") -> Event:
    """An event outside the streams: a venue answer, a wake-up, a request."""
    return Event(TYPE_OF[type(body)], body, ts=ts, topic=topic, cause=cause)
