"""One connection, where it ends between two steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from appliance.data.sources.ibkr.ranges import Page, size_of
from appliance.data.sources.ibkr.session import Session, load
from appliance.errors import SourceDown
from tests.data.ibkr.conftest import options_for
from tests.standins.ibkr import IbkrStandIn

PAGE = Page(1_381_152_600 * 10**9, 1_381_176_000 * 10**9, "1 D")
STEPS: list[Callable[[Session], Coroutine[Any, Any, object]]] = [
    lambda session: session.history("SPY", size_of("1m"), PAGE),
    lambda session: session.contract("IBM"),
    lambda session: session.barrier(),
    lambda session: session.beat(lambda: None),
    lambda session: session.until_lost(),
]


@pytest.mark.parametrize("step", STEPS, ids=["history", "contract", "barrier", "beat", "until_lost"])
def test_each_step_after_the_end_of_the_connection_is_down(
    one: IbkrStandIn, step: Callable[[Session], Coroutine[Any, Any, object]]
) -> None:
    async def talk() -> None:
        session = Session(load(), options_for(one), lambda *_: None, lambda _: None)
        await session.open(5)
        await session.contract("SPY")
        await asyncio.to_thread(one.hang_up)
        await asyncio.wait_for(asyncio.shield(session.lost), 5)
        with pytest.raises(SourceDown, match="the connection ended"):
            await asyncio.wait_for(step(session), 5)
        await session.close()

    asyncio.run(talk())


def test_a_contract_is_looked_up_once(one: IbkrStandIn) -> None:
    async def talk() -> None:
        session = Session(load(), options_for(one), lambda *_: None, lambda _: None)
        await session.open(5)
        assert await session.contract("SPY") is await session.contract("SPY")
        await session.close()

    asyncio.run(talk())
    assert len(one.log.of("received", "9")) == 1


def test_signs_of_life_and_a_barrier_at_the_same_time_are_all_answered(one: IbkrStandIn) -> None:
    """The libraries forget a first question for the time when a second one is asked."""

    async def talk() -> None:
        session = Session(load(), options_for(one), lambda *_: None, lambda _: None)
        await session.open(5)
        await asyncio.wait_for(asyncio.gather(*(session.barrier() for _ in range(5))), 5)
        await session.close()

    one.faults.slow = 0.02
    asyncio.run(talk())
    assert len(one.log.of("received", "49")) == 5
