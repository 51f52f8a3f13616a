"""One session with Alpaca: the connections for questions, the stream, and who is told."""

from __future__ import annotations

import threading
from typing import NamedTuple

from appliance.domain.venue import LinkState
from appliance.errors import VenueError, VenueNonsense, VenueRefused
from appliance.venues.alpaca.client import Clock, OnLimits, Requests
from appliance.venues.alpaca.events import heard
from appliance.venues.alpaca.executions import Executions
from appliance.venues.alpaca.names import Names
from appliance.venues.alpaca.options import AlpacaBrokerOptions
from appliance.venues.alpaca.questions import Questions
from appliance.venues.alpaca.stream import Stream
from appliance.venues.base import Hear, Heard, Lost

NOTED_MAX = 1_000
"""What was told once and is not told again; beyond this nothing is held back."""


class Known(NamedTuple):
    """What outlives a session: whose orders are whose, and which executions were told."""

    names: Names
    executions: Executions


class Link:
    """Opened once, closed once; from then on nobody is told anything. From any thread."""

    def __init__(
        self, options: AlpacaBrokerOptions, clock: Clock, hear: Hear, limits: OnLimits, known: Known
    ) -> None:  # fmt: skip
        self._name, self._clock, self._hear, self._known = options.name, clock, hear, known
        self._requests = Requests(options, clock, limits)
        self._stream = Stream(options, clock, self._take, self._ended)
        self._noted: dict[tuple[str, str], None] = {}
        self._told = threading.Lock()
        self._opened = self._over = False
        self._bug: Exception | None = None
        self._questions = Questions(self._requests, *known, clock)

    @property
    def questions(self) -> Questions:
        """What may be asked. Raises what the reader of the stream failed with, if it was a mistake of ours."""
        if self._bug is not None:
            raise self._bug
        return self._questions

    @property
    def listens(self) -> bool:
        """Whether the stream is alive."""
        return self._stream.alive

    def open(self) -> None:
        """Listen. Raises VenueError."""
        self._opened = True
        self._stream.open()

    def close(self) -> None:
        """End everything, quietly."""
        self._silence()
        self._stream.close()
        self._requests.close()

    def lost(self, error: VenueError) -> None:
        """The session is over, as an answer has shown: say so, once, where there was one."""
        if self._silence() and self._opened:
            self._hear(Lost(error, LinkState.REFUSED if isinstance(error, VenueRefused) else LinkState.DOWN))
        self._stream.close()

    def tell_once(self, about: tuple[str, str], one: Heard) -> None:
        """Tell it unless the same was told."""
        with self._told:
            if about in self._noted:
                return
            if len(self._noted) < NOTED_MAX:
                self._noted[about] = None
        self._tell(one)

    def _silence(self) -> bool:
        """Tell nothing more; False: that was so before."""
        with self._told:
            was, self._over = self._over, True
        return not was

    def _tell(self, one: Heard) -> None:
        if not self._over:
            self._hear(one)

    def _take(self, message: object) -> None:
        for one in heard(message, *self._known, self._clock()):
            self._tell(one)

    def _ended(self, error: Exception) -> None:
        if not isinstance(error, VenueError):  # it is raised in who asks next
            self._bug = error
            error = VenueNonsense(f"the reader of its stream failed ({type(error).__name__})", venue=self._name)
        self.lost(error)
