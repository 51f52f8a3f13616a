"""The one error tree: every error names what went wrong, its exit code, and the next step."""

from __future__ import annotations


class ApplianceError(Exception):
    """Root of every error we raise on purpose.

    ``code`` is stable and machine-readable, ``exit_code`` is what the command line ends with, ``retryable``
    says whether the same call may succeed later, and ``hint`` tells the owner what to do next.
    """

    code = "ERROR"
    exit_code = 1
    retryable = False

    def __init__(self, text: str, *, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.text}\n  hint: {self.hint}" if self.hint else self.text


class RefusedError(ApplianceError):
    """The appliance ran and the answer is no (exit 1)."""

    code = "REFUSED"


class UsageError(ApplianceError):
    """The command line is wrong (exit 2)."""

    code, exit_code = "USAGE", 2


class SettingsError(ApplianceError):
    """The settings are wrong; the text lists every mistake at once (exit 2)."""

    code, exit_code = "SETTINGS", 2


class DataError(ApplianceError):
    """Market data that cannot be used: the file, row and column are named (exit 3)."""

    code, exit_code = "DATA", 3


class StrategyError(ApplianceError):
    """A strategy does not load, or raised (exit 4)."""

    code, exit_code = "STRATEGY", 4


class EnvironmentFault(ApplianceError):
    """Something around us is missing or broken: Mosquitto, disk, permissions, another instance (exit 5)."""

    code, exit_code = "ENVIRONMENT", 5


class JournalError(EnvironmentFault):
    """The journal cannot be opened, read or written; the process that owns it must end."""

    code = "JOURNAL"


class BusError(EnvironmentFault):
    """The message bus refuses us."""

    code, retryable = "BUS", True


INTERRUPTED = 130
