"""What the host does to an engine: no space, no descriptors, a containerd that stands still, lost files."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, Network

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="these are promises of ours")

FULL = "no space left on device"


@pytest.fixture
def small(place: Path, archive: Path) -> Iterator[Engine]:
    """An engine whose data root is a file system of its own, of 96 MiB."""
    name = uuid.uuid4().hex[:8]
    root = place / name
    (root / "data").mkdir(parents=True)
    with (root / "disk").open("wb") as disk:
        disk.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-F", root / "disk"], check=True)
    subprocess.run(["mount", "-o", "loop", root / "disk", root / "data"], check=True)
    with Network(f"mobyt-{name}") as network:
        engine = Engine(root, network, KIND)
        try:
            engine.start()
            engine.ok("load", "--input", archive)
            yield engine
        finally:
            engine.remove()


def fill(directory: Path) -> Path:
    """A file that takes all the space there is."""
    path = directory / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            for size in (1 << 20, 1 << 12, 1):
                while True:
                    try:
                        file.write(b"\1" * size)
                    except OSError:
                        break
        finally:
            os.fsync(file.fileno())
    return path


def test_no_space(small: Engine) -> None:
    small.ok("run", "-d", "--name", "before", "busybox", "sh", "-c", "while sleep 0.1; do echo tick; done")
    filler = fill(small.root / "data")
    refused = small.fails("run", "--rm", "busybox", "true", code=125).lower()
    assert FULL in refused or "database or disk is full" in refused, refused
    # Whoever looks is served, and what runs runs.
    assert small.ok("ps", "--format", "{{.Names}}") == "before"
    assert small.ok("exec", "before", "echo", "here") == "here"
    filler.unlink()
    assert small.ok("run", "--rm", "busybox", "echo", "again") == "again"
    small.ok("rm", "-f", "before")
    assert small.ok("ps", "-aq") == ""
    small.kill()
    small.start()
    assert small.ok("ps", "-aq") == ""
    assert small.ok("run", "--rm", "busybox", "echo", "after") == "after"


def test_no_space_while_a_container_writes(small: Engine) -> None:
    command = "dd if=/dev/zero of=/big bs=64k; rm /big; echo done"
    shown = small.ok("run", "--name", "fills", "busybox", "sh", "-c", command)
    assert shown.endswith("done")
    assert "No space left on device" in small.docker("logs", "fills").err
    small.ok("rm", "fills")


def test_no_descriptors(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "on", "busybox", "sleep", "600")
    used = max(int(name) for name in os.listdir(f"/proc/{engine.pid}/fd"))
    before = resource.prlimit(engine.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, (used + 3, before[1]))
    try:
        for _ in range(5):
            engine.docker("run", "--rm", "busybox", "true", timeout=20)
    except subprocess.TimeoutExpired:
        pass  # Nobody could be let in.
    finally:
        resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, before)
    assert engine.ok("run", "--rm", "busybox", "echo", "again") == "again"
    assert engine.ok("ps", "--format", "{{.Names}}") == "on"
    engine.ok("rm", "-f", "on")


def test_a_containerd_that_stands_still(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "on", "busybox", "sleep", "600")
    containerd = engine.containerd
    os.kill(containerd, signal.SIGSTOP)
    try:
        # What needs no containerd is answered meanwhile.
        assert engine.ok("ps", "--format", "{{.Names}}", timeout=10) == "on"
        assert engine.ok("inspect", "-f", "{{.State.Status}}", "on", timeout=10) == "running"
        assert "containerd did not answer in time" in engine.fails("run", "--rm", "busybox", "true", code=125)
    finally:
        os.kill(containerd, signal.SIGCONT)
    assert engine.ok("run", "--rm", "busybox", "echo", "again") == "again"
    engine.ok("rm", "-f", "on")
    assert engine.ok("ps", "-aq") == ""


def test_the_exec_root_is_gone(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "on", "--restart", "always", "busybox", "sleep", "600")
    engine.ok("create", "--name", "made", "busybox", "echo", "made")
    engine.ok("stop", "-t", "0", "on")
    assert engine.stop() == 0
    shutil.rmtree(engine.root / "exec")
    engine.start()
    engine.ok("start", "on")
    assert engine.ok("exec", "on", "echo", "here") == "here"
    assert engine.ok("start", "-a", "made") == "made"
    engine.ok("rm", "-f", "on", "made")


@pytest.mark.parametrize("torn", [b"", b"not a database at all, but long enough to be looked at" * 100])
def test_a_torn_state_is_named_and_left_alone(make_engine: Callable[..., Engine], torn: bytes) -> None:
    engine = make_engine()
    engine.ok("create", "--name", "made", "busybox", "true")
    assert engine.stop() == 0
    state = engine.root / "data/moby.db"
    whole = state.read_bytes()
    for beside in state.parent.glob("moby.db-*"):
        beside.unlink()
    state.write_bytes(torn)
    if torn:
        with pytest.raises(RuntimeError, match=r"cannot read state .*moby.db"):
            engine.start()
        assert state.read_bytes() == torn
    else:
        engine.start()
        assert engine.ok("ps", "-aq") == ""
        assert engine.ok("run", "--rm", "busybox", "echo", "new") == "new"
        assert engine.stop() == 0
    for beside in state.parent.glob("moby.db-*"):
        beside.unlink()
    state.write_bytes(whole)
    engine.start()
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "made"
    engine.ok("rm", "made")
