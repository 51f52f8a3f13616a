"""An event loop in a thread of its own, where both libraries can live."""

from __future__ import annotations

import asyncio


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """Run ``loop`` in this thread until it is stopped; what still runs in it is cancelled, and it is closed."""
    asyncio.set_event_loop(loop)  # before the library's import: ib_insync asks for the thread's loop
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
