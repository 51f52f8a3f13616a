"""What strategies save: one row for what changes with every bar, and rows of their own for what is kept for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.core.base import Core

CHUNK = 16
"""Values of a window that are saved together: once, when there are so many."""
WINDOWS = "windows"
INDICATORS = "indicators"
WINDOW = "window"
CHUNKS = "chunks"
OPEN = "open"

Window = dict[str, Any]
Whole = dict[str, list[Any]]
"""Full chunks of one window, by number."""


class Saves:
    """Snapshots by strategy. Full chunks of its windows never change: each has a row of its own, written once."""

    def __init__(self, core: Core) -> None:
        self._states = core.table("strategy", dict[str, Any])
        self._chunks = core.table("chunk", list[Any])
        self._known: dict[str, dict[str, Whole]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._states

    def keep(self, name: str, snapshot: dict[str, Any]) -> None:
        """Write what changed: most quotes change nothing."""
        before, after = self._whole(name), dict[str, Whole]()

        def slim(key: str, window: Window) -> Window:
            after[key] = self._write(f"{name}/{key}", window[CHUNKS], before.get(key, {}))
            return _without(window, after[key])

        snapshot = _changed(snapshot, slim)
        if self._states.get(name) != snapshot:
            self._states[name] = snapshot
        for key, chunks in before.items():
            for number in [number for number in chunks if number not in after.get(key, {})]:
                self._chunks.drop(f"{name}/{key}/{number}")
        self._known[name] = after

    def _write(self, place: str, chunks: Whole, before: Whole) -> Whole:
        """Write the full chunks that are new; all that are full."""
        whole = {number: values for number, values in chunks.items() if len(values) == CHUNK}
        for number, values in whole.items():
            if before.get(number) is not values and before.get(number) != values:
                self._chunks[f"{place}/{number}"] = values
        return whole

    def _whole(self, name: str) -> dict[str, Whole]:
        """The full chunks that are written, by window."""
        known = self._known.get(name)
        if known is None:
            known = {}

            def note(key: str, window: Window) -> Window:
                known[key] = self._read(f"{name}/{key}", window)
                return window

            _changed(self._states.get(name, {}), note)
        return known

    def _read(self, place: str, window: Window) -> Whole:
        return {str(number): self._chunks[f"{place}/{number}"] for number in range(*window[CHUNKS])}

    def load(self, name: str) -> dict[str, Any]:
        """A strategy's snapshot, whole; empty when there is none."""

        def full(key: str, window: Window) -> Window:
            chunks = {**self._read(f"{name}/{key}", window), **window[OPEN]}
            return {what: chunks if what == CHUNKS else value for what, value in window.items() if what != OPEN}

        return _changed(self._states.get(name, {}), full)


def _changed(snapshot: dict[str, Any], change: Callable[[str, Window], Window]) -> dict[str, Any]:
    """The same with each window changed that is kept in chunks: those of bars, and the long ones of indicators."""
    found = dict(snapshot)
    if WINDOWS in snapshot:
        found[WINDOWS] = {key: change(key, window) for key, window in snapshot[WINDOWS].items()}
    if INDICATORS in snapshot:
        found[INDICATORS] = [
            [label, {**saved, WINDOW: change(label, saved[WINDOW])} if isinstance(saved.get(WINDOW), dict) else saved]
            for label, saved in snapshot[INDICATORS]
        ]
    return found


def _without(window: Window, whole: Whole) -> Window:
    """A window without its full chunks: the number of the first one and the one after the last, and the open one."""
    numbers = [int(number) for number in whole]
    span = [min(numbers), max(numbers) + 1] if numbers else [0, 0]
    return {**window, CHUNKS: span, OPEN: {n: rows for n, rows in window[CHUNKS].items() if n not in whole}}
