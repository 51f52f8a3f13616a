"""Interactive Brokers' gateway through ib_insync or ib_async, imported where a connection is made."""

from __future__ import annotations

from appliance.clients.ibkr.contracts import Spec, contract, spec
from appliance.clients.ibkr.library import load
from appliance.clients.ibkr.line import Line
from appliance.clients.ibkr.trouble import Ended, Mute, NoContract, NoGateway, Refused, Trouble, Unreachable

__all__ = [
    "Ended", "Line", "Mute", "NoContract", "NoGateway", "Refused", "Spec", "Trouble", "Unreachable", "contract",
    "load", "spec",
]  # fmt: skip
