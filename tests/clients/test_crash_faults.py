"""kill -9 of the daemon, of a runtime, of a monitor, at every step of every verb: each can be asked again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.leftovers import processes

pytestmark = pytest.mark.skipif(
    KIND != "mobyd", reason="dockerd stops or loses its containers; that is the point"
)

SLEEP = ("busybox", "sleep", "600")
# How long after the verb was begun; a few of them each time, all with `make storm`.
MOMENTS = (0.0, 0.003, 0.008, 0.015, 0.025, 0.04, 0.06, 0.1, 0.18)
CHOSEN = MOMENTS if os.environ.get("MOBY_STORM_SECONDS") else sorted(random.sample(MOMENTS, 2))

# What is to be done, what has to be there before, and what has to be true of `box` afterwards, whatever happened:
# the verb was done, or it was not, and then it can be.
VERBS: Sequence[tuple[str, Sequence[Sequence[str]], Sequence[str], Sequence[str]]] = [
    ("create", [], ["create", "--name", "box", "-p", "18081:80", *SLEEP], ["", "created"]),
    (
        "run",
        [],
        ["run", "-d", "--name", "box", "-p", "18081:80", "-v", "vol:/v", *SLEEP],
        ["", "created", "running", "exited"],
    ),
    (
        "start",
        [["create", "--name", "box", "-p", "18081:80", *SLEEP]],
        ["start", "box"],
        ["created", "running", "exited"],
    ),
    ("stop", [["run", "-d", "--name", "box", *SLEEP]], ["stop", "-t", "0", "box"], ["running", "exited"]),
    ("kill", [["run", "-d", "--name", "box", *SLEEP]], ["kill", "box"], ["running", "exited"]),
    (
        "restart",
        [["run", "-d", "--name", "box", *SLEEP]],
        ["restart", "-t", "0", "box"],
        ["running", "exited"],
    ),
    ("pause", [["run", "-d", "--name", "box", *SLEEP]], ["pause", "box"], ["running", "paused"]),
    (
        "unpause",
        [["run", "-d", "--name", "box", *SLEEP], ["pause", "box"]],
        ["unpause", "box"],
        ["running", "paused"],
    ),
    (
        "update",
        [["run", "-d", "--name", "box", *SLEEP]],
        ["update", "-m", "64m", "--memory-swap", "64m", "box"],
        ["running"],
    ),
    ("rename", [["run", "-d", "--name", "other", *SLEEP]], ["rename", "other", "box"], ["", "running"]),
    (
        "exec",
        [["run", "-d", "--name", "box", *SLEEP]],
        ["exec", "box", "sh", "-c", "sleep 0.05"],
        ["running"],
    ),
    ("cp", [["run", "-d", "--name", "box", *SLEEP]], ["cp", "/etc/passwd", "box:/root/"], ["running"]),
    ("commit", [["run", "-d", "--name", "box", *SLEEP]], ["commit", "box", "made:1"], ["running", "paused"]),
    (
        "rm",
        [["create", "--name", "box", "-v", "/anonymous", *SLEEP]],
        ["rm", "-v", "box"],
        ["", "created", "dead"],
    ),
    (
        "rm-f",
        [["run", "-d", "--name", "box", "-p", "18081:80", *SLEEP]],
        ["rm", "-f", "box"],
        ["", "running", "exited", "dead"],
    ),
    ("run-rm", [], ["run", "--rm", "--name", "box", "busybox", "true"], ["", "created", "running", "exited"]),
    ("prune", [["create", "--name", "box", *SLEEP]], ["container", "prune", "-f"], ["", "created", "dead"]),
]


def status(engine: Engine, name: str = "box") -> str:
    """What inspect says; nothing if there is none."""
    result = engine.docker("inspect", "-f", "{{.State.Status}}", name)
    return result.out.strip() if result.code == 0 else ""


def runs(engine: Engine) -> None:
    """What is said to run does, and what is not does not."""
    for name in ("box", "other"):
        said = status(engine, name)
        if not said:
            continue
        pid = int(engine.ok("inspect", "-f", "{{.State.Pid}}", name))
        assert (pid != 0 and Path(f"/proc/{pid}").exists()) == (said in ("running", "paused")), (said, pid)
        if said == "running":
            assert engine.ok("exec", name, "echo", "here") == "here"


def clear(engine: Engine) -> None:
    """Everything goes, and nothing is left of it."""
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
    assert engine.ok("ps", "-aq") == ""
    engine.docker("volume", "rm", "vol")
    engine.docker("rmi", "-f", "made:1")
    deadline = time.monotonic() + 15
    while engine.leftovers().links or left_of_containers(engine):
        assert time.monotonic() < deadline, (engine.leftovers().links, left_of_containers(engine))
        time.sleep(0.1)


def left_of_containers(engine: Engine) -> Sequence[str]:
    """Mounts and processes that only containers have."""
    left = engine.leftovers()
    found = [point for point in left.mounts if "rootfs" in point or "netns" in point]
    return [*found, *(line for line in left.processes if line.endswith("sleep 600"))]


@contextlib.contextmanager
def killed_while_it_comes_up(engine: Engine, rng: random.Random) -> Iterator[None]:
    """The next start is killed in the middle as well, then one is let through."""
    engine.start(wait=False)
    time.sleep(rng.random() * 0.6)
    engine.kill()
    engine.start()
    yield


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("verb", "before", "command", "allowed"), VERBS, ids=[verb[0] for verb in VERBS])
def test_kill_9_of_the_daemon_at_every_step(
    make_engine: Callable[..., Engine],
    verb: str,
    before: Sequence[Sequence[str]],
    command: Sequence[str],
    allowed: Sequence[str],
) -> None:
    engine = make_engine()
    rng = random.Random(verb)
    for moment in CHOSEN:
        for step in before:
            engine.ok(*step)
        with engine.spawn(*command) as process:
            time.sleep(moment + 0.01)
            engine.kill()
            process.kill()
        with killed_while_it_comes_up(engine, rng):
            found = status(engine)
        assert found in allowed, (moment, found)
        runs(engine)
        if found == "paused":
            engine.ok("unpause", "box")
        if verb not in ("exec", "cp", "commit", "update", "prune", "rm", "rm-f") and not (
            verb == "rename" and found
        ):
            engine.docker("rm", "-f", "box")
            for step in before:
                engine.docker(*step)
        again = engine.docker(*command)
        assert again.code == 0 or "No such container" in again.err, (moment, again)
        runs(engine)
        clear(engine)
    assert engine.ok("run", "--rm", "busybox", "echo", "fine") == "fine"


def test_kill_9_of_the_runtime(make_engine: Callable[..., Engine]) -> None:
    """Whatever it was about: the start fails or works, and nothing of it is left."""
    engine = make_engine()
    stop = threading.Event()

    def reap() -> None:
        while not stop.is_set():
            for line in processes(str(engine.root / "exec" / "runtime-")):
                words = line.split()
                if os.path.basename(words[1]) in ("crun", "runc") and "monitor" not in line:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(words[0].rstrip(":")), signal.SIGKILL)

    killer = threading.Thread(target=reap)
    killer.start()
    try:
        codes = [
            engine.docker("run", "-d", "--name", f"box{number}", *SLEEP, timeout=120).code
            for number in range(12)
        ]
    finally:
        stop.set()
        killer.join()
    assert set(codes) & {125, 126, 127}, "the runtime was never hit"
    for number, code in enumerate(codes):
        found = status(engine, f"box{number}")
        assert (found == "running") == (code == 0), (code, found)
        if code:
            assert engine.ok("start", f"box{number}") == f"box{number}"
    clear(engine)
    assert engine.ok("run", "--rm", "busybox", "echo", "fine") == "fine"


def monitor_of(engine: Engine, name: str) -> int:
    """The process that holds a container's output: its first process's parent."""
    pid = engine.ok("inspect", "-f", "{{.State.Pid}}", name)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


@pytest.mark.parametrize("down", [False, True], ids=["daemon up", "daemon down"])
def test_kill_9_of_the_process_that_writes_the_log(make_engine: Callable[..., Engine], down: bool) -> None:
    """It is the container's shim as well: the container ends with it, which is seen, and it starts again."""
    engine = make_engine()
    engine.ok("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo said; sleep 600")
    engine.ok("run", "-d", "--name", "again", "--restart", "always", "busybox", "sleep", "600")
    engine.ok("run", "-d", "--name", "other", *SLEEP)
    victims = [monitor_of(engine, "box"), monitor_of(engine, "again")]
    if down:
        engine.kill()
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    if down:
        engine.start()
    deadline = time.monotonic() + 30
    while status(engine) != "exited" or status(engine, "again") != "running":
        assert time.monotonic() < deadline, (status(engine), status(engine, "again"))
        time.sleep(0.1)
    assert engine.ok("logs", "box") == "said"
    # Also if nobody was there to hear of it.
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", "box") == "137"
    ids = [engine.ok("inspect", "-f", "{{.Id}}", name) for name in ("again", "other")]
    sockets = {path.name for path in (engine.root / "exec").glob("*/*.sock") if len(path.stem) == 64}
    assert sockets == {f"{one}.sock" for one in ids}
    assert {path.name for path in (engine.root / "exec/shims").iterdir()} == {one[:20] for one in ids}
    assert engine.ok("exec", "other", "echo", "here") == "here"
    engine.ok("start", "box")
    assert status(engine) == "running"
    clear(engine)


