"""`docker checkpoint`: by the OCI runtime and CRIU where the machine can, else with a reason.

Debian 12's CRIU cannot run on newer kernels; a newer one is used if it is the first on the path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine

EXPERIMENTAL = "--experimental"
COUNT = "i=0; while :; do i=$((i+1)); echo $i; echo $i > /tmp/now; sleep 0.1; done"
RUNTIMES = ["io.containerd.runc.v2", *(["crun"] if KIND == "mobyd" else [])]
every_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


def criu() -> bool:
    """Can CRIU run here?"""
    return (
        shutil.which("criu") is not None
        and subprocess.run(["criu", "check"], capture_output=True, check=False).returncode == 0
    )


def own_runtime() -> bool:
    """Has crun been built with CRIU?"""
    return (
        "+CRIU" in subprocess.run(["crun", "--version"], capture_output=True, text=True, check=False).stdout
    )


needs_criu = pytest.mark.skipif(not criu(), reason="CRIU is not installed or cannot run on this kernel")


@pytest.fixture
def experimental(
    make_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """An engine that has what is not for everybody; its `crun` is one that has CRIU, if need be another's."""
    if not own_runtime():
        program = tmp_path / "bin" / "crun"
        program.parent.mkdir()
        program.write_text('#!/bin/sh\nexec runc "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return make_engine(EXPERIMENTAL)


def counted(engine: Engine, name: str) -> int:
    """How far it has counted."""
    return int(engine.ok("logs", "--tail", "1", name) or 0)


def counts_beyond(engine: Engine, name: str, number: int) -> None:
    """Returns when it has."""
    deadline = time.monotonic() + 20
    while counted(engine, name) <= number:
        assert time.monotonic() < deadline, engine.ok("logs", name)
        time.sleep(0.1)


def count(engine: Engine, runtime: str, network: str = "none") -> None:
    """A container that counts, and has begun to."""
    options = ("--name", "counts", "--runtime", runtime, "--network", network, "--tmpfs", "/tmp")
    engine.ok("run", "-d", *options, "busybox", "sh", "-c", COUNT)
    counts_beyond(engine, "counts", 3)


@needs_criu
@every_runtime
@pytest.mark.parametrize("network", ["none", "bridge"])
def test_a_container_goes_on_where_it_was(experimental: Engine, network: str, runtime: str) -> None:
    engine = experimental
    count(engine, runtime, network)
    assert engine.ok("checkpoint", "create", "--leave-running", "counts", "one") == "one"
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "counts") == "running"
    counts_beyond(engine, "counts", counted(engine, "counts"))
    assert engine.ok("checkpoint", "create", "counts", "two") == "two"
    assert engine.ok("wait", "counts") == "137"
    before = counted(engine, "counts")
    assert engine.ok("checkpoint", "ls", "counts").split() == ["CHECKPOINT", "NAME", "one", "two"]
    engine.ok("start", "--checkpoint", "two", "counts")
    assert engine.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "counts") == "running 0"
    counts_beyond(engine, "counts", before)
    # It has not begun anew, and what was in memory is there.
    assert engine.ok("logs", "counts").split().count("1") == 1
    assert int(engine.ok("exec", "counts", "cat", "/tmp/now")) > before
    assert engine.ok("top", "counts").count("\n") >= 1
    engine.ok("stop", "-t", "0", "counts")
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", "counts") == "137"
    engine.ok("checkpoint", "rm", "counts", "one")
    assert engine.ok("checkpoint", "ls", "counts").split() == ["CHECKPOINT", "NAME", "two"]
    # Without one it begins anew.
    engine.ok("start", "counts")
    engine.ok("rm", "-f", "counts")


@needs_criu
@every_runtime
def test_a_directory_of_ones_own(experimental: Engine, runtime: str) -> None:
    engine, place = experimental, experimental.root / "kept"
    count(engine, runtime)
    engine.ok("checkpoint", "create", "--checkpoint-dir", place, "counts", "one")
    engine.ok("wait", "counts")
    assert engine.ok("checkpoint", "ls", "counts").split() == ["CHECKPOINT", "NAME"]
    assert engine.ok("checkpoint", "ls", "--checkpoint-dir", place, "counts").split()[2:] == ["one"]
    before = counted(engine, "counts")
    engine.ok("start", "--checkpoint", "one", "--checkpoint-dir", place, "counts")
    counts_beyond(engine, "counts", before)
    engine.ok("rm", "-f", "counts")
    assert os.listdir(place) == ["one"]


