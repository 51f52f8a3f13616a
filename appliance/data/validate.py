"""Look at data files before anything starts: the command line's first question."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.data.options import FileOptions
from appliance.data.rules import Verdict
from appliance.data.sources.files import FileFacts, FileReport, FileSource
from appliance.data.tracks import Gap

__all__ = ["FileFacts", "FileReport", "Gap", "Verdict", "check"]


def check(paths: Sequence[str], options: FileOptions) -> FileReport:
    """Read files exactly as the feed will, and say what is in them.

    Raises DataError (exit 3) naming file, row, column, value and rule, or UsageError for options that make no sense.
    """
    return FileSource(paths, options).report
