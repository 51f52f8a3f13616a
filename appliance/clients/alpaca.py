"""What streams of Alpaca's need of websockets beyond what alpaca-py takes."""

from __future__ import annotations

from typing import Any


def remembering() -> type[Any]:
    """websockets' connection, which also keeps the ``last`` frame that came, and follows no redirection, so that no key
    goes to another address."""
    from websockets.exceptions import InvalidHandshake
    from websockets.legacy.client import WebSocketClientProtocol
    from websockets.legacy.exceptions import RedirectHandshake

    class Remembering(WebSocketClientProtocol):
        last: bytes | str = b""

        async def recv(self) -> bytes | str:
            self.last = frame = await super().recv()
            return frame

        async def handshake(self, *args: Any, **named: Any) -> Any:
            try:
                return await super().handshake(*args, **named)
            except RedirectHandshake:
                raise InvalidHandshake("a redirection, which is not followed") from None

    return Remembering
