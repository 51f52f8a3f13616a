"""Unpacking what a server packed: whole, and never to more than was agreed."""

from __future__ import annotations

import zlib

_GZIP = b"\x1f\x8b"
_BITS = {"gzip": 31, "zlib": 15, "deflate": -15}


class TooLarge(ValueError):
    """It would unpack to more than what is allowed."""


class Truncated(ValueError):
    """Its end is missing; ``text`` is what there was."""

    def __init__(self, text: bytes) -> None:
        super().__init__("its end is missing")
        self.text = text


def unpacked(body: bytes | str, packing: str, largest: int) -> bytes:
    """The unpacked bytes; what begins as gzip or zlib is that, whatever ``packing`` (gzip, deflate) says.

    Raises ValueError: damaged, Truncated, or TooLarge."""
    packed = body.encode() if isinstance(body, str) else body
    kind = "gzip" if packed[:2] == _GZIP else "zlib" if packed[:1] == b"\x78" else packing
    unpacking = zlib.decompressobj(_BITS[kind])
    try:
        text = unpacking.decompress(packed, largest)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if unpacking.unconsumed_tail:
        raise TooLarge(f"more than {largest} bytes")
    if not unpacking.eof:
        raise Truncated(text)
    return text
