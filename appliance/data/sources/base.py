"""What the feed asks of a source of recorded market events."""

from __future__ import annotations

from typing import Protocol

from appliance.domain.messages import Offer


class Source(Protocol):
    """Market events in delivery order. Deterministic: the same position always gives the same events."""

    @property
    def position(self) -> int:
        """Market events consumed since the beginning."""

    def seek(self, position: int) -> None:
        """Go on after ``position`` events, as after a restart. Raises DataError when there are not that many."""

    def batch(self, limit: int) -> Offer:
        """The next events: at least ``limit`` of them while there are, and never a part of one timestamp.

        ``position`` is the source's after them, ``outside`` counts rows outside the sessions from the beginning up to
        here (a total, so that it survives restarts), ``done`` says that nothing follows.
        """

    def step(self) -> Offer:
        """The events of the next timestamp (``known_at``) alone."""
