"""What the host does to an engine: no space, no descriptors, a containerd that stands still, lost files."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, Network
from tests.leftovers import processes

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="these are promises of ours")

FULL = "no space left on device"
UNANSWERED = "no answer"


@contextlib.contextmanager
def engine_on(root: Path, archive: Path, *arguments: str) -> Iterator[Engine]:
    """An engine whose data root somebody has prepared, with busybox loaded."""
    with Network(f"mobyt-{root.name}") as network:
        engine = Engine(root, network, KIND, arguments)
        try:
            engine.start()
            engine.ok("load", "--input", archive)
            yield engine
        finally:
            engine.remove()


@pytest.fixture
def small(place: Path, archive: Path) -> Iterator[Engine]:
    """An engine whose data root is a file system of its own, of 96 MiB."""
    root = place / uuid.uuid4().hex[:8]
    (root / "data").mkdir(parents=True)
    with (root / "disk").open("wb") as disk:
        disk.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-F", root / "disk"], check=True)
    subprocess.run(["mount", "-o", "loop", root / "disk", root / "data"], check=True)
    with engine_on(root, archive) as engine:
        yield engine


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


def test_what_cannot_be_written_down_does_not_run(make_engine: Callable[..., Engine]) -> None:
    """The state cannot be written from the moment that a container is made."""
    engine = make_engine()
    for name, options in (("box", ()), ("once", ("--rm",))):
        engine.ok("create", "--network", "none", "--name", name, *options, "busybox", "sleep", "600")
        with contextlib.closing(sqlite3.connect(engine.root / "data/moby.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            assert "cannot write state" in engine.fails("start", name)
            other.rollback()
        assert not any("sleep" in line for line in engine.leftovers().processes)
    assert engine.ok("inspect", "-f", "{{.State.Running}} {{.State.Pid}} {{.State.StartedAt}}", "box") == (
        "false 0 0001-01-01T00:00:00Z"
    )
    engine.kill()
    engine.start()
    engine.ok("start", "box")
    assert engine.ok("exec", "box", "echo", "here") == "here"
    engine.ok("rm", "-f", "box")


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


def attempts(engine: Engine) -> list[str]:
    """Verbs that write, each of which may fail with a reason; what they said."""
    commands = [
        ("create", "--name", "faulty", "busybox", "true"),
        ("run", "--rm", "busybox", "true"),
        ("volume", "create", "faulty"),
        ("network", "create", "faulty"),
        ("rename", "before", "after"),
        ("update", "--restart", "always", "before"),
        ("exec", "before", "true"),
        ("cp", "/etc/passwd", "before:/root/"),
        ("commit", "before", "faulty:1"),
        ("stop", "-t", "0", "before"),
        ("start", "before"),
    ]
    said = []
    for command in commands:
        try:
            result = engine.docker(*command, timeout=30)
        except subprocess.TimeoutExpired:
            said.append(f"{command[0]}: {UNANSWERED}")
        else:
            if result.code:
                said.append(f"{command[0]}: {result.err.strip()}")
    return said


def works_again(engine: Engine) -> None:
    """Whatever has failed can be done now, and a start finds nothing that contradicts itself."""
    for name in engine.ok("ps", "-aq").split():
        engine.ok("rm", "-f", "-v", name)
    engine.docker("volume", "rm", "faulty")
    engine.docker("network", "rm", "faulty")
    engine.docker("rmi", "-f", "faulty:1")
    for _ in range(2):
        assert engine.ok("run", "--rm", "busybox", "echo", "again") == "again"
        engine.ok("volume", "create", "faulty")
        engine.ok("volume", "rm", "faulty")
        assert engine.ok("ps", "-aq") == ""
        engine.kill()
        engine.start()


@pytest.mark.parametrize(
    "call",
    ["fsync,fdatasync", "pwrite64", "rename,renameat,renameat2", "mkdir,mkdirat", "unlink,unlinkat,rmdir"],
)
def test_input_and_output_errors(make_engine: Callable[..., Engine], call: str) -> None:
    """EIO from the disk, for a while and now and then; by strace(1), which lets system calls of the daemon fail."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    engine = make_engine()
    engine.ok("run", "-d", "--name", "before", "busybox", "sleep", "600")
    fault = f"inject={call}:error=EIO:when=1+2"
    with subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", fault, "-p", str(engine.pid)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as tracer:  # fmt: skip
        try:
            said = attempts(engine)
        finally:
            tracer.terminate()
            tracer.wait(30)
    # Nobody is told of a traceback, and whoever asked has an answer.
    assert not [line for line in said if "Traceback" in line or UNANSWERED in line or "EOF" in line], said
    if call in ("fsync,fdatasync", "pwrite64"):
        assert said, "nothing failed"
    if engine.crashed():
        engine.start()
    works_again(engine)


