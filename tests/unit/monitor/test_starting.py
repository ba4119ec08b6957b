"""A fork server that is started: it can be called at once, or it is told why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moby.core.errors import Unavailable
from moby.monitor.client import Monitors
from moby.monitor.protocol import Done, Living, Names, Stop, receive, send
from moby.monitor.starting import PROGRAM, start_server


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


def test_it_has_not_what_every_monitor_would_pay_for() -> None:
    program = PROGRAM.replace("main(sys.argv[1:])", "print(*sys.modules); import typing_extensions")
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heavy = {"inspect", "ipaddress", "pathlib", "threading", "typing_extensions", "urllib"}
    assert "moby.monitor.server" in done.stdout.split()
    assert heavy.isdisjoint(done.stdout.split()), heavy & set(done.stdout.split())
