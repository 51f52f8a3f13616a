"""Arithmetic of spans of time: what they cover together, and what they leave open. Pure; times in ns UTC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Span = tuple[int, int]
"""``[start, end)``, ns UTC."""


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same instants as few spans as there can be, in order; empty spans are left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def without(start: int, end: int, spans: Iterable[Span]) -> tuple[Span, ...]:
    """The parts of ``[start, end)`` that are in none of ``spans``, in order."""
    return tuple(_open(start, end, merged(spans)))


def _open(start: int, end: int, spans: Iterable[Span]) -> Iterator[Span]:
    for first, last in spans:
        if last <= start:
            continue
        if first >= end:
            break
        if start < first:
            yield start, first
        start = last
    if start < end:
        yield start, end
