"""What crun keeps of a container is used only where it is as it is known."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from moby.monitor.shim import crun_state

PATH = "/docker/box"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container's state, and its cgroup in two hierarchies of three."""
    for hierarchy in ("cpu", "memory", "pids"):
        (tmp_path / "cgroup" / hierarchy).mkdir(parents=True)
    for hierarchy in ("cpu", "memory"):
        (tmp_path / "cgroup" / hierarchy / PATH[1:]).mkdir(parents=True)
    monkeypatch.setattr(crun_state, "_CGROUPS", str(tmp_path / "cgroup"))
    state = tmp_path / "state"
    state.mkdir()
    write(state)
    return state


def write(state: Path, config: dict[str, Any] | None = None, status: dict[str, Any] | None = None) -> None:
    (state / "config.json").write_text(json.dumps({"ociVersion": "1.0.2", "linux": {}} | (config or {})))
    known = {"pid": 1, "cgroup-path": PATH, "systemd-cgroup": False, "bundle": "/b"}
    (state / "status").write_text(json.dumps(known | (status or {})))


def cgroups(state: Path) -> list[str]:
    return sorted(path.parent.parent.name for path in (state.parent / "cgroup").glob("*/docker/box"))


def test_what_has_ended_is_removed(state: Path) -> None:
    (state / "seccomp.bpf").write_bytes(b"12345678")
    assert crun_state.remove(str(state))
    assert not state.exists()
    assert cgroups(state) == []


def test_one_hierarchy(state: Path) -> None:
    (state.parent / "cgroup/cgroup.controllers").touch()
    (state.parent / "cgroup" / PATH[1:]).mkdir(parents=True)
    assert crun_state.remove(str(state))
    assert not (state.parent / "cgroup" / PATH[1:]).exists()
    assert cgroups(state) == ["cpu", "memory"]


@pytest.mark.parametrize(
    ("config", "status"),
    [
        pytest.param({"hooks": {"poststop": [{"path": "/x"}]}}, {}, id="hooks"),
        pytest.param({"linux": {"intelRdt": {}}}, {}, id="caches that are shared out"),
        pytest.param({}, {"systemd-cgroup": True}, id="systemd's cgroups"),
        pytest.param({}, {"cgroup-path": ""}, id="no cgroup"),
        pytest.param({}, {"cgroup-path": "/"}, id="the first cgroup"),
        pytest.param({}, {"cgroup-path": "/docker/../x"}, id="a path that leads out"),
        pytest.param({}, {"cgroup-path": None}, id="another form"),
    ],
)
def test_the_rest_is_left_to_crun(state: Path, config: dict[str, Any], status: dict[str, Any]) -> None:
    write(state, config, status)
    assert not crun_state.remove(str(state))
    assert (state / "status").exists()
    assert cgroups(state) == ["cpu", "memory"]


def test_cgroups_within_it_and_files_that_are_unknown_are_left_to_crun(state: Path) -> None:
    (state / "more").touch()
    assert not crun_state.remove(str(state))
    (state / "more").unlink()
    (state.parent / "cgroup/memory" / PATH[1:] / "inner").mkdir()
    assert not crun_state.remove(str(state))
    assert (state / "status").exists()


def test_what_waits_is_let_go_on(state: Path) -> None:
    os.mkfifo(state / "exec.fifo")
    reader = os.open(state / "exec.fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert crun_state.begin(str(state))
        assert os.read(reader, 10) == b"\0"
    finally:
        os.close(reader)
    assert not (state / "exec.fifo").exists()


def test_what_does_not_wait_or_has_hooks_is_left_to_crun(state: Path) -> None:
    assert not crun_state.begin(str(state))
    os.mkfifo(state / "exec.fifo")
    assert not crun_state.begin(str(state))  # nobody reads
    reader = os.open(state / "exec.fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(state, {"hooks": {"poststart": [{"path": "/x"}]}})
        assert not crun_state.begin(str(state))
        assert (state / "exec.fifo").exists()
    finally:
        os.close(reader)