@needs_criu
@every_runtime
def test_it_outlives_a_crash_of_the_daemon(experimental: Engine, runtime: str) -> None:
    engine = experimental
    count(engine, runtime)
    engine.ok("checkpoint", "create", "counts", "one")
    engine.ok("wait", "counts")
    engine.kill()
    engine.start()
    before = counted(engine, "counts")
    engine.ok("start", "--checkpoint", "one", "counts")
    engine.kill()
    engine.start()
    counts_beyond(engine, "counts", before)
    engine.ok("rm", "-f", "counts")


@needs_criu
@every_runtime
@pytest.mark.skipif(KIND != "mobyd", reason="dockerd fails with what runc says")
def test_a_torn_checkpoint_is_an_error_and_leaves_nothing(experimental: Engine, runtime: str) -> None:
    engine = experimental
    count(engine, runtime)
    engine.ok("checkpoint", "create", "counts", "one")
    engine.ok("wait", "counts")
    place = next(engine.root.glob("data/**/checkpoints/one"))
    for image in place.glob("core-*.img"):
        image.write_bytes(b"torn")
    assert "criu failed" in engine.fails("start", "--checkpoint", "one", "counts")
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "counts") == "exited"
    engine.ok("start", "counts")
    engine.ok("rm", "-f", "counts")


def test_only_in_experimental_mode(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "on", "busybox", "sleep", "600")
    disabled = b"This experimental feature is disabled by default"
    for request in (
        b"GET /containers/on/checkpoints HTTP/1.0\r\n\r\n",
        b"DELETE /containers/on/checkpoints/one HTTP/1.0\r\n\r\n",
        b'POST /containers/on/checkpoints HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n{"CheckpointID":"one"}',
    ):
        answer = engine.raw(request)
        assert b" 501 " in answer.splitlines()[0], answer
        assert disabled in answer
    answer = engine.raw(b"POST /containers/on/start?checkpoint=one HTTP/1.0\r\n\r\n")
    assert b" 400 " in answer.splitlines()[0]
    assert b"checkpoint is only supported in experimental mode" in answer


def test_wrong_names(experimental: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = experimental
    engine.ok("create", "--name", "made", "busybox", "true")
    engine.ok("run", "-d", "--name", "on", "busybox", "sleep", "600")
    number = engine.ok("inspect", "-f", "{{.Id}}", "made")
    assert f"container {number} is not running" in engine.fails("checkpoint", "create", "made", "one")
    assert "No such container: none" in engine.fails("checkpoint", "create", "none", "one")
    assert "No such container: none" in engine.fails("checkpoint", "ls", "none")
    assert "No such container: none" in engine.fails("checkpoint", "rm", "none", "one")
    assert "checkpoint one does not exist for container on" in engine.fails("checkpoint", "rm", "on", "one")
    assert "checkpoint one does not exist for container" in engine.fails(
        "start", "--checkpoint", "one", "made"
    )
    assert engine.ok("checkpoint", "ls", "on").split() == ["CHECKPOINT", "NAME"]
    for word in ("../outside", "x", ".hidden", "-x/y"):
        assert (
            "invalid checkpoint ID" in engine.fails("checkpoint", "create", "--", "on", word)
            or KIND != "mobyd"
        )
        assert (
            "invalid checkpoint ID" in engine.fails("start", "--checkpoint", word, "made") or KIND != "mobyd"
        )
    place = tmp_path_factory.mktemp("places")
    (place / "file").write_text("")
    (place / "here" / "one").mkdir(parents=True)
    taken = engine.fails("checkpoint", "create", "--checkpoint-dir", place / "here", "on", "one")
    assert "checkpoint with name one already exists for container on" in taken
    engine.fails("checkpoint", "ls", "--checkpoint-dir", place / "file", "on")
    engine.fails("checkpoint", "ls", "--checkpoint-dir", place / "nowhere", "on")
    engine.fails("checkpoint", "create", "--checkpoint-dir", place / "file", "on", "one")
    assert sorted(path.name for path in place.rglob("*")) == ["file", "here", "one"]


@pytest.mark.skipif(KIND != "mobyd", reason="dockerd says what containerd's shim says")
def test_what_is_missing_is_said(
    make_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "criu"
    broken.write_text("#!/bin/sh\necho 'Error: this kernel is too new' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    engine = make_engine(EXPERIMENTAL)
    engine.ok("run", "-d", "--name", "on", "busybox", "sleep", "600")
    said = engine.fails("checkpoint", "create", "on", "one")
    assert "criu cannot run on this kernel: Error: this kernel is too new" in said
    broken.write_text("#!/bin/sh\nexit 0\n")
    if not own_runtime():
        engine.ok("run", "-d", "--name", "crun", "--runtime", "crun", "busybox", "sleep", "600")
        assert "was built without CRIU" in engine.fails("checkpoint", "create", "crun", "one")
    assert engine.ok("checkpoint", "ls", "on").split() == ["CHECKPOINT", "NAME"]
    assert not list(engine.root.glob("data/**/checkpoints/*"))
