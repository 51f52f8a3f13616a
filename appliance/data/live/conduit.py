"""Live sources and history in threads of their own; what they say wakes the engine's loop through a socket pair."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from appliance.clients.bell import Bell
from appliance.core.feed import conflated
from appliance.data.live.sequencer import Question
from appliance.data.sources.base import HistorySource, Kind, LiveSource, Told
from appliance.data.validation.rules import INFINITE
from appliance.domain.market import Bar, CorporateAction, Quote
from appliance.errors import ApplianceError, DataError, SourceDown, SourceError, SourceRefused

QUEUE_MAX = 20_000
"""What may wait for the loop besides quotes; beyond, the connection is ended: nothing is dropped unseen."""


class Ended(Struct, frozen=True):
    """A connection ended: None is an order of ours, an error says why it ended by itself."""

    error: SourceError | None = None


class Crashed(Struct, frozen=True):
    """A thread raised what it must not: the process has to end."""

    error: BaseException


class Answered(Struct, frozen=True):
    """History's answer to ``question``; None: nobody answered, ``why`` says what each said."""

    question: Question
    bars: tuple[Bar, ...] | None
    why: str = ""


class Learned(Struct, frozen=True):
    """Splits and dividends the first history source with any knows of; ``why`` says why nobody does."""

    actions: tuple[CorporateAction, ...] = ()
    why: str = ""


class Kept(Struct, frozen=True):
    """Keeping bars failed (``why``), or works again ("")."""

    why: str = ""


Said = Answered | Learned | Kept
"""What history's thread says."""


class Conduit:
    """One connection of one source at a time. Quotes conflate by symbol; all else keeps its order, and so does a quote
    that is none: conflated it would hide a good one, and leave its prices behind as extremes."""

    def __init__(self, source: LiveSource, symbols: Sequence[str], kinds: Sequence[Kind], bell: Bell) -> None:
        self.source = source
        self._symbols, self._kinds = tuple(symbols), tuple(kinds)
        self._bell = bell
        self._lock = threading.Lock()
        self._queue: deque[Told | Ended | Crashed] = deque()
        self._quotes: dict[str, Quote] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin a connection. The one before must have told ``Ended``."""
        self._stop = stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(stop,), name=f"source-{self.source.name}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ask the connection to end; ``Ended`` follows."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread; whether it is gone."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def take(self, quotes: bool = True) -> list[Told | Ended | Crashed]:
        """What was told since the last call: quotes first, then all else in order. Without ``quotes`` they wait, and
        conflate."""
        with self._lock:
            taken = [*(self._quotes.values() if quotes else ()), *self._queue]
            if quotes:
                self._quotes.clear()
            self._queue.clear()
        return taken

    @property
    def quoted(self) -> bool:
        """Whether quotes wait."""
        return bool(self._quotes)

    def _run(self, stop: threading.Event) -> None:
        over = False

        def tell(told: Told) -> None:
            nonlocal over
            if over or (stop.is_set() and not isinstance(told, Bar)):
                return
            with self._lock:
                if isinstance(told, Quote) and 0.0 < told.bid <= told.ask < INFINITE:
                    self._quotes[told.symbol] = conflated(self._quotes.get(told.symbol), told)
                elif len(self._queue) < QUEUE_MAX:
                    self._queue.append(told)
                else:
                    over = True
                    stop.set()
            self._bell.ring()

        last: Ended | Crashed = Ended()
        try:
            self.source.run(self._symbols, self._kinds, tell, stop)
            if over or not stop.is_set():
                last = Ended(SourceDown("the connection ended without a word", source=self.source.name))
            if over:
                last = Ended(SourceDown(f"told more than {QUEUE_MAX} events at once", source=self.source.name))
        except SourceError as error:
            last = Ended(error)
        except ApplianceError as error:  # a question without sense, a library that is not there: others go on
            kind = SourceDown if isinstance(error, DataError) else SourceRefused
            last = Ended(kind(error.text, source=self.source.name, hint=error.hint))
        except BaseException as error:
            last = Crashed(error)
        with self._lock:
            self._queue.append(last)
        self._bell.ring()


class Asker:
    """Answers questions about the past, one after the other: the first history source that answers is believed."""

    def __init__(self, sources: Sequence[HistorySource], bell: Bell) -> None:
        self._sources, self._bell = tuple(sources), bell
        self._ready = threading.Condition()
        self._jobs: deque[Callable[[], Said | None]] = deque()
        self._answers: deque[Said | Crashed] = deque()
        self._closed = self._unkept = False
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Put a question; the answer is among ``take`` after the bell has rung."""
        self._do(lambda: self._answer(question))

    def learn(self, symbols: Sequence[str], start: int, end: int) -> None:
        """Ask for splits and dividends with an ex-date in ``[start, end)`` (ns UTC), where anybody knows of them."""
        if any(source.traits.actions for source in self._sources):
            self._do(lambda: self._learn(symbols, start, end))

    def keep(self, job: Callable[[], None]) -> None:
        """Let the thread do ``job`` in its turn; ``Kept`` tells when it begins to fail, and when that is over."""
        self._do(lambda: self._keep(job))

    def take(self) -> list[Said | Crashed]:
        """Answers since the last call."""
        with self._ready:
            taken = list(self._answers)
            self._answers.clear()
        return taken

    def close(self) -> None:
        """Take no more; the thread ends after what it does now."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    def _do(self, job: Callable[[], Said | None]) -> None:
        with self._ready:
            self._jobs.append(job)
            self._ready.notify()

    def _work(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._jobs or self._closed)
                if self._closed:
                    return
                job = self._jobs.popleft()
            said: Said | Crashed | None
            try:
                said = job()
            except BaseException as error:
                said = Crashed(error)
            if said is not None:
                with self._ready:
                    self._answers.append(said)
                self._bell.ring()

    def _answer(self, question: Question) -> Answered:
        whys = []
        for source in self._sources:
            if question.timeframe not in source.traits.timeframes:
                continue
            try:
                pages = source.bars((question.symbol,), question.timeframe, question.start, question.end)
                return Answered(question, tuple(bar for page in pages for bar in page))
            except ApplianceError as error:
                whys.append(error.text)
        return Answered(question, None, "; ".join(whys) or "no source has such history")

    def _learn(self, symbols: Sequence[str], start: int, end: int) -> Learned:
        whys = []
        for source in self._sources:
            try:
                if source.traits.actions:
                    return Learned(source.actions(symbols, start, end))
            except ApplianceError as error:
                whys.append(error.text)
        return Learned(why="; ".join(whys))

    def _keep(self, job: Callable[[], None]) -> Kept | None:
        before = self._unkept
        try:
            job()
        except Exception as error:  # a full disk, a broken file: the market goes on
            self._unkept = True
            return Kept(error.text if isinstance(error, ApplianceError) else f"{type(error).__name__}: {error}")
        self._unkept = False
        return Kept() if before else None
