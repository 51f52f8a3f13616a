"""All of live data but the threads: what sources tell and history answers becomes what the feed is offered. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from appliance.data.live.agreement import Agreement
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Changes, Selection, Switch
from appliance.data.live.sequencer import Question, Sequenced, Sequencer
from appliance.data.live.staleness import Freshness, Staleness
from appliance.data.sources.base import Kind, Linked, Oddity, Told, Wire
from appliance.data.validation.verdicts import Judged
from appliance.domain.market import Bar, MarketEvent, PriceBand, Quote, Trade, TradingStatus
from appliance.domain.operations import Notice, Severity
from appliance.errors import SourceError, SourceRefused

Check = Callable[[Bar | Quote | Trade | TradingStatus | PriceBand, int], Judged]
"""The validator: an event and now (ns UTC)."""
CHANNELS: dict[type, Kind] = {
    Bar: Kind.BARS, Quote: Kind.QUOTES, Trade: Kind.TRADES, TradingStatus: Kind.STATUSES, PriceBand: Kind.STATUSES,
}  # fmt: skip


class Todo(Struct):
    """What follows: ``events`` and ``notices`` for the feed, ``questions`` for history, connections to open and end."""

    events: list[MarketEvent] = []
    notices: list[Notice] = []
    questions: list[Question] = []
    connect: list[str] = []
    end: list[str] = []
    switches: list[Switch] = []


class Desk:
    """Judges, chooses, sequences. Every method takes ``now`` (ns UTC) and returns what follows."""

    def __init__(
        self,
        selection: Selection,
        sequencer: Sequencer,
        reserve: Reserve,
        staleness: dict[str, Staleness],
        agreement: Agreement,
        check: Check | None = None,
    ) -> None:
        self.selection, self.sequencer, self.reserve = selection, sequencer, reserve
        self._staleness, self._agreement, self._check = staleness, agreement, check
        self.quarantined = self.odd = 0

    def begin(self, now: int) -> Todo:
        """The first moment: what was missed while nobody listened is asked for."""
        todo = Todo()
        self._sequenced(self.sequencer.begin(now), todo)
        return todo

    def told(self, name: str, told: Told, now: int) -> Todo:
        """``name`` said something."""
        todo = Todo()
        if isinstance(told, Linked):
            self._changed(self.selection.linked(name, told, now), todo, now)
            for symbol, why in told.lacking.items():
                todo.notices.append(_warning(f"source_lacks/{name}/{symbol}", f"{name} does not tell {symbol}: {why}"))
        elif isinstance(told, Oddity):
            self.odd += 1
            todo.notices.append(_warning(f"source_odd/{name}", f"{name}: {told.text}"))
        elif not isinstance(told, Wire):
            self._heard(name, told, now, todo)
        return todo

    def ended(self, name: str, error: SourceError | None, now: int) -> Todo:
        """A connection ended."""
        todo = Todo()
        why, wait = (error.text, error.wait) if error is not None else ("", 0)
        refused = isinstance(error, SourceRefused)
        self._changed(self.selection.ended(name, why, now, wait, refused), todo, now)
        return todo

    def answered(self, question: Question, bars: tuple[Bar, ...] | None, why: str, now: int) -> Todo:
        """History answered; None: nobody did, ``why``."""
        todo = Todo()
        judged = None if bars is None else [bar for bar in bars if self._judged(bar, now, todo) is not None]
        self._sequenced(self.sequencer.answered(question, judged, now), todo)
        if bars is None:
            about = f"{question.symbol}/{question.timeframe}"
            todo.notices.append(_warning(f"history_silent/{about}", f"{about}: no history for a hole: {why}"))
        return todo

    def tick(self, now: int) -> Todo:
        """What time brings."""
        todo = Todo()
        for symbol, name in self.selection.active.items():
            if name and self._staleness[name].of(symbol, Kind.QUOTES, now) is Freshness.STALE:
                self._changed(self.selection.stale(name, symbol, now), todo, now)
        self._changed(self.selection.tick(now), todo, now)
        for bar in self.reserve.due(now):
            self._sequenced(self.sequencer.bar(bar, now), todo)
        self._sequenced(self.sequencer.tick(now), todo)
        return todo

    # --- inside ---------------------------------------------------------------------------------------------------

    def _heard(self, name: str, told: Bar | Quote | Trade | TradingStatus | PriceBand, now: int, todo: Todo) -> None:
        watch = self._staleness[name]
        watch.heard(told.symbol, CHANNELS[type(told)], now)
        self._changed(self.selection.heard(name, told.symbol, now), todo, now)
        if isinstance(told, TradingStatus):
            for each in self._staleness.values():
                each.status(told, now)
        event = self._judged(told, now, todo)
        if isinstance(event, Quote):
            todo.notices += self._agreement.quote(event, now)
        active = self.selection.active.get(told.symbol) == name
        if isinstance(event, Bar):
            self._bar(event, active, now, todo)
        elif isinstance(event, Quote | Trade) and active:
            todo.events.append(event)

    def _bar(self, bar: Bar, active: bool, now: int, todo: Todo) -> None:
        if active:
            self.reserve.told(bar)
        for each in [bar] if active else self.reserve.put(bar, now):
            self._sequenced(self.sequencer.bar(each, now), todo)

    def _judged(self, event: Bar | Quote | Trade | TradingStatus | PriceBand, now: int, todo: Todo) -> object:
        if self._check is None:
            return event
        judged = self._check(event, now)
        if judged.event is None:
            self.quarantined += 1
            todo.notices += [_warning(f"quarantine/{one.symbol}/{one.rule}", one.text) for one in judged.findings]
        return judged.event

    def _changed(self, changes: Changes, todo: Todo, now: int) -> None:
        todo.connect += changes.connect
        todo.end += changes.end
        todo.switches += changes.switches
        for switch in changes.switches:
            todo.notices += _notices(switch)
            for bar in self.reserve.switched(switch.symbols):
                self._sequenced(self.sequencer.bar(bar, now), todo)

    @staticmethod
    def _sequenced(done: Sequenced, todo: Todo) -> None:
        todo.events += done.bars
        todo.events += done.revisions
        todo.questions += done.questions
        for hole in done.holes:
            about = f"{hole.symbol}/{hole.timeframe}"
            text = f"{about}: no bars from {hole.start} to {hole.end} ns, and no history of them"
            todo.notices.append(_warning(f"hole/{about}", text))


def _warning(code: str, text: str) -> Notice:
    return Notice(code, Severity.WARNING, text)


def _notices(switch: Switch) -> list[Notice]:
    who = switch.symbols[0] if len(switch.symbols) == 1 else f"{len(switch.symbols)} symbols"
    if not switch.new:
        text = f"nobody tells {who} any more: {switch.old}: {switch.why}"
        return [Notice("no_source", Severity.CRITICAL, text)]
    if not switch.old:
        return [Notice("no_source", Severity.INFO, f"{switch.new} tells {who}", holds=False)]
    text = f"{switch.new} tells {who} instead of {switch.old}: {switch.why}"
    code = f"failover/{switch.new if switch.back else switch.old}"
    return [Notice(code, Severity.WARNING, text, holds=not switch.back)]
