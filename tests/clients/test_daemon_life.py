"""The daemon as the one who runs it meets it: settings that change, files and sockets, its end."""

from __future__ import annotations

import grp
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import ROOT, Engine, command

ours_alone = pytest.mark.skipif(KIND != "mobyd", reason="about what we have and Debian's dockerd has not")


class Settings:
    """The daemon.json of one engine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("{}")

    def change(self, engine: Engine, **values: object) -> None:
        """Writes the file and tells the daemon."""
        self.path.write_text(json.dumps({name.replace("_", "-"): value for name, value in values.items()}))
        assert engine._process is not None
        engine._process.send_signal(signal.SIGHUP)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty one."""
    return Settings(tmp_path / "daemon.json")


def info(engine: Engine) -> dict[str, Any]:
    """What `docker info` is made of."""
    found: dict[str, Any] = json.loads(engine.ok("info", "-f", "{{json .}}"))
    return found


def await_(condition: Callable[[], bool], engine: Engine) -> None:
    """Returns when it is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, engine.tail()
        time.sleep(0.05)


def test_a_reload_is_seen_in_info_and_told_as_an_event(
    make_engine: Callable[..., Engine], settings: Settings
) -> None:
    engine = make_engine("--config-file", str(settings.path), load=False)
    before = info(engine)
    since = str(int(time.time()) - 1)
    settings.change(
        engine, debug=True, labels=["a=b", "c=d"], registry_mirrors=["https://mirror.test"], live_restore=False,
        max_concurrent_downloads=7, max_concurrent_uploads=8, shutdown_timeout=9,
    )  # fmt: skip
    await_(lambda: info(engine)["Debug"], engine)
    found = info(engine)
    assert sorted(found["Labels"]) == ["a=b", "c=d"]
    assert found["RegistryConfig"]["Mirrors"] == ["https://mirror.test/"]
    assert found["RegistryConfig"]["IndexConfigs"]["docker.io"]["Mirrors"] == ["https://mirror.test/"]
    assert found["LiveRestoreEnabled"] is False
    lines = engine.ok(
        "events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "type=daemon",
        "--filter", "event=reload", "--format", "{{json .}}",
    ).splitlines()  # fmt: skip
    assert len(lines) == 1
    event = json.loads(lines[0])
    assert event["Actor"]["ID"] == before["ID"]
    told = event["Actor"]["Attributes"]
    expected = {
        "name": before["Name"], "debug": "true", "live-restore": "false", "max-concurrent-downloads": "7",
        "max-concurrent-uploads": "8", "shutdown-timeout": "9", "default-shm-size": "67108864",
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert sorted(json.loads(told["labels"])) == ["a=b", "c=d"]


@pytest.mark.parametrize("wrong", [
    {"debug": "perhaps"}, {"nonsense": 1}, {"labels": ["no-value"]}, {"labels": ["a=1", "a=2"]},
    {"registry-mirrors": ["mirror.test"]}, {"default-runtime": "nothing"}, {"mtu": -1},
    {"pidfile": "/set/by/a/flag/too"}, "no JSON",
])  # fmt: skip
@ours_alone
def test_a_refused_reload_changes_nothing(
    make_engine: Callable[..., Engine], settings: Settings, wrong: Any
) -> None:
    engine = make_engine("--config-file", str(settings.path), load=False)
    settings.change(engine, labels=["kept=1"])
    await_(lambda: info(engine)["Labels"] == ["kept=1"], engine)
    since = str(time.time())
    settings.path.write_text(wrong if isinstance(wrong, str) else json.dumps({"labels": ["new=1"], **wrong}))
    assert engine._process is not None
    engine._process.send_signal(signal.SIGHUP)
    await_(lambda: "configuration not reloaded" in engine.tail(), engine)
    assert info(engine)["Labels"] == ["kept=1"]
    assert engine.ok("events", "--since", since, "--until", str(time.time())) == ""
    settings.change(engine, labels=["last=1"])
    await_(lambda: info(engine)["Labels"] == ["last=1"], engine)


@ours_alone
def test_a_new_default_runtime_and_stop_timeout_are_used_at_once(
    make_engine: Callable[..., Engine], settings: Settings
) -> None:
    engine = make_engine("--config-file", str(settings.path), "--add-runtime", "mine=/usr/sbin/runc")
    settings.change(engine, default_runtime="mine", default_stop_timeout=1)
    await_(lambda: info(engine)["DefaultRuntime"] == "mine", engine)
    deaf = engine.ok("run", "-d", "busybox", "sh", "-c", "trap '' TERM; while true; do sleep 1; done")
    assert engine.ok("inspect", "-f", "{{.HostConfig.Runtime}}", deaf) == "mine"
    began = time.monotonic()
    engine.ok("stop", deaf)
    assert time.monotonic() - began < 6
    settings.change(engine)
    await_(lambda: info(engine)["DefaultRuntime"] != "mine", engine)


def test_the_socket_is_for_the_group_that_is_named(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--group", "daemon", load=False)
    assert engine.socket.stat().st_gid == grp.getgrnam("daemon").gr_gid


def second(engine: Engine, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another daemon, which has to end by itself."""
    return subprocess.run(
        [
            *engine.network.enter, *command(KIND), "--data-root", str(directory / "data"),
            "--exec-root", str(directory / "exec"), "--bridge", "none", *arguments,
        ],
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_pidfile_and_a_socket_in_use_refuse_a_second_daemon(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = make_engine(load=False)
    pidfile = engine.root / "daemon.pid"
    number = pidfile.read_text()
    done = second(engine, tmp_path, "--pidfile", str(pidfile), "--host", f"unix://{tmp_path}/d.sock")
    assert done.returncode == 1
    assert f"or delete {pidfile}" in done.stderr
    assert pidfile.read_text() == number
    if KIND == "mobyd":
        assert done.stderr.strip().endswith(f"process with PID {number} is still running")
        done = second(engine, tmp_path, "--pidfile", str(tmp_path / "pid"), "--host", engine.address)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("failed to load listeners: ")
        assert not (tmp_path / "pid").exists()
    assert engine.ok("version", "-f", "{{.Server.Version}}")


@ours_alone
def test_two_addresses_are_served_at_once_and_an_open_port_is_one_s_own(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = make_engine("--host", "tcp://127.0.0.1:2375", load=False)
    with engine.network.connect(2375) as client:
        client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.")
    engine.ok("version")
    done = second(
        engine, tmp_path, "--pidfile", str(tmp_path / "pid"), "--host", "tcp://127.0.0.1:2375",
    )  # fmt: skip
    assert done.returncode == 1
    assert "failed to load listeners: listen tcp://127.0.0.1:2375: address already in use" in done.stderr


def test_sigterm_ends_containers_and_leaves_nothing(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine("--live-restore=false")
    box = engine.ok("run", "-d", "-p", "8080:80", "busybox", "sleep", "600")
    engine.ok(
        "run",
        "-d",
        "--restart",
        "always",
        "--name",
        "again",
        "busybox",
        "sh",
        "-c",
        "trap exit TERM; sleep 600 & wait",
    )
    assert engine.stop() == 0
    assert not engine.socket.exists()
    assert not (engine.root / "daemon.pid").exists()
    left = engine.leftovers()
    assert not left.processes, left
    assert not left.mounts, left
    assert not left.links, left
    engine.start()
    assert engine.ok("inspect", "-f", "{{.State.Status}}", box) == "exited"
    await_(lambda: engine.ok("inspect", "-f", "{{.State.Status}}", "again") == "running", engine)


@ours_alone
def test_proxies_are_shown_without_passwords(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(
        "--http-proxy", "http://me:secret@proxy.test:3128", "--no-proxy", "*.test", load=False
    )
    found = info(engine)
    assert (found["HttpProxy"], found["NoProxy"]) == ("http://xxxxx:xxxxx@proxy.test:3128", "*.test")


@ours_alone
def test_sigterm_while_it_starts_leaves_nothing(make_engine: Callable[..., Engine]) -> None:
    """Also before there is an event loop to hear of it, when containerd has been begun already."""
    engine = make_engine()
    begun = engine.root / "exec/containerd/containerd.pid"
    for moment in (0.0, 0.05, 0.2):
        assert engine.stop() == 0
        assert not begun.exists()
        engine.start(wait=False)
        await_(begun.exists, engine)
        time.sleep(moment)
    assert engine.stop() == 0
    await_(lambda: not engine.leftovers().processes, engine)
    assert not begun.exists()
    assert not (engine.root / "daemon.pid").exists()
    engine.start()
    assert "busybox" in engine.ok("images")
