"""What can be wrong with a gateway, each switched on and off while it runs."""

from __future__ import annotations

from tests.standins.faults import Switches


class Faults(Switches):
    """Those of a gateway; each change is in its log."""

    refuse: bool = False
    """TCP is accepted, and nothing is ever read or answered: the wedge of gateway 10.41."""
    half_open: bool = False
    """Nothing is read any more and nothing sent; the connections stay open."""
    mute: bool = False
    """No market data; all else is answered."""
    slow: float = 0.0
    """Seconds before each message."""
    silent: frozenset[str] = frozenset()
    """Ids of requests that are never answered."""
    pacing: bool = False
    """Each question about the past is a pacing violation."""
    refusing: tuple[int, str] = (0, "")
    """Each question about the past gets this error, with its code."""
