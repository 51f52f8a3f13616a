"""Threads around live sources: what they tell arrives, in bounds, and how they end is known."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from appliance.clients.bell import Bell
from appliance.data.live import conduit as module
from appliance.data.live.conduit import Answered, Asker, Conduit, Crashed, Ended, Kept, Learned
from appliance.data.live.sequencer import Question
from appliance.data.sources.base import Kind, Linked, Stop, Tell, Traits
from appliance.domain.market import MINUTE, Bar, CorporateAction, Quote, Split
from appliance.errors import ApplianceError, DataError, EnvironmentFault, SourceDown, SourceError, SourceRefused

QUESTION = Question("SPY", "1m", 0, MINUTE)
BAR = Bar("SPY", "1m", 0, MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0)


class Scripted:
    """A source that does what it is given, in the thread it is run in."""

    name, traits = "scripted", Traits()

    def __init__(self, script: Callable[[Tell, Stop], None]) -> None:
        self.script = script

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        self.script(tell, stop)


class Past:
    """History of one bar, or an error."""

    name, traits = "past", Traits(history=True)

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        if self.error is not None:
            raise self.error
        yield (BAR,)

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        return ()


def heard(script: Callable[[Tell, Stop], None]) -> list[object]:
    """All a connection says until its end, collected as the loop does: waiting for the bell."""
    bell = Bell()
    line = Conduit(Scripted(script), ["SPY"], [Kind.BARS], bell)
    line.open()
    assert line.join(5)
    assert select.select([bell.fileno()], [], [], 5)[0]
    bell.hush()
    assert not select.select([bell.fileno()], [], [], 0)[0]
    taken: list[object] = list(line.take())
    bell.close()
    return taken


def test_bars_keep_their_order_and_quotes_conflate_with_their_extremes() -> None:
    def script(tell: Tell, stop: Stop) -> None:
        tell(Linked(("SPY",)))
        for step, bid in enumerate((10.0, 9.0, 11.0)):
            tell(Quote("SPY", step + 1, bid, bid + 1))
        tell(BAR)
        raise SourceDown("hung up")

    quote, linked, bar, ended = heard(script)
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.low, quote.high) == (11.0, 9.0, 12.0)
    assert (linked, bar) == (Linked(("SPY",)), BAR)
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, SourceDown)


def test_a_quote_that_is_none_hides_no_good_one_and_leaves_no_extremes() -> None:
    good, broken = Quote("SPY", 1, 10.0, 11.0), Quote("SPY", 2, 0.0, 11.0)

    def script(tell: Tell, stop: Stop) -> None:
        tell(good)
        tell(broken)
        raise SourceDown("hung up")

    quote, queued, _ = heard(script)
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.low, queued) == (10.0, 10.0, broken)


def test_a_full_queue_ends_the_connection_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 3)

    def script(tell: Tell, stop: Stop) -> None:
        while not stop.is_set():
            tell(BAR)

    *bars, ended = heard(script)
    assert bars == [BAR] * 3
    assert isinstance(ended, Ended)
    assert "more than 3" in str(ended.error)


def test_what_is_no_error_of_a_source_is_handed_on() -> None:
    def script(tell: Tell, stop: Stop) -> None:
        raise ZeroDivisionError

    (crashed,) = heard(script)
    assert isinstance(crashed, Crashed)
    assert isinstance(crashed.error, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(DataError("a range in the future"), SourceDown), (EnvironmentFault("no library"), SourceRefused)],
)
def test_what_a_source_cannot_do_is_the_end_of_a_connection_and_not_of_the_process(
    error: ApplianceError, kind: type[SourceError]
) -> None:
    def script(tell: Tell, stop: Stop) -> None:
        raise error

    (ended,) = heard(script)
    assert isinstance(ended, Ended)
    assert (type(ended.error), str(ended.error)) == (kind, f"scripted: {error.text}")


def test_an_end_we_asked_for_is_no_error() -> None:
    begun = threading.Event()

    def script(tell: Tell, stop: Stop) -> None:
        begun.set()
        stop.wait(5)

    line = Conduit(Scripted(script), ["SPY"], [Kind.BARS], Bell())
    line.open()
    assert begun.wait(5)
    line.end()
    assert line.join(5)
    assert line.take() == [Ended()]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ((Past(EnvironmentFault("no library")), Past()), Answered(QUESTION, (BAR,))),
        ((Past(SourceDown("down")), Past()), Answered(QUESTION, (BAR,))),
        ((Past(SourceDown("down")),), Answered(QUESTION, None, "down")),
        ((), Answered(QUESTION, None, "no source has such history")),
    ],
)
def test_the_first_history_that_answers_is_believed(sources: tuple[Past, ...], expected: Answered) -> None:
    bell = Bell()
    asker = Asker(sources, bell)
    asker.ask(QUESTION)
    until = time.monotonic() + 5
    while not (answers := asker.take()) and time.monotonic() < until:
        select.select([bell.fileno()], [], [], 5)
        bell.hush()
    asker.close()
    assert answers == [expected]


# --- what else history's thread does ----------------------------------------------------------------------------------


def answered(asker: Asker, bell: Bell, count: int) -> list[object]:
    """What an asker has said, once there is so much of it."""
    found: list[object] = []
    until = time.monotonic() + 5
    while len(found) < count and time.monotonic() < until:
        select.select([bell.fileno()], [], [], 5)
        bell.hush()
        found += asker.take()
    asker.close()
    return found


def test_keeping_that_fails_is_said_and_when_it_works_again_and_the_questions_go_on() -> None:
    bell = Bell()
    asker = Asker([Past()], bell)

    def fails() -> None:
        raise OSError(28, "No space left on device")

    for job in (fails, lambda: None, lambda: None):
        asker.keep(job)
    asker.ask(QUESTION)
    assert answered(asker, bell, 3) == [
        Kept("OSError: [Errno 28] No space left on device"), Kept(), Answered(QUESTION, (BAR,)),
    ]  # fmt: skip


class Knowing(Past):
    """History that also knows splits."""

    traits = Traits(history=True, actions=True)

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        if self.error is not None:
            raise self.error
        return (Split(symbols[0], start, 4, 1),)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ((Past(), Knowing(SourceDown("down")), Knowing()), Learned((Split("SPY", 5, 4, 1),))),
        ((Knowing(SourceDown("down")),), Learned(why="down")),
    ],
)
def test_splits_are_asked_of_who_knows_any(sources: tuple[Past, ...], expected: Learned) -> None:
    bell = Bell()
    asker = Asker(sources, bell)
    asker.learn(["SPY"], 5, 10)
    assert answered(asker, bell, 1) == [expected]


def test_nobody_is_asked_for_splits_who_knows_none() -> None:
    bell = Bell()
    asker = Asker([Past(SourceDown("down"))], bell)
    asker.learn(["SPY"], 5, 10)
    asker.ask(QUESTION)
    assert answered(asker, bell, 1) == [Answered(QUESTION, None, "down")]
