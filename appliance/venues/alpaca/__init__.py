"""Alpaca: stocks and crypto, through alpaca-py."""

from appliance.venues.alpaca.broker import AlpacaBroker
from appliance.venues.alpaca.options import AlpacaBrokerOptions

__all__ = ["AlpacaBroker", "AlpacaBrokerOptions"]
