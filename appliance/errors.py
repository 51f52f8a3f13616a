"""The one error tree: every error names what went wrong, its exit code, and the next step."""

from __future__ import annotations

WAIT_MAX = 86_400_000_000_000
"""A day (ns): a server that wants to be left alone for longer is asked once a day."""


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


class SourceError(DataError):
    """A source of market data does not give what it was asked for (exit 3). ``source`` is its name, ``wait`` how long
    (ns) it wants to be left alone, 0: it did not say, and ``WAIT_MAX`` at most, whatever it says."""

    code, retryable = "SOURCE", True

    def __init__(self, text: str, *, source: str = "", wait: int = 0, hint: str = "") -> None:
        super().__init__(f"{source}: {text}" if source else text, hint=hint)
        self.source, self.wait = source, min(wait, WAIT_MAX)


class SourceDown(SourceError):
    """It cannot be reached, does not answer in time, hangs up, or fails on its side (5xx)."""

    code = "SOURCE_DOWN"


class SourceBusy(SourceError):
    """It wants fewer requests (429, pacing): ``wait`` before the next."""

    code = "SOURCE_BUSY"


class SourceNonsense(SourceError):
    """It answered with what is no market data: HTML, a truncated archive, fields that are not there."""

    code = "SOURCE_NONSENSE"


class SourceRefused(SourceError):
    """It refuses us: wrong keys, no subscription, an unknown symbol, a limit of the plan. Do not ask again."""

    code, retryable = "SOURCE_REFUSED", False


class VenueError(ApplianceError):
    """A broker does not do what it was asked for (exit 5). ``venue`` is its name, ``wait`` how long (ns) it wants to be
    left alone, 0: it did not say, and ``WAIT_MAX`` at most."""

    code, exit_code, retryable = "VENUE", 5, True

    def __init__(self, text: str, *, venue: str = "", wait: int = 0, hint: str = "") -> None:
        super().__init__(f"{venue}: {text}" if venue else text, hint=hint)
        self.venue, self.wait = venue, min(wait, WAIT_MAX)


class VenueDown(VenueError):
    """There is no connection: what was asked for has certainly not been sent."""

    code = "VENUE_DOWN"


class VenueBusy(VenueError):
    """It wants fewer requests (429, 100), and has not done what was asked for: ``wait`` before the next."""

    code = "VENUE_BUSY"


class VenueSilent(VenueError):
    """No answer came: what was asked for may have been done."""

    code = "VENUE_SILENT"


class VenueNonsense(VenueSilent):
    """The answer cannot be read, HTML for instance: what was asked for may have been done."""

    code = "VENUE_NONSENSE"


class VenueRefused(VenueError):
    """It refuses us as a whole: wrong or expired keys, an account that is closed. Its owner must act."""

    code, retryable = "VENUE_REFUSED", False


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
