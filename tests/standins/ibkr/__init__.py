"""A stand-in for Interactive Brokers' gateway: its native socket protocol, spoken to the real client libraries.

    with IbkrStandIn(Market("SPY"), version=176) as gateway:    # gateway.port
        gateway.books.price("SPY", "99.99", "100.01")           # the brokerage behind it: see tests.standins.brokerage
        gateway.books.log.accepted("my-ref")                    # what it really took, by orderRef; executions too
        gateway.books.by_client_id("my-ref")                    # the order as it stands; .fill(its id, 30, "100")
        gateway.faults.swallowed = 2                            # faults: the attributes of Faults
        gateway.restart(0.5, roll_back=1); gateway.lose(); gateway.restore(data_lost=False); gateway.farm(2110)
        gateway.log.until("received", "3")                      # the wire, as the gateway saw it

A brokerage's order that no client placed is shown as an owner's by hand: client 0, order id 0. It refuses what it does
not do (algorithms, conditions, what-if, combinations) rather than doing something else.
"""

from __future__ import annotations

from tests.standins.ibkr.faults import REJECTIONS, WARNINGS, Faults
from tests.standins.ibkr.market import Market, Row
from tests.standins.ibkr.server import IbkrStandIn

__all__ = ["REJECTIONS", "WARNINGS", "Faults", "IbkrStandIn", "Market", "Row"]
