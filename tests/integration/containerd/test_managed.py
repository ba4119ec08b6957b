"""A containerd of our own: that it starts, is kept, outlives us and is found again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from moby.core.digest import digest_of
from moby.core.errors import InvalidParameter, NotFound, Unavailable
from moby.core.runtime import Exited, Resync, Status, TaskEvent
from moby.host.containerd.client import Containerd
from moby.host.containerd.managed import ManagedContainerd
from moby.host.containerd.own_process import ContainerdProcess
from moby.host.watched import process_lives
from moby.images.stores.containerd import ContainerdImages
from tests.integration.containerd.machine import Machine, chunked

pytestmark = pytest.mark.containerd


async def stopped(pid: int) -> None:
    """Returns when none of its threads runs any more, which takes a while after the signal."""
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    while any(path.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "T" for path in threads):
        await asyncio.sleep(0.005)


@asynccontextmanager
async def kept(managed: ManagedContainerd) -> AsyncIterator[None]:
    """Somebody starts it again when it ends."""
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(managed.keep())
        yield
        keeper.cancel()


async def started_again(managed: ManagedContainerd, times: int) -> None:
    """Returns after so many restarts."""
    async with asyncio.timeout(15):
        while managed.restarts < times:
            await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    """Is there such a process?"""
    return Path(f"/proc/{pid}").exists()


async def test_it_starts_at_once_and_ends_with_us(directory: Path) -> None:
    began = time.monotonic()
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as managed:
        assert time.monotonic() - began < 5
        pid = managed.pid
        assert os.getsid(pid) == pid
        async with Containerd(managed.address) as client:
            version, _ = await client.version()
            assert version
    assert not alive(pid)
    assert managed.pid == 0


async def test_killed_it_comes_back_with_all_it_had(managed: ManagedContainerd, machine: Machine) -> None:
    told: list[int] = []
    managed.on_restart = lambda: told.append(managed.pid)
    await machine.run("stays", "sleep", "100")
    await machine.run("ends", "sh", "-c", "sleep 0.2; exit 7")
    events = machine.runtime.events()
    seen: list[TaskEvent] = []

    async def watch() -> None:
        async for event in events:
            seen.append(event)  # noqa: PERF401 - each as it comes

    first = managed.pid
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        async with asyncio.timeout(5):
            while Resync() not in seen:
                await asyncio.sleep(0.005)
        async with kept(managed):
            os.kill(first, signal.SIGSTOP)
            await asyncio.sleep(0.5)
            os.kill(first, signal.SIGKILL)
            began = time.monotonic()
            # A call made while nobody listens waits for the new one.
            stays = await machine.runtime.state("stays")
            assert time.monotonic() - began < 5
            assert stays.status is Status.RUNNING
            await started_again(managed, 1)
            await managed.wait_ready(5)
            ends = await machine.runtime.state("ends")
            assert (ends.status, ends.exit_status) == (Status.STOPPED, 7)
            async with asyncio.timeout(5):
                while seen.count(Resync()) < 2:
                    await asyncio.sleep(0.005)
            await machine.runtime.kill("stays", signal.SIGKILL)
            async with asyncio.timeout(5):
                while not any(isinstance(event, Exited) and event.id == "stays" for event in seen):
                    await asyncio.sleep(0.005)
        watching.cancel()
    assert told == [managed.pid]
    assert managed.pid != first


async def test_one_that_keeps_ending_is_started_more_slowly(managed: ManagedContainerd) -> None:
    async with kept(managed):
        for times in range(1, 4):
            os.kill(managed.pid, signal.SIGKILL)
            await started_again(managed, times)
        await managed.wait_ready()


async def test_it_is_found_again_by_the_next_daemon(directory: Path) -> None:
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as first:
        first.leave_running = True
        pid = first.pid
        async with Containerd(first.address, "moby-test") as client:
            await client.ensure_namespace()
    assert alive(pid)
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as second:
        assert second.pid == pid
        async with kept(second):
            os.kill(pid, signal.SIGKILL)
            await started_again(second, 1)
        assert second.pid != pid
    assert not alive(second.pid or pid)


async def test_tasks_outlive_it(directory: Path, layer: bytes) -> None:
    managed = ManagedContainerd(ContainerdProcess(directory / "root", directory / "run"))
    async with managed, Containerd(managed.address, "moby-test") as client:
        await client.ensure_namespace()
        machine = Machine(client, ContainerdImages(client), directory / "runtime")
        await machine.unpack(layer, digest_of(layer))
        pid = await machine.run("stays", "sleep", "100")
    assert managed.pid == 0
    managed = ManagedContainerd(ContainerdProcess(directory / "root", directory / "run"))
    async with managed, Containerd(managed.address, "moby-test") as client:
        machine = Machine(client, ContainerdImages(client), directory / "runtime")
        [task] = await machine.runtime.list()
        assert (task.id, task.pid, task.status) == ("stays", pid, Status.RUNNING)
        await machine.clear()


async def test_a_changed_configuration_is_taken_on(directory: Path) -> None:
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as first:
        first.leave_running = True
        pid = first.pid
    async with ManagedContainerd(
        ContainerdProcess(directory / "root", directory / "run", level="error")
    ) as second:
        assert second.pid != pid
        assert not alive(pid)


async def test_one_that_does_not_answer_is_replaced(directory: Path) -> None:
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as first:
        first.leave_running = True
        pid = first.pid
    os.kill(pid, signal.SIGSTOP)
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as second:
        assert second.pid != pid
        assert not alive(pid)


async def test_a_wiped_run_directory_does_not_hide_the_one_that_runs(directory: Path) -> None:
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as first:
        first.leave_running = True
        pid = first.pid
    shutil.rmtree(directory / "run")
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as second:
        assert second.pid != pid
        assert not alive(pid)


async def test_a_pid_that_is_somebody_else_is_left_alone(directory: Path) -> None:
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")):
        pass
    (directory / "run" / "containerd.pid").write_text(f"{os.getpid()}\n")
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as managed:
        assert managed.pid != os.getpid()


async def test_one_that_cannot_start_is_told_of_at_once(directory: Path) -> None:
    socket = directory / "run" / "containerd.sock"
    socket.mkdir(parents=True)
    (socket / "in-the-way").touch()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="ended at once"):
        async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")):
            pass
    assert time.monotonic() - began < 5
    shutil.rmtree(socket)
    with pytest.raises(NotFound, match="no such program"):
        async with ManagedContainerd(
            ContainerdProcess(directory / "root", directory / "run", program="no-such-containerd")
        ):
            pass
    with pytest.raises(InvalidParameter, match="too long"):
        async with ManagedContainerd(ContainerdProcess(directory / "root", directory / ("x" * 100))):
            pass


async def test_one_that_lost_its_database_does_not_count_as_started(directory: Path) -> None:
    (directory / "root").mkdir()
    (directory / "root" / "io.containerd.metadata.v1.bolt").write_text("a file where a directory should be")
    with pytest.raises(Unavailable, match=r"containerd cannot work: .*not a directory"):
        async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")):
            pass


async def test_one_that_does_not_answer_is_unavailable(
    managed: ManagedContainerd, client: Containerd, machine: Machine
) -> None:
    os.kill(managed.pid, signal.SIGSTOP)
    try:
        await stopped(managed.pid)
        with pytest.raises(Unavailable, match="did not answer in time"):
            await client.version(limit_s=0.2)
    finally:
        os.kill(managed.pid, signal.SIGCONT)
    async with machine.images.leases.hold():
        info = await machine.images.content.write("a", chunked(b"all works again"))
        assert await machine.images.content.read(info.digest) == b"all works again"


async def test_a_write_and_a_read_that_it_dies_under_are_unavailable_and_can_be_repeated(
    managed: ManagedContainerd, client: Containerd, machine: Machine
) -> None:
    data = bytes(range(256)) * 100_000
    content = machine.images.content

    async def killing() -> AsyncIterator[bytes]:
        async for part in chunked(data):
            yield part
            if managed.restarts == 0:
                os.kill(managed.pid, signal.SIGKILL)
                await started_again(managed, 1)

    async with kept(managed), machine.images.leases.hold():
        with pytest.raises(Unavailable):
            await content.write("a", killing(), size=len(data), digest=digest_of(data))
        await content.write("a", chunked(data), size=len(data), digest=digest_of(data))
        stream = content.stream(digest_of(data))
        await anext(stream)
        os.kill(managed.pid, signal.SIGSTOP)
        os.kill(managed.pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            async for _ in stream:
                pass
        assert await content.read(digest_of(data), limit=1 << 30) == data


async def test_many_at_once(machine: Machine) -> None:
    events = machine.runtime.events()
    assert await anext(events) == Resync()
    names = {f"one{number}" for number in range(16)}
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(machine.run(name, "sh", "-c", "exit 3", runtime="crun"))
    ended: set[str] = set()
    async with asyncio.timeout(20):
        async for event in events:
            assert isinstance(event, Exited)
            assert event.exit_status == 3
            ended.add(event.id)
            if ended == names:
                break
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(machine.runtime.delete(name))
    assert await machine.runtime.list() == []


async def test_one_that_was_begun_is_taken_back_or_abandoned(directory: Path) -> None:
    own = ContainerdProcess(directory / "root", directory / "run")
    own.begin()
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as managed:
        begun = own.survivor()
        assert begun is not None
        assert own.begun(begun)
        assert managed.pid == begun.pid
    assert not begun.alive
    begun.close()
    own.begin()
    pid = int(own.pidfile.read_text())
    own.abandon()
    async with asyncio.timeout(20):
        while process_lives(pid):
            await asyncio.sleep(0.005)
    assert own.survivor() is None
