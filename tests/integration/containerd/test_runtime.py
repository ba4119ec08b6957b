"""Tasks by a real containerd, with both OCI runtimes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from moby.core.errors import InvalidParameter, NotFound, System
from moby.core.runtime import Exited, Resync, Status, Stdio, TaskEvent
from moby.host.containerd.client import Containerd
from moby.runtime.containerd import ContainerdRuntime
from tests.integration.containerd.machine import Machine
from tests.leftovers import mounts, processes

pytestmark = pytest.mark.containerd
both = pytest.mark.parametrize("runtime", ["runc", "crun"])


async def following(machine: Machine) -> AsyncIterator[TaskEvent]:
    """The events after the first Resync."""
    events = machine.runtime.events()
    assert await anext(events) == Resync()
    return events


async def exited(events: AsyncIterator[TaskEvent], name: str) -> Exited:
    """The end of one task."""
    async with asyncio.timeout(30):
        async for event in events:
            if isinstance(event, Exited) and event.id == name:
                return event
    raise AssertionError("no more events")


@both
async def test_life_of_a_task(machine: Machine, runtime: str) -> None:
    events = await following(machine)
    request = await machine.request("one", "sh", "-c", "exit 7", runtime=runtime)
    pid = await machine.runtime.create(request)
    state = await machine.runtime.state("one")
    assert (state.pid, state.status, state.exited_at) == (pid, Status.CREATED, None)
    await machine.runtime.start("one")
    event = await exited(events, "one")
    assert (event.pid, event.exit_status) == (pid, 7)
    state = await machine.runtime.state("one")
    assert (state.status, state.exit_status, state.exited_at) == (Status.STOPPED, 7, event.exited_at)
    last = await machine.runtime.delete("one")
    assert last is not None
    assert (last.exit_status, last.exited_at) == (7, event.exited_at)
    assert await machine.runtime.delete("one") is None
    assert await machine.runtime.list() == []
    with pytest.raises(NotFound):
        await machine.runtime.state("one")


@both
async def test_signals_freezing_and_processes(machine: Machine, runtime: str) -> None:
    pid = await machine.run("one", "sh", "-c", "sleep 100 & exec sleep 100", runtime=runtime)
    events = await following(machine)
    async with asyncio.timeout(5):
        while len(pids := await machine.runtime.pids("one")) != 2:
            await asyncio.sleep(0.01)
    assert pid in pids
    await machine.runtime.pause("one")
    assert (await machine.runtime.state("one")).status is Status.PAUSED
    await machine.runtime.resume("one")
    assert (await machine.runtime.state("one")).status is Status.RUNNING
    await machine.runtime.update("one", {"pids": {"limit": 77}})
    await machine.runtime.kill("one", signal.SIGKILL, everyone=True)
    assert (await exited(events, "one")).exit_status == 137
    with pytest.raises(NotFound):
        await machine.runtime.kill("one", signal.SIGKILL)


@both
async def test_what_was_only_created_or_still_runs_is_deleted_too(machine: Machine, runtime: str) -> None:
    created = await machine.runtime.create(await machine.request("created", "sleep", "100", runtime=runtime))
    running = await machine.run("running", "sleep", "100", runtime=runtime)
    assert {task.id: task.status for task in await machine.runtime.list()} == {
        "created": Status.CREATED,
        "running": Status.RUNNING,
    }
    for name in ("created", "running"):
        assert await machine.runtime.delete(name) is not None
    assert await machine.runtime.list() == []
    for pid in (created, running):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@both
@pytest.mark.parametrize(
    ("program", "reason", "words"),
    [
        pytest.param("absent", "not-found", r'"absent": executable file not found in \$PATH', id="absent"),
        pytest.param("/absent", "not-found", 'exec: "/absent": ', id="absent-path"),
        pytest.param("/plain", "not-executable", "permission denied", id="not-executable"),
        # runc says from 1.2 on what it is, and no more what follows from it.
        pytest.param("/bin", "not-executable", "permission denied|is a directory", id="directory"),
        pytest.param("/bin/sh/more", "not-found", "not a directory", id="below-a-file"),
    ],
)
async def test_a_program_that_cannot_be_run(
    machine: Machine, runtime: str, program: str, reason: str, words: str
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        await machine.run("one", program, runtime=runtime)
    assert caught.value.fields["reason"] == reason
    assert caught.value.message.startswith("failed to create task for container: ")
    assert re.search(words, caught.value.message)
    assert await machine.runtime.list() == []
    assert await machine.runtime.delete("one") is None


async def test_runtimes_that_are_not_there(machine: Machine) -> None:
    with pytest.raises(InvalidParameter, match="unknown or invalid runtime name: other"):
        await machine.run("one", "true", runtime="other")
    with pytest.raises(System, match=r"containerd-shim-none-v1"):
        await machine.run("one", "true", runtime="io.containerd.none.v1")
    with pytest.raises(InvalidParameter, match="no-such-runtime"):
        await machine.run("one", "true", runtime="absent")
    assert await machine.runtime.list() == []


async def test_what_a_crash_left_gives_way_to_a_new_task(machine: Machine) -> None:
    request = await machine.request("one", "sleep", "100")
    first = await machine.runtime.create(request)
    second = await machine.runtime.create(request)
    assert first != second
    [task] = await machine.runtime.list()
    assert (task.pid, task.status) == (second, Status.CREATED)


async def test_output_goes_to_fifos_and_input_ends(machine: Machine, directory: Path) -> None:
    paths = [directory / name for name in ("in", "out", "err")]
    for path in paths:
        os.mkfifo(path)
    stdin = os.open(paths[0], os.O_RDWR | os.O_NONBLOCK)
    stdout, stderr = (os.open(path, os.O_RDONLY | os.O_NONBLOCK) for path in paths[1:])
    request = await machine.request("one", "sh", "-c", "cat; echo oh >&2")
    events = await following(machine)
    try:
        await machine.runtime.create(
            replace(request, stdio=Stdio(str(paths[0]), str(paths[1]), str(paths[2])))
        )
        await machine.runtime.start("one")
        os.write(stdin, b"hello")
        os.close(stdin)
        stdin = -1
        await machine.runtime.close_stdin("one")
        assert (await exited(events, "one")).exit_status == 0
        assert (os.read(stdout, 100), os.read(stderr, 100)) == (b"hello", b"oh\n")
    finally:
        for descriptor in (stdin, stdout, stderr):
            if descriptor >= 0:
                os.close(descriptor)


async def test_state_of_the_oci_runtime_is_where_it_was_told_to_be(machine: Machine) -> None:
    await machine.run("one", "sleep", "100")
    assert (machine.root / "moby-test" / "one").is_dir()
    await machine.runtime.delete("one")
    assert not (machine.root / "moby-test" / "one").exists()


async def test_events_of_other_namespaces_are_not_ours(machine: Machine, client: Containerd) -> None:
    async with Containerd(client.address, "moby-other") as other:
        await other.ensure_namespace()
        foreign = ContainerdRuntime(other, {}, "runc").events()
        assert await anext(foreign) == Resync()
        events = await following(machine)
        await machine.run("one", "true")
        await exited(events, "one")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(foreign)


async def test_no_end_is_missed_after_resync(machine: Machine) -> None:
    for number in range(5):
        name = f"quick{number}"
        await machine.runtime.create(await machine.request(name, "true", runtime="crun"))
        events = await following(machine)
        await machine.runtime.start(name)
        assert (await exited(events, name)).exit_status == 0
        await events.aclose()  # type: ignore[attr-defined]


async def test_a_running_container_without_its_task_is_listed_as_lost(machine: Machine) -> None:
    pid = await machine.run("one", "sleep", "100")
    events = await following(machine)
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    assert (await exited(events, "one")).exit_status == 137
    async with asyncio.timeout(30):
        while (tasks := await machine.runtime.list()) and tasks[0].pid:
            await asyncio.sleep(0.02)
    [task] = tasks
    assert (task.id, task.status, task.exit_status) == ("one", Status.STOPPED, 255)
    assert await machine.runtime.delete("one") is None
    assert await machine.runtime.list() == []


SECCOMP = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
}


@both
async def test_a_filter_holds_compiled_or_kept(machine: Machine, runtime: str) -> None:
    events = await following(machine)
    for name in ("compiled", "kept"):
        program = "mkdir /tmp/x 2>/dev/null && exit 1; grep -q 'Seccomp:.2' /proc/self/status"
        request = await machine.request(name, "sh", "-c", program, runtime=runtime)
        request.spec["linux"]["seccomp"] = SECCOMP
        await machine.runtime.create(request)
        await machine.runtime.start(name)
        assert (await exited(events, name)).exit_status == 0


async def test_a_filter_is_kept_for_the_next_container(machine: Machine) -> None:
    sizes = []
    for name in ("compiled", "kept"):
        request = await machine.request(name, "sleep", "100", runtime="crun")
        request.spec["linux"]["seccomp"] = SECCOMP
        await machine.runtime.create(request)
        [config] = Path(machine.root.parent, "run").rglob(f"moby-test/{name}/config.json")
        sizes.append("run.oci.seccomp_bpf_data" in config.read_text())
    assert sizes == [False, True]


@both
async def test_a_cancelled_create_leaves_nothing_after_delete(machine: Machine, runtime: str) -> None:
    for number in range(12):
        name = f"cancelled{number}"
        request = await machine.request(name, "sleep", "100", runtime=runtime)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001 + number * 0.006):
                await machine.runtime.create(request)
        await machine.runtime.delete(name)
        await machine.images.snapshotter.remove(name)
    assert await machine.runtime.list() == []
    async with asyncio.timeout(5):
        while left := processes(str(machine.root.parent / "run" / "containerd.sock")):
            await asyncio.sleep(0.02)
    assert not left
    assert not mounts(str(machine.root.parent))


async def test_a_shim_that_containerd_forgot_goes_with_its_container(
    machine: Machine, client: Containerd, directory: Path
) -> None:
    for name in ("forgotten", "other"):
        bundle = directory / name
        bundle.mkdir()
        (bundle / "config.json").write_text("{}")
        os.mkfifo(bundle / "log")
        reading = os.open(bundle / "log", os.O_RDWR)
        subprocess.run(
            [
                "containerd-shim-runc-v2",
                "-namespace", client.namespace,
                "-id", name,
                "-address", client.address,
                "start",
            ],
            cwd=bundle, check=True, stdout=subprocess.DEVNULL,
            env=os.environ | {"TTRPC_ADDRESS": f"{client.address}.ttrpc"},
        )  # fmt: skip
        os.close(reading)
    assert len(processes(f"-address {client.address}")) == 2
    for name, left in (("forgotten", 1), ("other", 0)):
        assert await machine.runtime.delete(name) is None
        async with asyncio.timeout(5):
            while len(processes(f"-address {client.address}")) != left:
                await asyncio.sleep(0.01)
