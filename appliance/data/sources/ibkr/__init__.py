"""Market data from Interactive Brokers through ib_async (or ib_insync), imported where a connection is made."""

from __future__ import annotations

from appliance.data.sources.ibkr.history import IbkrHistory, Splits
from appliance.data.sources.ibkr.live import IbkrLive
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.domain.market import Sessions


def history(options: IbkrOptions, sessions: Sessions, splits: Splits | None = None) -> IbkrHistory:
    """Past data of ``sessions``; raw only with ``splits``. Raises UsageError for options that make no sense."""
    return IbkrHistory(options, sessions, splits)


def live(options: IbkrOptions) -> IbkrLive:
    """Live data. Raises UsageError for options that make no sense."""
    return IbkrLive(options)


__all__ = ["IbkrHistory", "IbkrLive", "IbkrOptions", "history", "live"]
