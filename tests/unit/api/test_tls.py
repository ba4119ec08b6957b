"""What a client of TLS does wrong is its own matter."""

from __future__ import annotations

import logging
import socket
import ssl

import pytest

from moby.api.tls import TlsFront


class Broken(TlsFront):
    """A client that is known already, and whose connection ends in an error."""

    error: Exception

    async def _handshake(self) -> None:
        return

    async def _outwards(self) -> None:
        raise self.error


def front(error: Exception) -> tuple[Broken, socket.socket]:
    client, stranger = socket.socketpair()
    plain, server = socket.socketpair()
    server.close()
    for end in (client, plain):
        end.setblocking(False)
    made = Broken(client, plain, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    made.error = error
    return made, stranger


@pytest.mark.parametrize(
    ("error", "level"),
    [
        pytest.param(OSError(107, "Transport endpoint is not connected"), logging.DEBUG, id="gone"),
        pytest.param(ssl.SSLError("bad record"), logging.DEBUG, id="no TLS"),
        pytest.param(RuntimeError("nobody thought of this"), logging.ERROR, id="our fault"),
    ],
)
async def test_a_lost_client_costs_its_own_connection_alone(
    error: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "moby.api.tls")
    made, stranger = front(error)
    with stranger:
        await made.run()
        assert stranger.recv(1) == b""
    assert [record.levelno for record in caplog.records] == [level]
