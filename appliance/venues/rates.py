"""How often each broker may be asked, as data."""

from __future__ import annotations

from appliance.core.outbox import UNLIMITED, Rates
from appliance.core.rate_limit import Rate

RATES: dict[str, Rates] = {
    # 200 requests a minute and account; where a question takes more of them, the replies' headers tell. A look is
    # positions twice, orders, fills, activities and the account.
    "alpaca": Rates(
        {"requests": Rate(3, 20, 10)},
        {"submit": {"requests": 1}, "cancel": {"requests": 1}, "ask": {"requests": 1}, "look": {"requests": 6}},
    ),
    # 50 messages a second, the third offence ends the connection; the libraries' own throttle stands at 45.
    "ibkr": Rates(
        {"messages": Rate(40, 40, 10), "orders": Rate(5, 5)},
        {
            "submit": {"messages": 1, "orders": 1},
            "cancel": {"messages": 1},
            "ask": {"messages": 3},
            "look": {"messages": 6},
        },
    ),
}


def rates_of(venue: str) -> Rates:
    """The rates of a venue by its name; those of a venue in our own process are without limit."""
    return RATES.get(venue, UNLIMITED)
