"""What a check says: pass, fail or skipped, in words, and what to do about it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Verdict(Struct, frozen=True):
    """``text`` says what was found and ``hint`` the next step, "" when there is none."""

    check: str
    verdict: Literal["pass", "fail", "skipped"]
    text: str
    hint: str = ""


def passed(check: str, text: str, hint: str = "") -> Verdict:
    """Nothing wrong was found."""
    return Verdict(check, "pass", text, hint)


def failed(check: str, text: str, hint: str) -> Verdict:
    """Something is wrong with the strategy."""
    return Verdict(check, "fail", text, hint)


def skipped(check: str, text: str, hint: str = "") -> Verdict:
    """It could not be told."""
    return Verdict(check, "skipped", text, hint)
