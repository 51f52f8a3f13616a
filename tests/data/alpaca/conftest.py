from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from appliance.data.sources.alpaca import AlpacaHistory, AlpacaLive, AlpacaOptions, history, live
from appliance.domain.market import Sessions
from tests.standins.alpaca import AlpacaStandIn, Market
from tests.standins.alpaca.server import KEY, SECRET

Options = Callable[..., AlpacaOptions]
HistoryOf = Callable[..., AlpacaHistory]
LiveOf = Callable[..., AlpacaLive]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine is not asked for addresses of the machine itself."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def server(market: Market) -> Iterator[AlpacaStandIn]:
    with AlpacaStandIn(market) as stand_in:
        yield stand_in


@pytest.fixture
def options(server: AlpacaStandIn) -> Options:
    """Options for the stand-in, with little patience, and others where they are given."""

    def make(to: AlpacaStandIn | None = None, **others: object) -> AlpacaOptions:
        to = to or server
        few = {"key": KEY, "secret": SECRET, "rest_url": to.rest_url, "stream_url": to.stream_url}
        return AlpacaOptions(**{**few, "connect": 1.0, "answer": 1.5, "ping": 0.5, **others})  # type: ignore[arg-type]

    return make


@pytest.fixture
def past(options: Options, sessions: Sessions) -> HistoryOf:
    return lambda to=None, **others: history(options(to, **others), sessions)


@pytest.fixture
def stream(options: Options) -> LiveOf:
    return lambda to=None, **others: live(options(to, **others))
