"""Market data from Alpaca through alpaca-py, which is imported (70 MB, with pandas) only where a source is made."""

from __future__ import annotations

from appliance.data.sources.alpaca.history import AlpacaHistory
from appliance.data.sources.alpaca.live import AlpacaLive
from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.domain.market import Sessions


def history(options: AlpacaOptions, sessions: Sessions) -> AlpacaHistory:
    """Past data; bars of days and longer cover ``sessions``. Raises UsageError for options that make no sense."""
    return AlpacaHistory(options, sessions)


def live(options: AlpacaOptions) -> AlpacaLive:
    """Live data. Raises UsageError for options that make no sense."""
    return AlpacaLive(options)


__all__ = ["AlpacaHistory", "AlpacaLive", "AlpacaOptions", "history", "live"]
