"""A monitor that runs containers, from outside: as the daemon and as containerd see it, with a runtime of sh."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from moby.core.errors import Conflict, System
from moby.core.logs import LogInfo
from moby.monitor.client import AttachEnd, Monitor, Monitors
from moby.monitor.protocol import AttachOptions, MonitorRequest
from moby.monitor.shim.protobuf import Fields, any_message, message
from moby.monitor.shim.ttrpc import (
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    NOT_FOUND,
    OK,
    UNIMPLEMENTED,
    UNKNOWN,
    Frames,
    Response,
    request,
)
from tests.leftovers import processes

CREATED, RUNNING, STOPPED, PAUSED = 1, 2, 3, 4

# One more process, of the daemon's.
ANOTHER = MonitorRequest("one", "", False, True, True, "", LogInfo("box", "", ""))

pytestmark = pytest.mark.timeout(30)

# As crun and runc, as far as a monitor uses them; what is run stands in the bundle's `program`.
RUNTIME = """\
#!/bin/sh
root=$2 log=$4 verb=$7
shift 7
exec 3<&0
echo "$verb $*" >>$root/calls
while [ $# -gt 0 ]; do
  case $1 in
    --bundle) bundle=$2; shift ;; --pid-file) pid_file=$2; shift ;; --process) process=$2; shift ;;
    --image-path) images=$2; shift ;; --work-path) work=$2; shift ;; --leave-running) stays=1 ;;
    --empty-ns | --manage-cgroups-mode) shift ;;
    --*) ;; *) [ -n "$id" ] || id=$1 ;;
  esac
  shift
