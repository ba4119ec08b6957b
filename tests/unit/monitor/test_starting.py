"""A fork server that is started: it can be called at once, or it is told why not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moby.core.errors import Unavailable
from moby.monitor.client import Monitors
from moby.monitor.protocol import Done, Living, Names, Stop, receive, send
from moby.monitor.starting import start_server


def test_it_is_called_before_it_is_up(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    connection = start_server(path, {"none": "moby.logs.drivers.none:NoLog"})
    with connection:
        connection.setblocking(True)
        assert receive(connection) == (Done(), [])
        send(connection, Living())
        assert receive(connection) == (Names([]), [])
        send(connection, Stop())
        assert receive(connection) == (Done(), [])
        assert receive(connection) == (None, [])
    assert not path.exists()
    assert (tmp_path / "server.log").read_text() == ""


async def test_one_that_ends_at_once_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Unavailable, match="the fork server does not come up") as error:
        async with Monitors(tmp_path, {}):
            pass
    assert error.value.hint == f"see {tmp_path}/server.log"
