"""Every event of every symbol is judged here, one at a time, live and after the fact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from appliance.data.validation.bars import BarJudge
from appliance.data.validation.clocks import Clocks
from appliance.data.validation.limits import DEFAULTS, ValidationLimits, ns
from appliance.data.validation.rules import RULES, SEVERITY, finding, judged
from appliance.data.validation.ticks import TickJudge
from appliance.data.validation.verdicts import Finding, Judged
from appliance.domain.market import SECOND, Bar, Heard, PriceBand, Quote, Sessions, Split, Trade, TradingStatus


class DataValidator:
    """Judges market events as they are heard; see ``RULES`` for what it looks for and what becomes of what it finds.

    ``sessions_of`` gives the sessions of a symbol (an empty table: nobody knows them, no gaps are looked for).
    ``splits`` by symbol are those that are known; others are guessed and flagged. The state is small, is not saved, and
    needs no clock: the first events after a start are judged by form alone. Raises UsageError for wrong limits.
    """

    def __init__(
        self,
        sessions_of: Callable[[str], Sessions],
        limits: ValidationLimits = DEFAULTS,
        splits: Mapping[str, Sequence[Split]] | None = None,
    ) -> None:
        self.limits = limits.checked()
        self.clocks = Clocks(limits)
        self._sessions_of = sessions_of
        self._splits = {symbol: list(known) for symbol, known in (splits or {}).items()}
        self._bars: dict[tuple[str, str], BarJudge] = {}
        self._ticks: dict[str, TickJudge] = {}
        self._halted: set[str] = set()
        delay = ns(limits.delay_seconds)
        self._stale, self._late = ns(limits.stale_quote_seconds) + delay, ns(limits.late_bar_seconds) + delay

    def check(self, event: Heard, now: int) -> Judged:
        """The verdict on an event; ``now`` (ns UTC) is the time it is judged at, or known at where it is recorded."""
        if isinstance(event, Quote):
            return self._timed(event, self._tick(event.symbol).quote(event, now))
        if isinstance(event, Trade):
            return self._timed(event, self._tick(event.symbol).trade(event, now))
        if isinstance(event, Bar):
            return self._bar(event, now)
        return self._told(event, now)

    def split(self, split: Split) -> None:
        """A split that is known from now on, at best before its time."""
        known = self._splits.setdefault(split.symbol, [])
        if split in known:
            return
        known.append(split)
        for (symbol, _), judge in self._bars.items():
            if symbol == split.symbol:
                judge.split(split)
        if split.symbol in self._ticks:
            self._ticks[split.symbol].split(split)

    def silent(self, now: int) -> tuple[Finding, ...]:
        """What should have been told by ``now`` (ns UTC) and was not: bars, quotes and trades, in session, of symbols
        that are not halted and have told of that kind before."""
        late = (
            found
            for (symbol, timeframe), judge in self._bars.items()
            if (found := self._late_bar(symbol, timeframe, judge, now))
        )
        mute = (found for symbol, judge in self._ticks.items() if (found := self._mute(symbol, judge, now)))
        return (*late, *mute)

    def _bar(self, bar: Bar, now: int) -> Judged:
        judge = self._bars.get((bar.symbol, bar.timeframe))
        if judge is None:
            try:
                judge = self._judge(bar)
            except ValueError as error:
                return judged(bar, [finding("bad_span", bar, bar.end, str(error))])
        verdict = judge.check(bar, now)
        ticks = self._ticks.get(bar.symbol)
        if ticks is not None and verdict.event is not None:
            ticks.believe(bar.close, bar.end)
        return verdict

    def _judge(self, bar: Bar) -> BarJudge:
        splits = self._splits.get(bar.symbol, ())
        judge = BarJudge(bar.timeframe, self._sessions_of(bar.symbol), self.limits, splits)
        self._bars[bar.symbol, bar.timeframe] = judge
        return judge

    def _tick(self, symbol: str) -> TickJudge:
        judge = self._ticks.get(symbol)
        if judge is None:
            judge = self._ticks[symbol] = TickJudge(self.limits, self._splits.get(symbol, ()))
        return judge

    def _timed(self, event: Quote | Trade, verdict: Judged) -> Judged:
        """Add what the clocks say, if the event tells when it was received."""
        found = self.clocks.heard(event) if event.received else None
        if found is None:
            return verdict
        outcome = max(verdict.outcome, found.outcome, key=SEVERITY.__getitem__)
        return Judged(verdict.event, outcome, (*verdict.findings, found))

    def _told(self, event: TradingStatus | PriceBand, now: int) -> Judged:
        if event.time > now + ns(self.limits.future_seconds):  # nothing would ever be newer than it
            early = (event.time - now) / SECOND
            return judged(event, [finding("from_the_future", event, event.time, f"{early:.1f} s from now", early)])
        if isinstance(event, PriceBand):
            return self._tick(event.symbol).band(event)
        (self._halted.add if event.halted else self._halted.discard)(event.symbol)
        return Judged(event)

    def _late_bar(self, symbol: str, timeframe: str, judge: BarJudge, now: int) -> Finding | None:
        session = self._in_session(symbol, now)
        if session is None:
            return None
        _, length = judge.due()
        due = max(judge.end, session) + length
        return _silence("bar_missing", symbol, now, now - due, self._late, f"{timeframe} bar") if due <= now else None

    def _mute(self, symbol: str, judge: TickJudge, now: int) -> Finding | None:
        session = self._in_session(symbol, now)
        last = max(judge.quoted, judge.traded)
        if session is None or not last:
            return None
        return _silence("stale", symbol, now, now - max(last, session), self._stale, "quote or trade")

    def _in_session(self, symbol: str, now: int) -> int | None:
        """When the session began that ``now`` is in; None where it is none, or the symbol is halted."""
        session = None if symbol in self._halted else self._sessions_of(symbol).at(now)
        return None if session is None else session.open


def _silence(rule: str, symbol: str, now: int, silent: int, allowed: int, what: str) -> Finding | None:
    if silent <= allowed:
        return None
    return Finding(
        rule, RULES[rule].outcome, symbol, now, f"no {what} for {silent / SECOND:.0f} s", "", silent / SECOND
    )
