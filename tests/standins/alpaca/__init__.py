"""Servers that speak Alpaca's REST and WebSockets, data and trading, with faults switched on while they run."""

from tests.standins.alpaca.faults import Faults
from tests.standins.alpaca.log import Entry, Log
from tests.standins.alpaca.market import Market, minutes
from tests.standins.alpaca.server import KEY, SECRET, AlpacaStandIn
from tests.standins.alpaca.trading_faults import MISHAPS, TradingFaults
from tests.standins.alpaca.trading_server import AlpacaTrading

__all__ = [
    "KEY", "MISHAPS", "SECRET", "AlpacaStandIn", "AlpacaTrading", "Entry", "Faults", "Log", "Market", "TradingFaults",
    "minutes",
]  # fmt: skip
