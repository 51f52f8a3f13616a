"""A server that speaks Alpaca's data REST and WebSocket, with faults that are switched on while it runs."""

from tests.standins.alpaca.faults import Faults
from tests.standins.alpaca.log import Entry, Log
from tests.standins.alpaca.market import Market, minutes
from tests.standins.alpaca.server import AlpacaStandIn

__all__ = ["AlpacaStandIn", "Entry", "Faults", "Log", "Market", "minutes"]
