"""What a process wants its owner to know, each told once: when it begins, when it changes, when it is over."""

from __future__ import annotations

from appliance.core.base import Core
from appliance.domain.messages import Now
from appliance.domain.operations import Notice, Severity


class Notices:
    """Notices on one stream; what holds is a row, so that a restart neither repeats nor forgets it."""

    def __init__(self, core: Core, stream: str) -> None:
        self._core = core
        self._stream = stream
        self._held = core.table("notice", Notice)

    def holds(self, code: str, severity: Severity, text: str, now: Now) -> None:
        """Something is so, until ``over``."""
        notice = Notice(code, severity, text)
        if self._held.get(code) != notice:
            self._held[code] = notice
            self._core.emit(self._stream, notice, now)

    def over(self, code: str, text: str, now: Now) -> None:
        """It is so no longer; nothing is said where nothing held."""
        told = self._held.get(code)
        if told is not None:
            del self._held[code]
            self._core.emit(self._stream, Notice(code, told.severity, text, holds=False), now)

    def happened(self, code: str, severity: Severity, text: str, now: Now) -> None:
        """Something happened, and is over: an alert that is resolved as it is raised."""
        self.holds(code, severity, text, now)
        self.over(code, text, now)
