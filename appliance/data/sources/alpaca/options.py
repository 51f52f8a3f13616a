"""How Alpaca is reached: keys, feed, addresses and patience."""

from __future__ import annotations

from msgspec import Struct

from appliance.errors import UsageError

_CHOICES = {"feed": ("iex", "sip", "delayed_sip"), "market": ("stocks", "crypto")}
_PATIENCE = ("connect", "answer", "deadline", "ping")
DELAY = 900_000_000_000
"""How late (ns) the delayed feed is."""
PAGE_MAX = 10_000
"""Rows of one page, as the data API allows."""


class AlpacaOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Keys and addresses. An empty ``rest_url`` (``http://host:port``) or ``stream_url`` (``ws://host:port``) is
    Alpaca's own.

    ``feed``: ``iex`` is one exchange and free, ``sip`` all of them, ``delayed_sip`` all of them 15 minutes later.
    Seconds: ``connect`` to reach it, ``answer`` the longest silence within a reply, ``deadline`` a whole reply,
    ``ping`` between two signs of life of the stream, and the wait for each. ``page``: rows asked for at once.
    """

    key: str = ""
    secret: str = ""
    name: str = "alpaca"
    feed: str = "iex"
    market: str = "stocks"
    rest_url: str = ""
    stream_url: str = ""
    connect: float = 2.0
    answer: float = 5.0
    deadline: float = 20.0
    ping: float = 4.0
    page: int = PAGE_MAX

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in ("key", "secret"))
        return f"AlpacaOptions(key={self.shown_key!r}, secret='***', {', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("name", self.name), ("key", self.shown_key)]

    @property
    def lag(self) -> int:
        """How late (ns) the live feed is on purpose."""
        return DELAY if self.feed == "delayed_sip" else 0

    @property
    def shown_key(self) -> str:
        """As much of the key as may be shown."""
        return f"{self.key[:4]}…" if len(self.key) > 8 else "***" if self.key else ""

    def checked(self) -> AlpacaOptions:
        """These options. Raises UsageError naming the first one that is wrong and what it may be."""
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{self.name}: {name} {getattr(self, name)!r}", hint=f"write {' or '.join(allowed)}")
        for name in ("key", "secret"):
            if not getattr(self, name):
                raise UsageError(f"{self.name}: no {name}", hint=_KEYS)
            if any(character.isspace() or not character.isprintable() for character in getattr(self, name)):
                raise UsageError(f"{self.name}: {name} holds a space or a line end", hint="leave it out; " + _KEYS)
        for name, schemes in (("rest_url", ("http://", "https://")), ("stream_url", ("ws://", "wss://"))):
            if getattr(self, name) and not getattr(self, name).startswith(schemes):
                raise UsageError(
                    f"{self.name}: {name} {getattr(self, name)!r}", hint=f"it begins with {' or '.join(schemes)}"
                )
        for name in _PATIENCE:
            if not 0 < getattr(self, name) <= 600:
                raise UsageError(f"{self.name}: {name} {getattr(self, name)}", hint="write seconds, above 0, up to 600")
        if not 1 <= self.page <= PAGE_MAX:
            raise UsageError(f"{self.name}: page {self.page}", hint=f"write a number of rows from 1 to {PAGE_MAX}")
        return self


_KEYS = "make an API key on Alpaca's page and give both parts of it as the source's credential"
