"""What a strategy raised, in words that can be sent: bounded, in UTF-8, whatever the error makes of it."""

from __future__ import annotations

import traceback

from appliance.domain.wire import sendable

TRACEBACK_LINES = 12
LINE_MAX = 500
"""Characters of one line of what a strategy raised."""


def said(error: BaseException) -> str:
    """An error in one line: its kind and words, if it has any."""
    try:
        text = str(getattr(error, "text", None) or error)
    except Exception:
        text = "its text cannot be told"
    return sendable(f"{type(error).__name__}: {text}" if text else type(error).__name__, LINE_MAX)


def traced(error: BaseException) -> str:
    """The last lines of a traceback, for an alert and the log."""
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(sendable(line, LINE_MAX) for line in lines[-TRACEBACK_LINES:])
