from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from appliance.data.sources.ibkr import IbkrHistory, IbkrLive, IbkrOptions, live
from appliance.data.sources.ibkr.pacing import Limit, Pacing
from appliance.domain.market import Sessions
from tests.standins.ibkr import IbkrStandIn, Market

Options = Callable[..., IbkrOptions]
HistoryOf = Callable[..., IbkrHistory]
LiveOf = Callable[..., IbkrLive]


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture(params=[176, 178])
def gateway(market: Market, request: pytest.FixtureRequest) -> Iterator[IbkrStandIn]:
    """A gateway of each protocol version that matters."""
    with IbkrStandIn(market, version=request.param) as stand_in:
        yield stand_in


@pytest.fixture
def one(market: Market) -> Iterator[IbkrStandIn]:
    """A gateway, where the protocol version makes no difference."""
    with IbkrStandIn(market) as stand_in:
        yield stand_in


def options_for(stand_in: IbkrStandIn, **others: object) -> IbkrOptions:
    """Options for a stand-in, with little patience, and others where they are given."""
    few = {"port": stand_in.port, "connect": 1.0, "answer": 2.0, "deadline": 2.0, "beat": 0.3, "settle": 0.05}
    return IbkrOptions(**{**few, **others})  # type: ignore[arg-type]


@pytest.fixture
def stream() -> LiveOf:
    return lambda to, **others: live(options_for(to, **others))


@pytest.fixture
def past(sessions: Sessions) -> Iterator[HistoryOf]:
    """History of a stand-in; all that were made are closed. ``unpaced`` leaves its own guard out."""
    made: list[IbkrHistory] = []

    def make(to: IbkrStandIn, unpaced: bool = False, splits: object = None, **others: object) -> IbkrHistory:
        source = IbkrHistory(options_for(to, **others), sessions, splits)  # type: ignore[arg-type]
        if unpaced:
            source._pacing = Pacing(Limit(10**6, 1), Limit(10**6, 1), 0)
        made.append(source)
        return source

    yield make
    for source in made:
        source.close()
