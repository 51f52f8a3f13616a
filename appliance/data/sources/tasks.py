"""The asyncio jobs of one live connection: the first that ends ends them all, and a stop is looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from appliance.data.sources.base import Stop

LOOK = 0.1
"""How often (s) a stop is looked for."""


async def first(*jobs: Coroutine[Any, Any, None] | asyncio.Task[None]) -> None:
    """Wait for the first job that ends, end those that were begun here, and raise what it raised; of several that ended
    together, the first in the order of ``jobs``."""
    begun = [job if isinstance(job, asyncio.Task) else asyncio.create_task(job) for job in jobs]
    mine = [task for task, job in zip(begun, jobs, strict=True) if task is not job]
    try:
        done, _ = await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(mine)
    for task in filter(done.__contains__, begun):
        task.result()


async def cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """End tasks, whatever they raise."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task


async def until_set(stop: Stop) -> None:
    """Ends once ``stop`` is set."""
    while not stop.is_set():
        await asyncio.sleep(LOOK)
