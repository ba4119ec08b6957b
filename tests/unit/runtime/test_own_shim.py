from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from moby.monitor.shim.protobuf import Fields
from moby.runtime.own_shim import OwnShim

ID = "0123456789abcdef" * 4


@pytest.fixture
def own(tmp_path: Path) -> OwnShim:
    own = OwnShim(tmp_path / "it's here", tmp_path / "a run")
    own.install()
    own.install()
    (tmp_path / "bundle").mkdir()
    return own


def call(own: OwnShim, bundle: Path, action: str, name: str = ID) -> subprocess.CompletedProcess[bytes]:
    """The program, called as containerd does."""
    arguments = ["-namespace", "moby", "-address", "/c.sock", "-publish-binary", "/c", "-id", name, "-debug"]
    arguments += ["-bundle", str(bundle)] if action == "delete" else []
    environment = os.environ | {"TTRPC_ADDRESS": "/c.sock.ttrpc"}
    return subprocess.run(
        [own.program, *arguments, action], cwd=bundle, env=environment, capture_output=True, check=False
    )


@pytest.mark.parametrize("name", [ID, "short"])
def test_start_says_where_the_monitor_listens(
    own: OwnShim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bundle = tmp_path / "bundle"
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(own.socket(name).relative_to(tmp_path)))
        done = call(own, bundle, "start", name)
    address = f"unix://{own.socket(name)}"
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, address, b"")
    assert (bundle / "address").read_text() == address
    assert (bundle / "moby-events").read_text() == "/c.sock.ttrpc"


def test_start_without_a_monitor_says_so(own: OwnShim, tmp_path: Path) -> None:
    done = call(own, tmp_path / "bundle", "start")
    assert done.returncode == 1
    assert done.stdout.decode() == f"no monitor waits for container {ID}"


def test_delete_leaves_the_socket_of_a_monitor_that_waits_already(
    own: OwnShim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """containerd clears up after a killed one when it comes to it; the next start may be under way by then."""
    bundle = tmp_path / "bundle"
    monkeypatch.chdir(tmp_path)
    (bundle / "moby-exit").write_text("4711 3 1764300000\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(own.socket(ID).relative_to(tmp_path)))
        assert call(own, bundle, "delete").returncode == 0
        assert call(own, bundle, "start").returncode == 0


def test_only_the_socket_of_one_that_is_dead_is_removed(
    own: OwnShim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(own.socket(ID).relative_to(tmp_path)))
        listener.listen()
        own.forget(ID)
        assert own.socket(ID).exists()
    own.forget(ID)
    assert not own.socket(ID).exists()
    own.forget(ID)


def test_delete_has_nothing_to_do_after_the_monitor_has_done_it(own: OwnShim, tmp_path: Path) -> None:
    done = call(own, tmp_path / "bundle", "delete")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"init.pid": "4711"}, (4711, 137), id="it ran when the monitor was killed"),
        pytest.param({"init.pid": "4711", "moby-exit": "4711 3 1764300000\n"}, (4711, 3), id="it had ended"),
        pytest.param({}, (0, 137), id="it was being made"),
    ],
)
def test_delete_ends_what_a_killed_monitor_has_left(
    own: OwnShim, tmp_path: Path, files: dict[str, str], expected: tuple[int, int]
) -> None:
    bundle, runtime = tmp_path / "bundle", tmp_path / "runtime"
    runtime.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/called\n')
    runtime.chmod(0o700)
    for name, text in ({"moby-runtime": f"{runtime}\n/state of/it\n"} | files).items():
        (bundle / name).write_text(text)
    done = call(own, bundle, "delete")
    assert done.returncode == 0
    assert (tmp_path / "called").read_text() == f"--root /state of/it delete --force {ID}\n"
    answer = Fields(done.stdout)
    assert (answer.number(1), answer.number(2)) == expected
    assert Fields(answer.data(3)).number(1) >= 1764300000
    last = own.last_end(ID)
    assert last is not None
    assert (last.pid, last.exit_status) == expected
    assert last.exited_at is not None
    assert last.exited_at.timestamp() == Fields(answer.data(3)).number(1)
    assert call(own, bundle, "delete").stdout == b""
    own.forget(ID)
    assert own.last_end(ID) is None


def test_a_path_too_long_for_sockets_is_told_before() -> None:
    assert OwnShim(Path("/p"), Path("/" + "r" * 80)).usable
    assert not OwnShim(Path("/p"), Path("/" + "r" * 81)).usable
