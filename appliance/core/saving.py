"""What strategies save: one row for what changes with every bar, and kept bars in rows of their own that do not."""

from __future__ import annotations

from typing import Any

from appliance.core.base import Core

WINDOWS = "windows"
CHUNKS = "chunks"


class Saves:
    """Snapshots by strategy. A window's chunks go into a table of their own, so that a bar rewrites only the last."""

    def __init__(self, core: Core) -> None:
        self._states = core.table("strategy", dict[str, Any])
        self._chunks = core.table("chunk", list[list[int | float]])

    def __contains__(self, name: str) -> bool:
        return name in self._states

    def keep(self, name: str, snapshot: dict[str, Any]) -> None:
        """Write what changed: most quotes change nothing."""
        windows = snapshot.get(WINDOWS, {})
        before = self._states.get(name, {}).get(WINDOWS, {})
        if windows or before:
            snapshot = {**snapshot, WINDOWS: {key: self._window(name, key, one) for key, one in windows.items()}}
            for key, window in before.items():
                self._forget(name, key, window[CHUNKS], windows.get(key, {}).get(CHUNKS, {}))
        if self._states.get(name) != snapshot:
            self._states[name] = snapshot

    def _window(self, name: str, key: str, window: dict[str, Any]) -> dict[str, Any]:
        """Write a window's chunks; its other state, and which chunks there are."""
        chunks: dict[str, Any] = window[CHUNKS]
        for number, rows in chunks.items():
            row = f"{name}/{key}/{number}"
            known = self._chunks.get(row)
            if known is not rows and known != rows:
                self._chunks[row] = rows
        return {**window, CHUNKS: list(chunks)}

    def _forget(self, name: str, key: str, before: list[str], now: dict[str, Any]) -> None:
        for number in before:
            if number not in now:
                self._chunks.drop(f"{name}/{key}/{number}")

    def load(self, name: str) -> dict[str, Any]:
        """A strategy's snapshot, whole; empty when there is none."""
        saved = self._states.get(name, {})
        windows = {
            key: {**window, CHUNKS: {number: self._chunks[f"{name}/{key}/{number}"] for number in window[CHUNKS]}}
            for key, window in saved.get(WINDOWS, {}).items()
        }
        return {**saved, WINDOWS: windows} if windows else dict(saved)

    def drop(self, name: str) -> None:
        """Forget a snapshot with all its chunks."""
        self.keep(name, {})
        self._states.drop(name)
