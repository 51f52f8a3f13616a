"""How an account at Alpaca is reached: keys, paper or live, addresses and patience."""

from __future__ import annotations

from msgspec import Struct

from appliance.errors import UsageError

_PATIENCE = ("connect", "answer", "deadline", "ping")
_KEYS = "make an API key on Alpaca's page, of the paper account or of the live one, and give both parts of it"


class AlpacaBrokerOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of the paper or of the live account. An empty ``url`` (``https://host``) or ``stream_url``
    (``wss://host/stream``, the whole address) is Alpaca's own for that account.

    ``extended_hours``: limit orders for the day may also work before and after the regular session. Seconds:
    ``connect`` to reach it, ``answer`` the longest silence within a reply, ``deadline`` a whole reply, ``ping`` between
    two signs of life of the stream, and the wait for each.
    """

    key: str = ""
    secret: str = ""
    paper: bool = True
    name: str = "alpaca"
    url: str = ""
    stream_url: str = ""
    extended_hours: bool = False
    connect: float = 2.0
    answer: float = 5.0
    deadline: float = 8.0
    ping: float = 5.0

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in ("key", "secret"))
        return f"AlpacaBrokerOptions(key={self.shown_key!r}, secret='***', {', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("name", self.name), ("key", self.shown_key), ("paper", self.paper)]

    @property
    def shown_key(self) -> str:
        """As much of the key as may be shown."""
        return f"{self.key[:4]}…" if len(self.key) > 8 else "***" if self.key else ""

    def checked(self) -> AlpacaBrokerOptions:
        """These options. Raises UsageError naming the first one that is wrong and what it may be."""
        for name in ("key", "secret"):
            if not getattr(self, name):
                raise UsageError(f"{self.name}: no {name}", hint=_KEYS)
            if any(character.isspace() or not character.isprintable() for character in getattr(self, name)):
                raise UsageError(f"{self.name}: {name} holds a space or a line end", hint="leave it out; " + _KEYS)
        for name, schemes in (("url", ("http://", "https://")), ("stream_url", ("ws://", "wss://"))):
            if getattr(self, name) and not getattr(self, name).startswith(schemes):
                raise UsageError(
                    f"{self.name}: {name} {getattr(self, name)!r}", hint=f"it begins with {' or '.join(schemes)}"
                )
        for name in _PATIENCE:
            if not 0 < getattr(self, name) <= 60:
                raise UsageError(f"{self.name}: {name} {getattr(self, name)}", hint="write seconds, above 0, up to 60")
        return self
