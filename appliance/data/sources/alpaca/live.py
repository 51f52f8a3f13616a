"""Live data from Alpaca's stream: one ``run`` is one connection, driven step by step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from appliance.data.sources.alpaca.connection import Connection
from appliance.data.sources.alpaca.conversation import CHANNELS, TIMEFRAME, Conversation, Revisions
from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.alpaca.requesting import Clock
from appliance.data.sources.base import Kind, Stop, Tell, Traits
from appliance.data.sources.tasks import cancelled, first, until_set
from appliance.errors import DataError, SourceDown


class AlpacaLive:
    """Bars, revised bars, quotes, trades, halts and price bands as they come. Trades that are corrected or cancelled
    later are told as Oddity."""

    def __init__(self, options: AlpacaOptions, clock: Clock = time.time_ns) -> None:
        self._options = options.checked()
        self.name = options.name
        self.traits = Traits(live=tuple(CHANNELS[options.market]), timeframes=(TIMEFRAME,))
        self._clock = clock
        self._revisions = Revisions()

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """See ``LiveSource.run``. Raises DataError when there is nothing to subscribe to."""
        conversation = Conversation(self._options, symbols, kinds, self._revisions)
        if not any(conversation.wanted.values()):
            raise DataError(
                f"{self.name} has nothing to subscribe to for {', '.join(symbols) or 'no symbol'}",
                hint=f"name a symbol, and one of {', '.join(kind.value for kind in self.traits.live)}",
            )
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._talk(conversation, tell, stop))
        finally:
            loop.close()  # unlike asyncio.run it waits for no look-up of a name that hangs

    async def _talk(self, conversation: Conversation, tell: Tell, stop: Stop) -> None:
        connection = Connection(self._options, self._clock)
        stopped = asyncio.create_task(until_set(stop))
        try:
            await first(connection.open(conversation.wanted), stopped)
            if not stopped.done():
                listening = self._listen(connection, conversation, tell)
                beating = connection.beat(lambda wire: tell(wire) if conversation.linked else None)
                linking = self._linking(conversation)
                await first(listening, beating, linking, stopped)
        finally:
            await cancelled([stopped])
            await connection.close()

    async def _listen(self, connection: Connection, conversation: Conversation, tell: Tell) -> None:
        """Until the connection ends, which raises."""
        while True:
            received, messages = await connection.next()
            for message in messages:
                for told in conversation.take(message, received):
                    tell(told)
            if conversation.ask_again:
                conversation.ask_again = False
                await connection.subscribe(conversation.wanted)

    async def _linking(self, conversation: Conversation) -> None:
        """Raises SourceDown unless the subscription is confirmed in time; else it never ends."""
        await asyncio.sleep(self._options.answer)
        if not conversation.linked:
            raise SourceDown(f"does not confirm the subscription in {self._options.answer:g} s", source=self.name)
        await asyncio.Event().wait()