def test_kill_9_of_a_shim_of_others(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine.ok("run", "-d", "--name", "box", "--runtime", "io.containerd.runc.v2", *SLEEP)
    os.kill(monitor_of(engine, "box"), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while status(engine) != "exited":
        assert time.monotonic() < deadline, status(engine)
        time.sleep(0.1)
    engine.ok("start", "box")
    assert engine.ok("exec", "box", "echo", "here") == "here"
    clear(engine)


def test_kill_9_of_the_fork_server(make_engine: Callable[..., Engine]) -> None:
    """What it has forked lives on, and another one is there when it is needed."""
    engine = make_engine()
    engine.ok("run", "-d", "--name", "other", *SLEEP)
    listing = subprocess.run(
        ["pgrep", "-f", str(engine.root / "exec" / "monitor")], capture_output=True, text=True, check=False
    )
    monitors = {monitor_of(engine, "other")}
    servers = {int(word) for word in listing.stdout.split()} - monitors - {engine.pid}
    assert servers
    for server in servers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while engine.docker("run", "--rm", "busybox", "true").code != 0:
        assert time.monotonic() < deadline, engine.tail()
        time.sleep(0.2)
    assert engine.ok("exec", "other", "echo", "here") == "here"
    engine.kill()
    engine.start()
    assert engine.ok("exec", "other", "echo", "here") == "here"
    clear(engine)
