"""Where the daemon listens: addresses, sockets and who may use them."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from moby.cli import listeners
from moby.cli.listeners import open_listener, remove
from moby.core.errors import Conflict, InvalidParameter, System


def listen(path: Path, group: str = str(os.getgid()), *, named: bool = True) -> dict[str, socket.socket]:
    """A socket of a test's own."""
    return open_listener(f"unix://{path}", group, named=named)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the socket to root")
def test_a_unix_socket_is_for_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "below" / "d.sock"
    found = listen(path, "4321")
    try:
        about = path.stat()
        assert (stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid) == (0o660, 0, 4321)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
        with pytest.raises(Conflict, match="another daemon listens there"):
            listen(path)
    finally:
        remove(found)
    assert not path.exists()
    remove(found)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the socket to root")
def test_what_a_dead_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    listen(path)[f"unix://{path}"].close()
    assert path.exists()
    remove(listen(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the socket to root")
def test_a_group_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="group nosuchgroup not found"):
        listen(tmp_path / "d.sock", "nosuchgroup")
    assert not (tmp_path / "d.sock").exists()
    found = listen(tmp_path / "d.sock", "nosuchgroup", named=False)
    assert (tmp_path / "d.sock").stat().st_gid == 0
    remove(found)


def test_a_directory_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "d.sock").mkdir()
    with pytest.raises(System, match="can't create unix socket"):
        listen(tmp_path / "d.sock")
    assert (tmp_path / "d.sock").is_dir()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_port_is_had_by_one(host: str) -> None:
    family = socket.AF_INET6 if host == "[::1]" else socket.AF_INET
    try:
        probe = socket.create_server((host.strip("[]"), 0), family=family)
    except OSError:
        pytest.skip("no such address here")
    with probe, pytest.raises(Conflict, match="address already in use"):
        open_listener(f"tcp://{host}:{probe.getsockname()[1]}", "", named=False)


def test_passed_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(tmp_path / name))
        made.append(one)
    base = 200
    for index, one in enumerate(made):
        os.dup2(one.detach(), base + index)
    monkeypatch.setattr(listeners, "_FIRST_PASSED", base)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_FDNAMES", "first:second")
    with pytest.raises(System, match="no sockets found via socket activation: fd://third"):
        open_listener("fd://third", "", named=False)
    (second,) = open_listener("fd://second", "", named=False).values()
    assert second.getsockname() == str(tmp_path / "b")
    second.detach()
    both = open_listener("fd://", "", named=False)
    assert [each.getsockname() for each in both.values()] == [str(tmp_path / "a"), str(tmp_path / "b")]
    remove(both)
    assert (tmp_path / "a").exists()


def test_sockets_passed_to_another_process_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    with pytest.raises(System, match="no sockets found via socket activation"):
        open_listener("fd://", "", named=False)
