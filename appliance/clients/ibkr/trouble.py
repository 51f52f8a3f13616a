"""What goes wrong with a connection, before a room says in its own errors what that means for it."""

from __future__ import annotations


class Trouble(Exception):
    """``text`` says what, ``hint`` what to do about it."""

    def __init__(self, text: str, *, hint: str = "") -> None:
        super().__init__(text)
        self.text, self.hint = text, hint


class Unreachable(Trouble):
    """There is nobody: nothing was sent."""


class Ended(Trouble):
    """The connection is closed, or was closed meanwhile."""


class Mute(Trouble):
    """No answer came in time."""


class NoGateway(Trouble):
    """It speaks another protocol, or what cannot be read."""


class Refused(Trouble):
    """An answer that is none: the gateway's code and what it said."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(f"{said} (code {number})")
        self.number, self.said = number, said


class NoContract(Trouble):
    """A symbol of no form that we know."""