done
fail() { echo "{\\"level\\":\\"error\\",\\"msg\\":\\"$1\\"}" >>$log; exit 1; }
case $verb in
  create)
    [ ! -e $bundle/broken ] || { echo noise; fail "it is broken"; }
    mkdir -p $root/$id && mkfifo $root/$id/go
    { read -r _ <$root/$id/go; exec sh $bundle/program; } <&3 &
    echo $! >$pid_file; cp $pid_file $root/$id/pid ;;
  checkpoint)
    mkdir -p $work; echo why >$work/dump.log
    [ ! -e $images/broken ] || fail "criu failed"
    cp $root/$id/pid $images/image; [ -n "$stays" ] || kill -9 $(cat $root/$id/pid) ;;
  restore)
    [ -e $images/image ] || fail "there is no image"
    mkdir -p $root/$id
    sh $bundle/program <&3 & echo $! >$pid_file; cp $pid_file $root/$id/pid ;;
  start) echo go >$root/$id/go ;;
  exec)
    gate=${process%/*}/gate
    [ ! -p $gate ] || { read -r now <$gate; eval "$now"; }
    program=$(cat $process)
    sh -nc "$program" 2>/dev/null || fail "no such program"
    sh -c "$program" <&3 & echo $! >$pid_file ;;
  kill) [ -e $root/$id ] || fail "there is no $id" ;;
  delete) kill -9 $(cat $root/$id/pid) 2>/dev/null; rm -r $root/$id ;;
esac
exit 0
"""


class Box:
    """One container's bundle, its monitor, and containerd's connection to it."""

    def __init__(self, monitors: Monitors, place: Path, program: str) -> None:
        self.monitors = monitors
        self.root = place / "state" / "moby"
        self.root.mkdir(parents=True)
        self.runtime = place / "runtime"
        self.runtime.write_text(RUNTIME)
        self.runtime.chmod(0o700)
        self.bundle = place / "tasks" / "moby" / "box"
        self.bundle.mkdir(parents=True)
        (self.bundle / "program").write_text(program)
        self.place = place
        self.frames = Frames()
        self.stream = 1
        self.connection = socket.socket(socket.AF_UNIX)

    async def spawn(self, *, stdin: bool = False) -> Monitor:
        """The monitor, as the daemon has it."""
        made = await self.monitors.spawn(
            MonitorRequest("box", "", False, stdin, True, "", LogInfo("box", "", ""), shim="s/box")
        )
        self.dial()
        return made

    def dial(self) -> None:
        """A connection of containerd's."""
        self.connection.close()
        self.connection, self.frames = socket.socket(socket.AF_UNIX), Frames()
        self.connection.setblocking(False)
        self.connection.connect("s/box")

    async def call(self, method: str, *fields: tuple[int, int | str | bytes], code: int = OK) -> Fields:
        """A call of containerd's, which has to be answered so."""
        answer = await self.answer(self.ask(method, *fields))
        assert answer.code == code, answer
        return Fields(answer.payload if code == OK else message((1, answer.words)))

    def ask(self, method: str, *fields: tuple[int, int | str | bytes]) -> int:
        """Ask, and do not wait; the answer's number."""
        self.stream += 2
        self.connection.sendall(request(self.stream, "containerd.task.v2.Task", method, message(*fields)))
        return self.stream

    async def answer(self, stream: int) -> Response:
        """The answer, after whatever comes before it."""
        while True:
            data = await asyncio.get_running_loop().sock_recv(self.connection, 1 << 16)
            assert data, "the monitor has hung up"
            for found in self.frames.feed(data):
                if found.stream == stream:
                    assert isinstance(found, Response)
                    return found

    async def create(self, code: int = OK, checkpoint: str = "") -> Fields:
        """`Create`, with the runtime of sh."""
        options = message((6, str(self.runtime)), (7, str(self.root.parent)))
        options = any_message("containerd.runc.v1.Options", options)
        return await self.call(
            "Create", (1, "box"), (2, str(self.bundle)), (8, checkpoint), (10, options), code=code
        )

    async def status(self) -> int:
        """`State`'s."""
        return (await self.call("State", (1, "box"))).number(4)

    def calls(self) -> Sequence[str]:
        """What the runtime was asked for."""
        return [line.split()[0] for line in (self.root / "calls").read_text().splitlines()]


@pytest.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[str], Box]]:
    """Makes a box with what it runs."""
    # Relative paths are short enough for sockets.
    monkeypatch.chdir(tmp_path)
    Path("s").mkdir()
    made: list[Box] = []
    async with Monitors(tmp_path / "m", {}) as monitors:

        def box(program: str) -> Box:
            made.append(Box(monitors, tmp_path, program))
            return made[-1]

        yield box
        for one in made:
            one.connection.close()
        await monitors.stop()
    # Monitors outlive whoever asked for them, those of containers that a test leaves as well.
    for line in processes(str(tmp_path)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.partition(":")[0]), signal.SIGKILL)


def attached(monitor: Monitor, options: AttachOptions) -> tuple[socket.socket, asyncio.Future[AttachEnd]]:
    ours, theirs = socket.socketpair()
    with theirs:
        ended = monitor.attachment(theirs, options)
    ours.setblocking(False)
    return ours, ended


async def read(connection: socket.socket) -> bytes:
    """All that comes."""
    found = b""
    while data := await asyncio.get_running_loop().sock_recv(connection, 4096):
        found += data
    connection.close()
    return found


async def test_a_container_lives_and_ends(make: Callable[[str], Box]) -> None:
    box = make("read line; echo got $line; exit 3")
    monitor = await box.spawn(stdin=True)
    client, ended = attached(monitor, AttachOptions(stdin=True, stdout=True))
    await box.call("State", (1, "box"), code=NOT_FOUND)
    pid = (await box.create()).number(1)
    assert await box.status() == CREATED
    await box.create(code=FAILED_PRECONDITION)
    waiting = box.ask("Wait", (1, "box"))
    assert (await box.call("Start", (1, "box"))).number(1) == pid
    assert await box.status() == RUNNING
    await box.call("Delete", (1, "box"), code=FAILED_PRECONDITION)
    await box.call("Pause", (1, "box"))
    assert await box.status() == PAUSED
    await box.call("Resume", (1, "box"))
    client.sendall(b"this\n")
    assert await read(client) == b"got this\n"
    assert await ended is AttachEnd.FINISHED
    assert Fields((await box.answer(waiting)).payload).number(1) == 3
    await monitor.finished()
    end = await box.monitors.ends.get()
    assert (end.id, end.how.pid, end.how.status) == ("box", pid, 3)
    assert await monitor.freed()
    assert not (box.root / "box").exists()
    assert (box.bundle / "moby-exit").read_text().startswith(f"{pid} 3 ")
    assert await box.status() == STOPPED
    await box.call("Kill", (1, "box"), (3, int(signal.SIGTERM)), code=NOT_FOUND)
    found = await box.call("Delete", (1, "box"))
    assert (found.number(1), found.number(2)) == (pid, 3)
    await box.call("Shutdown", (1, "box"))
    assert not Path("s/box").exists()


async def test_what_cannot_be_made_says_why_and_leaves_nothing(make: Callable[[str], Box]) -> None:
    box = make("")
    (box.bundle / "broken").touch()
    monitor = await box.spawn()
    client, ended = attached(monitor, AttachOptions(stdout=True))
    words = (await box.create(code=UNKNOWN)).text(1)
    assert words == "OCI runtime create failed: it is broken"
    # What the runtime itself has said is no output of the container's.
    assert await read(client) == b""
    assert await ended is AttachEnd.FINISHED
    assert not (box.bundle / "moby-runtime").exists()
    await monitor.finished()


async def test_one_that_was_not_started_is_deleted(make: Callable[[str], Box]) -> None:
    box = make("")
    await box.spawn()
    pid = (await box.create()).number(1)
    assert (await box.call("Delete", (1, "box"))).number(1) == pid
    assert not (box.root / "box").exists()


async def test_a_signal_ends_it_and_is_its_status(make: Callable[[str], Box]) -> None:
    box = make("exec sleep 600")
    await box.spawn()
    await box.create()
    await box.call("Start", (1, "box"))
    await box.call("Kill", (1, "box"), (3, 999), code=INVALID_ARGUMENT)
    await box.call("Kill", (1, "box"), (3, int(signal.SIGKILL)))
    assert (await box.call("Wait", (1, "box"))).number(1) == 128 + signal.SIGKILL


async def test_what_has_ended_meanwhile_cannot_be_killed_with_all_in_it(make: Callable[[str], Box]) -> None:
    box = make("exit 0")
    monitor = await box.spawn()
    await box.create()
    await box.call("Start", (1, "box"))
    assert await monitor.freed()
    # The runtime has forgotten it, which is no failure: whoever wants it deleted goes on.
    await box.call("Kill", (1, "box"), (3, int(signal.SIGKILL)), (4, 1), code=NOT_FOUND)
    await box.call("Delete", (1, "box"))


async def test_the_daemon_runs_more_processes(make: Callable[[str], Box]) -> None:
    box = make("exec sleep 600")
    monitor = await box.spawn()
    await box.create()
    early = monitor.execute(ANOTHER, b"true")
    with pytest.raises(Conflict, match="container box is not running"):
        await early.go()
    await early.discard()
    await box.call("Start", (1, "box"))

    session = monitor.execute(ANOTHER, b"read line; echo $line; exit 5")
    client, _ = attached(session, AttachOptions(stdin=True, stdout=True))
    pid = await session.go()
    assert (await box.call("State", (1, "box"), (2, "one"))).number(3) == pid
    client.sendall(b"hello\n")
    assert await read(client) == b"hello\n"
    end = await box.monitors.ends.get()
    assert (end.id, end.how.pid, end.how.status) == ("one", pid, 5)
    assert (await box.call("State", (1, "box"), (2, "one"))).number(9) == 5
    monitor.forget("one")

    failing = monitor.execute(ANOTHER, b"if")
    with pytest.raises(System, match="OCI runtime exec failed: no such program: unknown"):
        await failing.go()
    await failing.discard()
    await box.call("State", (1, "box"), (2, "one"), code=NOT_FOUND)
    assert not [name for name in os.listdir(box.bundle) if name.startswith("one.")]
    await box.call("Kill", (1, "box"), (3, int(signal.SIGKILL)))


@pytest.mark.parametrize(
    ("ends", "now"),
    [
        pytest.param(True, "fail 'it is gone'", id="the runtime finds no container"),
        pytest.param(True, "kill -9 $$", id="the runtime is killed with it"),
        pytest.param(False, "fail 'No such process'", id="its first process is gone"),
        pytest.param(False, "kill -9 $$", id="the runtime is killed first"),
    ],
)
async def test_what_is_made_while_the_container_ends_hears_that_it_does_not_run(
    make: Callable[[str], Box], ends: bool, now: str
) -> None:
    box = make("exec sleep 600")
    monitor = await box.spawn()
    await box.create()
    pid = (await box.call("Start", (1, "box"))).number(1)
    os.mkfifo(box.bundle / "gate")
    session = monitor.execute(ANOTHER, b"true")
    going = asyncio.ensure_future(session.go())
    while "exec" not in box.calls():
        await asyncio.sleep(0.01)
    if ends:
        os.kill(pid, signal.SIGKILL)
        assert await monitor.freed()
    (box.bundle / "gate").write_text(f"{now}\n")
    with pytest.raises(Conflict, match="container box is not running"):
        await going
    await session.discard()
    await box.call("State", (1, "box"), (2, "one"), code=NOT_FOUND)
    assert not [name for name in os.listdir(box.bundle) if name.startswith("one.")]
    if not ends:
        await box.call("Kill", (1, "box"), (3, int(signal.SIGKILL)))
        assert await monitor.freed()
    await box.call("Delete", (1, "box"))


async def test_containerds_clients_run_more_processes(make: Callable[[str], Box]) -> None:
    box = make("exec sleep 600")
    await box.spawn()
    await box.create()
    await box.call("Start", (1, "box"))
    os.mkfifo("out")
    reader = os.open("out", os.O_RDONLY | os.O_NONBLOCK)
    spec = (7, any_message("process", b"echo said; exit 4"))
    await box.call("Exec", (1, "box"), (2, "one"), (5, str(box.place / "out")), spec)
    await box.call("Exec", (1, "box"), (2, "one"), spec, code=FAILED_PRECONDITION)
    await box.call("Exec", (1, "box"), (2, "two"), (5, "/nowhere/out"), spec, code=INVALID_ARGUMENT)
    await box.call("Exec", (1, "box"), (2, "two"), (3, 1), spec, code=UNIMPLEMENTED)
    assert (await box.call("State", (1, "box"), (2, "one"))).number(4) == CREATED
    pid = (await box.call("Start", (1, "box"), (2, "one"))).number(1)
    assert (await box.call("Wait", (1, "box"), (2, "one"))).number(1) == 4
    assert os.read(reader, 100) == b"said\n"
    assert os.read(reader, 100) == b""
    os.close(reader)
    assert (await box.call("Delete", (1, "box"), (2, "one"))).number(1) == pid
    await box.call("Kill", (1, "box"), (3, int(signal.SIGKILL)))


async def test_its_state_is_written_down(make: Callable[[str], Box]) -> None:
    box = make("exec sleep 600")
    await box.spawn()
    await box.create()
    await box.call("Checkpoint", (1, "box"), (2, str(box.place)), code=FAILED_PRECONDITION)
    await box.call("Start", (1, "box"))
    every = message((2, 1), (3, 1), (4, 1), (5, 1), (6, "net"), (7, "soft"))
    options = (3, any_message("containerd.runc.v1.CheckpointOptions", every))
    await box.call("Checkpoint", (1, "box"), (2, str(box.place)), options)
    assert (box.place / "image").exists()
    assert await box.status() == RUNNING
    asked = (box.root / "calls").read_text().splitlines()[-1]
    words = (
        "--tcp-established --ext-unix-sk --shell-job --file-locks --empty-ns net --manage-cgroups-mode soft"
    )
    assert asked.startswith(f"checkpoint {words} --leave-running --image-path {box.place} --work-path ")
    assert not (box.bundle / "criu-work").exists()
    exit_ = (3, any_message("containerd.runc.v1.CheckpointOptions", message((1, 1))))
    await box.call("Checkpoint", (1, "box"), (2, str(box.place)), exit_)
    assert (await box.call("Wait", (1, "box"))).number(1) == 128 + signal.SIGKILL


async def test_what_cannot_be_written_down_says_why_and_goes_on(make: Callable[[str], Box]) -> None:
    box = make("exec sleep 600")
    await box.spawn()
    await box.create()
    await box.call("Start", (1, "box"))
    (box.place / "broken").touch()
    words = (await box.call("Checkpoint", (1, "box"), (2, str(box.place)), code=UNKNOWN)).text(1)
    log = box.bundle / "criu-dump.log"
    assert words == f"OCI runtime checkpoint failed: criu failed path= {log}"
    assert log.read_text() == "why\n"
    assert await box.status() == RUNNING
    await box.call("Kill", (1, "box"), (3, int(signal.SIGKILL)))


async def test_it_goes_on_from_what_was_written_down(make: Callable[[str], Box]) -> None:
    box = make("read line; echo got $line; exit 3")
    monitor = await box.spawn(stdin=True)
    client, _ = attached(monitor, AttachOptions(stdin=True, stdout=True))
    (box.place / "image").touch()
    assert (await box.create(checkpoint=str(box.place))).number(1) == 0
    assert await box.status() == CREATED
    pid = (await box.call("Start", (1, "box"))).number(1)
    assert pid == int((box.bundle / "init.pid").read_text())
    client.sendall(b"this\n")
    assert await read(client) == b"got this\n"
    assert (await box.call("Wait", (1, "box"))).number(1) == 3
    assert await monitor.freed()
    await box.call("Delete", (1, "box"))
    assert box.calls() == ["restore", "kill", "delete"]


async def test_what_cannot_go_on_says_why_and_is_deleted(make: Callable[[str], Box]) -> None:
    box = make("")
    monitor = await box.spawn()
    await box.create(checkpoint=str(box.place / "nowhere"))
    words = (await box.call("Start", (1, "box"), code=UNKNOWN)).text(1)
    assert words == "OCI runtime restore failed: there is no image"
    await box.call("Start", (1, "box"), code=FAILED_PRECONDITION)
    await box.call("Delete", (1, "box"))
    # It ends by itself: nobody needs it any more.
    await monitor.finished()


async def test_one_that_was_never_to_go_on_is_deleted(make: Callable[[str], Box]) -> None:
    box = make("")
    monitor = await box.spawn()
    await box.create(checkpoint=str(box.place))
    await box.call("Delete", (1, "box"))
    await monitor.finished()


async def test_a_containerd_that_comes_back_finds_it(make: Callable[[str], Box]) -> None:
    box = make("exec sleep 600")
    await box.spawn()
    pid = (await box.create()).number(1)
    box.dial()
    assert (await box.call("Connect", (1, "box"))).number(2) == pid
    await box.call("Delete", (1, "box"))
    assert box.calls() == ["create", "delete"]


async def test_without_a_task_it_ends_with_the_daemon(make: Callable[[str], Box]) -> None:
    box = make("")
    monitor = await box.spawn()
    monitor.close()
    assert await asyncio.get_running_loop().sock_recv(box.connection, 10) == b""
    assert not Path("s/box").exists()
