"""A stand-in for Interactive Brokers' gateway: its native socket protocol, spoken to the real client libraries."""

from __future__ import annotations

from tests.standins.ibkr.market import Market, Row
from tests.standins.ibkr.server import IbkrStandIn

__all__ = ["IbkrStandIn", "Market", "Row"]
