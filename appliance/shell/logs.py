"""Logging, set up once: readable lines on a terminal, JSON lines elsewhere, on standard error; secrets masked.

A record names its process and, given ``extra={"cause": event.position}``, the message it follows from.
"""

from __future__ import annotations

import json as json_format
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

MASK = "********"

_secrets: tuple[str, ...] = ()
_handler: logging.Handler | None = None


def setup(process: str, level: str = "info", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Log ``process`` to standard error (or ``stream``) from ``level`` up, as JSON lines when ``json`` is true, or is
    None and the stream is no terminal. A second call replaces the first. Raises ValueError for an unknown level."""
    global _handler
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    as_json = not target.isatty() if json is None else json
    handler.setFormatter(JsonLines(process) if as_json else PlainLines(process))
    root = logging.getLogger()
    root.setLevel(level.upper())
    if _handler is not None:
        root.removeHandler(_handler)
    root.addHandler(handler)
    _handler = handler
    logging.captureWarnings(True)


def hide(*secrets: str) -> None:
    """From now on, print ``MASK`` wherever one of these values would appear in a log line or traceback."""
    global _secrets
    # The longest first: a secret inside another must not leave the rest of the longer one readable.
    _secrets = tuple(sorted({*_secrets, *filter(None, secrets)}, key=lambda secret: (-len(secret), secret)))


def masked(text: str) -> str:
    """``text`` with every hidden secret replaced."""
    for secret in _secrets:
        text = text.replace(secret, MASK)
    return text


class PlainLines(logging.Formatter):
    """``12:00:00.123 WARNING guard: text (cause)``, local time, for a person at a terminal."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, its traceback below."""
        cause = getattr(record, "cause", "")
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname:<7} {self._process}: {record.getMessage()}"
        return masked("\n".join(filter(None, [f"{line} ({cause})" if cause else line, _traceback(record)])))


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time, level, process, logger, text`` and, where there are any, ``cause, error``."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The record as one JSON object."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "text": masked(record.getMessage()),
            "cause": masked(str(getattr(record, "cause", ""))),
            "error": masked(_traceback(record)),
        }
        return json_format.dumps({key: value for key, value in line.items() if value != ""}, ensure_ascii=False)


def _traceback(record: logging.LogRecord) -> str:
    return logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
