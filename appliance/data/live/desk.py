"""All of live data but the threads: what sources tell and history answers becomes what the feed is offered. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from appliance.data.live.agreement import Agreement
from appliance.data.live.judging import GRAVE, Judge, worth_telling
from appliance.data.live.notices import Notices
from appliance.data.live.punctuality import Punctuality
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Changes, Selection, State, Switch
from appliance.data.live.sequencer import Question, Sequenced, Sequencer
from appliance.data.live.showing import Showing, View
from appliance.data.live.staleness import Freshness, Staleness
from appliance.data.live.standing import Standing, some
from appliance.data.sources.base import Kind, Linked, Oddity, Told, Wire
from appliance.data.validation.rules import RULES, moment
from appliance.data.validation.validator import DataValidator
from appliance.data.validation.verdicts import Finding, Judged
from appliance.domain.market import (
    Bar,
    CorporateAction,
    Heard,
    MarketEvent,
    PriceBand,
    Quote,
    Split,
    SymbolStatus,
    Trade,
)
from appliance.domain.market import TradingStatus as Status
from appliance.domain.operations import Notice, Severity
from appliance.errors import SourceError, SourceRefused

SECOND = 1_000_000_000
SHOWN = 20
"""Characters of a symbol that nobody asked for."""
CHANNELS: dict[type, Kind] = {
    Bar: Kind.BARS, Quote: Kind.QUOTES, Trade: Kind.TRADES, Status: Kind.STATUSES, PriceBand: Kind.STATUSES,
}  # fmt: skip


class _Timed(Protocol):
    """What remembers times of its clock."""

    def shift(self, by: int) -> None: ...


class Todo(Struct):
    """What follows: ``events``, ``notices`` and ``views`` for the feed, ``questions`` for history, connections to open
    and end."""

    events: list[MarketEvent] = []
    notices: list[Notice] = []
    views: list[View] = []
    questions: list[Question] = []
    connect: list[str] = []
    end: list[str] = []
    switches: list[Switch] = []


class Desk:
    """Judges, chooses, sequences. Every method takes ``now`` (ns UTC) and returns what follows. ``validator`` None:
    events are judged by form alone."""

    def __init__(
        self,
        selection: Selection,
        sequencer: Sequencer,
        reserve: Reserve,
        staleness: dict[str, Staleness],
        agreement: Agreement,
        validator: DataValidator | None = None,
    ) -> None:
        self.selection, self.sequencer, self.reserve = selection, sequencer, reserve
        self.judge, self.notices = Judge(validator), Notices()
        self._staleness, self._agreement = staleness, agreement
        self._punctuality = Punctuality()
        self._showing, self._standing = Showing(), Standing(selection, self.notices)
        self._looked = 0
        self.quarantined = self.odd = 0

    def begin(self, now: int, statuses: Iterable[SymbolStatus] = ()) -> Todo:
        """The first moment: what was missed while nobody listened is asked for. ``statuses`` are shown since then."""
        todo = Todo()
        self._showing.resume(statuses)
        self._sequenced(self.sequencer.begin(now), now, todo)
        return todo

    def told(self, name: str, told: Told, now: int) -> Todo:
        """``name`` said something."""
        todo = Todo()
        if isinstance(told, Linked):
            self._linked(name, told, now, todo)
        elif isinstance(told, Oddity):
            self._odd(name, told.text, now, todo)
        elif not isinstance(told, Wire) and told.symbol in self.selection.active:
            self._heard(name, told, now, todo)
        elif not isinstance(told, Wire):
            self._odd(name, f"tells {told.symbol[:SHOWN]!r}, which nobody asked for", now, todo)
        return self._told_of(todo, now)

    def ended(self, name: str, error: SourceError | None, now: int) -> Todo:
        """A connection ended."""
        todo = Todo()
        why, wait = (error.text.removeprefix(f"{name}: "), error.wait) if error is not None else ("", 0)
        refused = isinstance(error, SourceRefused)
        self._punctuality.forget(name)
        todo.notices += self._agreement.gone(name)
        self._changed(self.selection.ended(name, why, now, wait, refused), todo, now)
        return self._told_of(todo, now)

    def answered(self, question: Question, bars: tuple[Bar, ...] | None, why: str, now: int) -> Todo:
        """History answered; None: nobody did, ``why``."""
        todo = Todo()
        about = f"{question.symbol}/{question.timeframe}"
        code = f"history_silent/{about}"
        formed: list[Bar] | None = None
        if bars is not None:
            mine = [bar for bar in bars if (bar.symbol, bar.timeframe) == (question.symbol, question.timeframe)]
            formed = [one for bar in mine if isinstance(one := self._form(bar, now, todo), Bar)]
        self._sequenced(self.sequencer.answered(question, formed, now), now, todo)
        if bars is None:
            todo.notices += self.notices.happened(code, f"{about}: no history for a hole: {why}", now)
        else:
            todo.notices += self.notices.over(code, f"{about}: history answers again")
        return todo

    def learned(self, actions: Iterable[CorporateAction], why: str, now: int) -> Todo:
        """What history knows of splits, which explain prices that would be refused; ``why`` it does not answer."""
        self.judge.splits(one for one in actions if isinstance(one, Split))
        text = f"nobody says which splits there will be: {why}; a price that one explains may be refused"
        return Todo(notices=self.notices.hold("actions_unknown", text if why else "", now))

    def unkept(self, why: str, now: int) -> Todo:
        """What was published could not be kept; "" : it can be again."""
        if not why:
            return Todo(notices=self.notices.over("history_store", "live bars are kept again"))
        text = f"live bars are not kept: {why}; they are traded on all the same"
        return Todo(notices=self.notices.happened("history_store", text, now))

    def stepped(self, by: int, now: int) -> Todo:
        """Somebody set the clock by so much (ns): what was to be in a second still is. Sources keep times of their own:
        all connections end, and begin again."""
        self._looked += by
        parts: tuple[_Timed, ...] = (
            self.selection, self.sequencer, self.reserve, self.notices, self._agreement, self._punctuality,
            self._showing, self._standing, *self._staleness.values(),
        )  # fmt: skip
        for part in parts:
            part.shift(by)
        text = (
            f"the clock was set {'forward' if by > 0 else 'back'} by {abs(by) / SECOND:.0f} s: all sources begin anew"
        )
        running = [
            one.name for one in self.selection.candidates.values() if one.state in (State.CONNECTING, State.LIVE)
        ]
        return Todo(notices=self.notices.happened("clock_set", text, now), end=running)

    def tick(self, now: int) -> Todo:
        """What time brings."""
        todo = Todo()
        for symbol, name in self.selection.active.items():
            if name and self._staleness[name].of(symbol, Kind.QUOTES, now) is Freshness.STALE:
                self._changed(self.selection.stale(name, symbol, now), todo, now)
        self._changed(self.selection.tick(now), todo, now)
        for bar in self.reserve.due(now):
            self._punctuality.expects(self.selection.active.get(bar.symbol, ""), bar)
            self._sequenced(self.sequencer.bar(bar, now), now, todo)
        for name, symbol in self._punctuality.overdue(now):  # once they are out: a change over brings those after them
            self._lags(name, symbol, True, now, todo)
        self._sequenced(self.sequencer.tick(now), now, todo)
        todo.views += self._showing.due(self.selection, now)
        if now - self._looked >= SECOND:
            self._looked = now
            self._look(now, todo)
        return self._told_of(todo, now)

    # --- what sources tell ----------------------------------------------------------------------------------------

    def _linked(self, name: str, linked: Linked, now: int, todo: Todo) -> None:
        self._changed(self.selection.linked(name, linked, now), todo, now)
        whys = {
            f"{symbol}: {why.removeprefix(f'{name}: ').removeprefix(f'{symbol}: ')}"
            for symbol, why in linked.lacking.items()
        }
        text = f"{name} does not tell {some(sorted(linked.lacking))} ({min(whys)})" if whys else ""
        todo.notices += self.notices.hold(f"source_lacks/{name}", text, now)

    def _odd(self, name: str, text: str, now: int, todo: Todo) -> None:
        self.odd += 1
        todo.notices += self.notices.happened(f"source_odd/{name}", f"{name}: {text.removeprefix(f'{name}: ')}", now)

    def _heard(self, name: str, told: Heard, now: int, todo: Todo) -> None:
        self._staleness[name].heard(told.symbol, CHANNELS[type(told)], now)
        self._changed(self.selection.heard(name, told.symbol, now), todo, now)
        active = self.selection.active.get(told.symbol) == name
        if isinstance(told, Bar):
            bar = self._form(told, now, todo)
            if isinstance(bar, Bar):
                self._traded(bar, bar.start if bar.volume > 0 else 0, now, todo)
                self._bar(name, bar, now, todo)
        elif isinstance(told, Status | PriceBand):
            self._status(told, now, todo)
        elif active:
            event = self._told(self.judge.in_turn(told, now), now, todo)
            if isinstance(event, Quote | Trade):
                todo.events.append(event)
            if isinstance(event, Trade):
                self._traded(event, event.time, now, todo)
            self._agree(event, now, todo)
        else:  # its time is compared with nobody's: another source's may well be ahead
            self._agree(self.judge.form(told, now).event, now, todo)

    def _status(self, told: Status | PriceBand, now: int, todo: Todo) -> None:
        event = self._told(self.judge.in_turn(told, now), now, todo)
        if isinstance(event, Status):
            for each in self._staleness.values():
                each.status(event, now)
        if isinstance(event, Status | PriceBand):
            self._showing.heard(event)

    def _traded(self, event: Bar | Trade, began: int, now: int, todo: Todo) -> None:
        """What is traded is not halted, though nobody told the end of its halt: that may have come while we were
        away."""
        since = self._showing.halted(event.symbol)
        if since is not None and began > since:
            self._status(Status(event.symbol, began, False, "", "it is traded again", event.source), now, todo)

    def _agree(self, event: Heard | None, now: int, todo: Todo) -> None:
        if isinstance(event, Quote):
            todo.notices += self._agreement.quote(event, now)

    def _bar(self, name: str, bar: Bar, now: int, todo: Todo) -> None:
        lags = self._punctuality.told(name, bar, now)
        if self.selection.active.get(bar.symbol) == name:
            refused = self._sequenced(self.sequencer.bar(bar, now), now, todo)
            if not refused:
                self.reserve.told(bar)
        else:
            for each in [bar] if self.sequencer.lacks(bar) else self.reserve.put(bar, now):
                self._sequenced(self.sequencer.bar(each, now), now, todo)
        self._lags(name, bar.symbol, lags, now, todo)

    def _lags(self, name: str, symbol: str, lags: bool | None, now: int, todo: Todo) -> None:
        if name and lags is not None:
            self._changed(self.selection.lags(name, symbol, now, lags), todo, now)

    # --- verdicts -------------------------------------------------------------------------------------------------

    def _form(self, event: Heard, now: int, todo: Todo) -> Heard | None:
        return self._told(self.judge.form(event, now), now, todo)

    def _told(self, verdict: Judged, now: int, todo: Todo) -> Heard | None:
        """Tell the owner of a verdict; what to go on with."""
        self.quarantined += verdict.event is None
        word = "quarantine" if verdict.event is None else "odd"
        for one in worth_telling(verdict):
            severity = Severity.WARNING if verdict.event is None or one.rule in GRAVE else Severity.INFO
            code, text = f"{word}/{one.symbol}/{one.rule}", f"{one.symbol}: {one.rule}: {one.text} ({one.source})"
            todo.notices += self.notices.happened(code, text, now, severity)
        return verdict.event

    # --- what follows ---------------------------------------------------------------------------------------------

    def _changed(self, changes: Changes, todo: Todo, now: int) -> None:
        todo.connect += changes.connect
        todo.end += changes.end
        todo.switches += changes.switches
        for switch in changes.switches:
            for bar in self.reserve.switched(switch.symbols):
                self._sequenced(self.sequencer.bar(bar, now), now, todo)

    def _sequenced(self, done: Sequenced, now: int, todo: Todo) -> bool:
        """Judge what comes out in its order; whether any of it was set aside, with nobody to tell it instead."""
        refused = False
        for bar in done.bars:
            event = self._told(self.judge.in_turn(bar, now), now, todo)
            if isinstance(event, Bar):
                todo.events.append(event)
            else:
                refused = self._instead(bar, now, todo) or refused
        for bar in done.revisions:
            event = self._told(self.judge.revised(bar, now), now, todo)
            if isinstance(event, Bar):
                todo.events.append(event)
        todo.questions += done.questions
        for hole in done.holes:
            about = f"{hole.symbol}/{hole.timeframe}"
            text = f"{about}: no bars from {moment(hole.start)} to {moment(hole.end)}, and no history of them"
            todo.notices += self.notices.happened(f"hole/{about}", text, now)
        return refused

    def _instead(self, bar: Bar, now: int, todo: Todo) -> bool:
        """A bar that was set aside: what the reserve knows of it is tried. Whether there is nothing yet."""
        self.sequencer.refused(bar)
        others = self.reserve.instead(bar)
        for other in others:
            self._sequenced(self.sequencer.bar(other, now), now, todo)
        return not others

    def _told_of(self, todo: Todo, now: int) -> Todo:
        """The owner hears of changes over once all of a moment are made."""
        if todo.switches:
            todo.notices += self._standing.look(now)
        return todo

    # --- what lasts -----------------------------------------------------------------------------------------------

    def _look(self, now: int, todo: Todo) -> None:
        todo.notices += self._standing.look(now)
        by_rule: dict[str, list[Finding]] = {}
        for finding in self.judge.silent(now):
            by_rule.setdefault(finding.rule, []).append(finding)
        for rule in ("bar_missing", "stale"):
            text = _together(rule, by_rule.get(rule, []))
            todo.notices += self.notices.hold(f"silent/{rule}", text, now, Severity.INFO)
        todo.notices += self.notices.tick(now)


def _together(rule: str, found: list[Finding]) -> str:
    """Many findings of one rule in a line; "" for none."""
    return f"{RULES[rule].says}: {some([one.symbol for one in found])}" if found else ""
