"""The stand-in itself, spoken to byte by byte: what it takes, refuses and counts."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.standins.ibkr import IbkrStandIn
from tests.standins.ibkr.peer import frame


class Wire:
    """A client that is only a socket."""

    def __init__(self, port: int, versions: str = "v157..178", client_id: int = 1) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5)
        hello = versions.encode()
        self._socket.sendall(b"API\0" + struct.pack(">I", len(hello)) + hello)
        self.greeting = self.read()
        if self.greeting is not None:
            self.send("71", "2", str(client_id), "")

    def send(self, *fields: str) -> None:
        self._socket.sendall(frame(list(fields)))

    def read(self) -> list[str] | None:
        """The next message; None: the connection was closed."""
        try:
            head = self._exactly(4)
            return self._exactly(struct.unpack(">I", head)[0]).decode().split("\0")[:-1]
        except (ConnectionError, EOFError):
            return None

    def until(self, message: str) -> list[str]:
        """The next message with this id."""
        while (fields := self.read()) is not None:
            if fields[0] == message:
                return fields
        raise EOFError("the connection was closed")

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def close(self) -> None:
        self._socket.close()


@contextmanager
def client(gateway: IbkrStandIn, **how: object) -> Iterator[Wire]:
    wire = Wire(gateway.port, **how)  # type: ignore[arg-type]
    try:
        yield wire
    finally:
        wire.close()


@pytest.mark.parametrize(
    ("offered", "asked", "agreed"), [(176, "v157..178", "176"), (178, "v157..178", "178"), (178, "v157..176", "176")]
)
def test_the_newest_version_that_both_know_is_agreed(offered: int, asked: str, agreed: str) -> None:
    with IbkrStandIn(version=offered) as gateway, client(gateway, versions=asked) as wire:
        assert wire.greeting is not None
        assert len(wire.greeting) == 2
        assert wire.greeting[0] == agreed
        assert wire.until("15") == ["15", "1", "DU1234567"]
        assert wire.until("9") == ["9", "1", "1"]
        assert [wire.until("4")[3] for _ in range(3)] == ["2104", "2107", "2158"]


def test_a_client_without_a_common_version_is_sent_away(one: IbkrStandIn) -> None:
    with client(one, versions="v201..220") as wire:
        assert wire.greeting is None


def test_a_second_client_of_the_same_id_gets_326_and_is_closed(one: IbkrStandIn) -> None:
    with client(one) as first:
        first.until("9")
        with client(one) as second:
            assert second.until("4")[3] == "326"
            assert second.read() is None


def test_fifty_messages_a_second_are_taken_and_the_third_offence_ends_it(one: IbkrStandIn) -> None:
    with client(one) as wire:
        for _ in range(49):
            wire.send("49", "1")
        for _ in range(49):
            wire.until("49")
        assert not [entry for entry in one.log.of("sent", "4") if "100" in entry.fields]
        with suppress(ConnectionError):  # it is closed while we still send
            for _ in range(160):
                wire.send("49", "1")
        while wire.read() is not None:
            pass
    one.log.until("closed")
    assert [entry.fields[3] for entry in one.log.of("sent", "4")][-3:] == ["100", "100", "100"]


def test_the_start_up_burst_is_answered(one: IbkrStandIn) -> None:
    asked = {"61": "62", "5": "53", "99": "102", "6": "54", "76": "74", "7": "55"}
    with client(one) as wire:
        for request, answer in asked.items():
            wire.send(request, "1", "8", "DU1234567")
            assert wire.until(answer)


def test_what_it_does_not_know_is_an_error_and_no_silence(one: IbkrStandIn) -> None:
    with client(one) as wire:
        wire.send("4711", "1")
        assert [wire.until("4")[3] for _ in range(4)][-1] == "321"


def test_what_is_no_api_is_closed(one: IbkrStandIn) -> None:
    with socket.create_connection(("127.0.0.1", one.port), 5) as other:
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert other.recv(100) == b""
