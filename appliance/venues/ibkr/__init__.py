"""Interactive Brokers through ib_insync or ib_async, imported where a connection is made."""

from __future__ import annotations

from appliance.venues.ibkr.broker import IbkrBroker
from appliance.venues.ibkr.options import IbkrTerms

__all__ = ["IbkrBroker", "IbkrTerms"]