def test_no_memory(make_engine: Callable[..., Engine]) -> None:
    """ENOMEM: the daemon gets no more than it has."""
    engine = make_engine()
    engine.ok("run", "-d", "--name", "before", "busybox", "sleep", "600")
    sizes = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{engine.pid}/status").read_text().splitlines()
        if ":" in line
    )
    size = int(sizes["VmSize"].split()[0]) << 10
    before = resource.prlimit(engine.pid, resource.RLIMIT_AS)
    resource.prlimit(engine.pid, resource.RLIMIT_AS, (size + (64 << 10), before[1]))
    try:
        said = attempts(engine)
    finally:
        if Path(f"/proc/{engine.pid}").exists():
            resource.prlimit(engine.pid, resource.RLIMIT_AS, before)
    assert not [line for line in said if "Traceback" in line]
    if engine.crashed():
        engine.start()
    works_again(engine)


def test_no_memory_for_a_container(make_engine: Callable[..., Engine]) -> None:
    """A container that cannot even be made within its limit says so, and leaves nothing."""
    engine = make_engine()
    for _ in range(3):
        limit = ("-m", "6m", "--memory-swap", "6m")
        result = engine.docker("run", "--name", "tight", *limit, "busybox", "tail", "-c", "32m", "/dev/zero")
        assert result.code != 0
        assert engine.ok("inspect", "-f", "{{.State.Status}}", "tight") in ("exited", "created")
        engine.ok("rm", "tight")
    works_again(engine)


@pytest.fixture
def few_inodes(place: Path, archive: Path) -> Iterator[Engine]:
    """An engine whose data root is a file system with room and few inodes."""
    root = place / uuid.uuid4().hex[:8]
    (root / "data").mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "nr_inodes=900,size=256m", "tmpfs", root / "data"], check=True
    )
    with engine_on(root, archive, "--storage-driver", "native") as engine:
        yield engine


def test_no_inodes(few_inodes: Engine) -> None:
    engine = few_inodes
    fillers = engine.root / "data" / "fillers"
    fillers.mkdir()
    count = 0
    try:
        while True:
            (fillers / str(count)).touch()
            count += 1
    except OSError:
        pass
    said = engine.fails("run", "--rm", "busybox", "true", code=125)
    assert FULL in said.lower() or "unable to open database" in said or "disk" in said, said
    assert engine.docker("volume", "create", "none").code == 1
    assert engine.ok("ps", "-q") == ""
    shutil.rmtree(fillers)
    works_again(engine)


def test_the_state_of_a_newer_version_is_left_alone(make_engine: Callable[..., Engine]) -> None:
    """A downgrade: what is not understood is neither changed nor thrown away."""
    engine = make_engine()
    engine.ok("create", "--name", "made", "busybox", "true")
    assert engine.stop() == 0
    state = engine.root / "data/moby.db"
    with sqlite3.connect(state) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version={version + 7}")
    connection.close()
    before = state.read_bytes()
    with pytest.raises(RuntimeError, match=r"was written by a newer version"):
        engine.start()
    assert state.read_bytes() == before
    with sqlite3.connect(state) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    connection.close()
    engine.start()
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "made"
    engine.ok("rm", "made")


def test_the_state_of_an_older_version_is_brought_up(make_engine: Callable[..., Engine]) -> None:
    """An upgrade: what an older edition has written is understood, fields that it had not are as by default."""
    engine = make_engine()
    engine.ok("create", "--name", "made", "--label", "a=b", "busybox", "echo", "here")
    assert engine.stop() == 0
    state = engine.root / "data/moby.db"
    with sqlite3.connect(state) as connection:
        for key, text in connection.execute("SELECT key, document FROM containers").fetchall():
            record = json.loads(text)
            for newer in ("macs", "kept_log", "links", "started_before", "manually_stopped", "restart_count"):
                record.pop(newer, None)
            record["of_a_later_edition"] = {"x": 1}
            connection.execute("UPDATE containers SET document=? WHERE key=?", (json.dumps(record), key))
    connection.close()
    engine.start()
    assert engine.ok("inspect", "-f", "{{.Config.Labels.a}}", "made") == "b"
    assert engine.ok("start", "-a", "made") == "here"
    engine.ok("rm", "made")


@pytest.mark.parametrize("what", ["exec", "exec/containers", "exec/monitor", "exec/containerd", "exec/netns"])
def test_the_exec_root_is_wiped_while_it_runs(make_engine: Callable[..., Engine], what: str) -> None:
    """Somebody has tidied up /run: what runs may be lost, the next start makes everything anew."""
    engine = make_engine()
    engine.ok("run", "-d", "--name", "before", "busybox", "sleep", "600")
    subprocess.run(["sh", "-c", f"find {engine.root / what} -xdev -depth ! -type d -delete"], check=False)
    attempts(engine)
    try:
        engine.stop(60)
    except subprocess.TimeoutExpired:
        engine.kill()
    for line in processes(str(engine.root)):
        # The machine is started anew, at the latest.
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.partition(":")[0]), signal.SIGKILL)
    engine.start()
    works_again(engine)
