"""Strategies on strings for the tests of the host, and short words for what is said to it and expected of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from appliance.core.host import HostCore
from appliance.core.wishes import CancelWish, Code, Made, Silent, Wish, Wishes
from appliance.domain.market import Bar
from appliance.domain.operations import Command, CommandResult, Notice, Verb
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Cancel, Fill, Intent, Order, OrderType, Side, Signal, Terms
from appliance.errors import StrategyError
from tests.core.make import again, bar, command, fill, order, writers
from tests.playbook import SECOND, Playbook

D = Decimal
MINUTE = 60 * SECOND
INTENTS, SIGNALS = "host/trend/intents", "host/trend/signals"


class Puppet(Silent):
    """A strategy on strings: the close of a bar is the position it wants; 13 is bad luck."""

    def __init__(self, name: str = "trend", symbols: tuple[str, ...] = ("SPY",)) -> None:
        super().__init__(name, symbols)
        self.heard: list[str] = []
        self.positions: dict[str, Decimal] = {}
        self.last = 0.0

    def start(self, now: int) -> tuple[Wish, ...]:
        self.heard.append("start")
        return ()

    def bar(self, bar: Bar, now: int) -> tuple[Wish, ...]:
        self.heard.append(f"bar {bar.close:g}")
        self.last = bar.close
        if bar.close == 13:
            raise ValueError("bad luck")
        return (Wish(bar.symbol, D(int(bar.close)), "said so"),)

    def order(self, order: Order, now: int) -> tuple[Wish, ...]:
        self.heard.append(f"order {order.status.value}")
        return ()

    def fill(self, fill: Fill, now: int) -> tuple[Wish, ...]:
        self.heard.append(f"fill {fill.quantity} of {self.positions[fill.symbol]}")
        return ()

    def set_position(self, symbol: str, quantity: Decimal) -> None:
        self.positions[symbol] = quantity

    def snapshot(self) -> dict[str, Any]:
        return {"last": self.last, "heard": list(self.heard)}

    def restore(self, data: dict[str, Any]) -> None:
        self.last, self.heard = data["last"], list(data["heard"])


def host(
    *makers: Callable[[], Puppet] | Made, keep: bool = True, mark: Callable[[str, str], None] = lambda name, hook: None
) -> HostCore:
    """The host ``trend`` with a puppet for each of ``makers``."""
    made = [make if isinstance(make, Made) else Made(make().name, make) for make in makers or (Puppet,)]
    return HostCore("host@trend", writers("host@trend"), made, keep=keep, mark=mark)


def live(*makers: Callable[[], Puppet] | Made) -> Playbook:
    """A host past its gate, its strategies started."""
    play = Playbook(host(*makers))
    begin(play)
    return play


def begin(play: Playbook) -> None:
    play.unread.extend(play.core.started(play.now))
    play.unread.extend(play.core.released(play.now))


def closes(play: Playbook, close: float, symbol: str = "SPY") -> Bar:
    """A bar that ends now."""
    play.later(60)
    return bar(close, play.now.time - MINUTE, symbol=symbol)


def wants(side: Side, quantity: int, **fields: Any) -> Callable[[Any], bool]:
    def fits(said: Any) -> bool:
        same = isinstance(said, Intent) and (said.side, said.quantity) == (side, D(quantity))
        return same and all(getattr(said, name) == value for name, value in fields.items())

    fits.__name__ = f"Intent {side.value} {quantity} {fields or ''}"
    return fits


def failed_notice(name: str, words: str) -> Callable[[Any], bool]:
    def fits(said: Any) -> bool:
        return isinstance(said, Notice) and said.code == f"STRATEGY_{name}" and said.holds and words in said.text

    fits.__name__ = f"Notice that {name} failed: {words}"
    return fits


def puppet(play: Playbook, name: str = "trend") -> Puppet:
    assert isinstance(play.core, HostCore)
    found = play.core.roster.runners[name]
    assert isinstance(found, Puppet)
    return found


def done(play: Playbook, said: Intent, quantity: int | None = None) -> None:
    """The gateway sends, fills and ends an intent."""
    sent = order(said, OrderStatus.SENDING)
    play >> sent >> fill(sent, quantity) >> replace(sent, status=OrderStatus.FILLED, filled=sent.quantity)


def holding(play: Playbook, shares: int) -> None:
    play >> closes(play, shares)
    done(play, play.heard(Intent)[0])
    play << ...


class Scripted(Puppet):
    """A strategy that wishes what its script says: by hook, or by the close of a bar. What it hears it keeps."""

    def __init__(self, name: str = "trend", symbols: tuple[str, ...] = ("SPY",), **script: Any) -> None:
        super().__init__(name, symbols)
        self.script = script
        self.told: list[Any] = []

    def _does(self, hook: str, what: Any) -> Wishes:
        self.heard.append(hook)
        self.told.append(what)
        wishes = self.script.get(hook, ())
        wishes = wishes(what) if callable(wishes) else wishes
        return (wishes,) if isinstance(wishes, Wish | CancelWish) else tuple(wishes)

    def bar(self, bar: Bar, now: int) -> Wishes:
        return self._does("bar", bar)

    def order(self, order: Order, now: int) -> Wishes:
        return self._does(f"order {order.status.value}", order)

    def fill(self, fill: Fill, now: int) -> Wishes:
        return self._does("fill", fill)

    def signal(self, signal: Signal, now: int) -> Wishes:
        return self._does("signal", signal)

    def timer(self, due: int, now: int) -> Wishes:
        return self._does("timer", due)

    def stop(self, now: int) -> Wishes:
        return self._does("stop", now)


def scripted(name: str = "trend", **script: Any) -> Callable[[], Scripted]:
    """How to make a strategy with a script."""
    return lambda: Scripted(name, **script)


def by_close(**wishes: Any) -> Callable[[Bar], Any]:
    """A script for bars: ``by_close(c1=target(100))`` wishes it at a close of 1, and nothing at another."""
    return lambda bar: wishes.get(f"c{bar.close:g}", ())


def target(quantity: int, limit: int | None = None, **given: Any) -> Wish:
    terms = Terms() if limit is None else Terms(OrderType.LIMIT, Decimal(limit))
    return Wish("SPY", Decimal(quantity), terms=terms, **given)


def own(side: Side, quantity: int, ticket: str, limit: int | None = None, **given: Any) -> Wish:
    return replace(target(quantity, limit, **given), side=side, ticket=ticket)


def cancels(order_id: str) -> Callable[[Any], bool]:
    def fits(said: Any) -> bool:
        return isinstance(said, Cancel) and said.order_id == order_id

    fits.__name__ = f"Cancel of {order_id}"
    return fits


def answers(done: bool, words: str) -> Callable[[Any], bool]:
    """A predicate: the result of a command."""

    def fits(said: Any) -> bool:
        return isinstance(said, CommandResult) and said.done is done and words in said.text

    fits.__name__ = f"CommandResult {done}: {words}"
    return fits


def asks(verb: Verb, id: str, **given: Any) -> Command:
    return command(verb, id, **{"strategy": "trend", **given})


def ends(play: Playbook, said: Intent, how: OrderStatus, **given: Any) -> None:
    """The gateway tells that an intent of ours has come to an end without a fill."""
    play >> order(said, how, **given)


def works(play: Playbook, said: Intent) -> None:
    """The gateway tells that it works at the venue."""
    play >> order(said, OrderStatus.SENDING) >> order(said, OrderStatus.ACCEPTED)


class Versions(Made):
    """A strategy of several versions: the text of a file is the name of one."""

    def __init__(self, first: str, digest: str = "", name: str = "trend", **versions: Callable[[], Puppet]) -> None:
        super().__init__(name, versions[first], digest)
        self.source = first
        self.params = {"size": "1"}
        self._versions = versions

    def __call__(self, code: Code | None = None) -> Puppet:
        source, params = (self.source, self.params) if code is None else (code.source, code.params)
        if source not in self._versions:
            raise StrategyError(f"{source}: does not compile")
        if unknown := set(params) - {"size", "live"}:
            raise StrategyError(f"unknown parameter {min(unknown)!r}")
        made = self._versions[source]()
        made.params = dict(params)
        return made


def begun(play: Playbook, core: HostCore) -> Playbook:
    """Another life: ``core`` goes on from the journal's bytes of the one in ``play``, at the same time."""
    after = Playbook(again(play.core, core), play.now.boot)
    core.writers = play.core.writers  # heads are committed with the rows
    after.now = play.now
    begin(after)
    return after
