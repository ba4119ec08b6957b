from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moby.core.errors import Conflict, InvalidParameter
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.engine.containers.container import Container
from moby.engine.containers.index import Index
from moby.engine.containers.joining import Joiner, name_joined, target
from moby.engine.containers.places import Places
from moby.engine.containers.record import Record


def add(index: Index, name: str, *, running: bool = True, **modes: Any) -> Record:
    record = Record(
        id=name * 8, name=name, created="", image="", chain="", platform="linux", path="true", args=[],
        config=ContainerConfig(), host_config=HostConfig(**modes),
    )  # fmt: skip
    record.state.running, record.state.pid = running, 42
    index.add(Container(record))
    return record


@pytest.mark.parametrize(
    ("mode", "expected"), [("container:x", "x"), ("container:", ""), ("host", ""), ("", "")]
)
def test_whom_a_mode_names(mode: str, expected: str) -> None:
    assert target(mode) == expected


def test_ids_stand_for_names() -> None:
    index = Index()
    donor = add(index, "donor")
    host = HostConfig(pid_mode="container:donor", ipc_mode="container:donor")
    name_joined(host, index)
    assert (host.pid_mode, host.ipc_mode) == (f"container:{donor.id}", f"container:{donor.id}")


def test_nobody_to_join() -> None:
    with pytest.raises(InvalidParameter, match="No such container: nobody"):
        name_joined(HostConfig(ipc_mode="container:nobody"), Index())
    host = HostConfig(ipc_mode="container:nobody", privileged=True)
    name_joined(host, Index())
    assert host.ipc_mode == "container:nobody"


async def test_namespaces_of_others(tmp_path: Path) -> None:
    index, places = Index(), Places(tmp_path)
    donor = add(index, "donor", ipc_mode="shareable")
    places.shared_memory(donor.id).mkdir(parents=True)
    guest = add(index, "guest", ipc_mode="container:donor", pid_mode="container:donor")
    late = add(index, "late", ipc_mode="container:guest")
    joiner = Joiner(index, places)
    assert joiner.pid(guest) == "/proc/42/ns/pid"
    assert joiner.ipc(guest) == "/proc/42/ns/ipc"
    assert await joiner.memory(guest) == places.shared_memory(donor.id)
    assert await joiner.memory(late) == places.shared_memory(donor.id)
    assert joiner.pid(donor) == ""
    own = add(index, "own", ipc_mode="private")
    assert await joiner.memory(own) is None
    assert await joiner.memory(add(index, "all", ipc_mode="host")) == Path("/dev/shm")
    assert await joiner.memory(add(index, "tmp", ipc_mode="host", tmpfs={"/dev/shm": ""})) is None


@pytest.mark.parametrize("mode", ["private", "none", "shareable"])
def test_memory_that_is_not_shared(tmp_path: Path, mode: str) -> None:
    index = Index()
    donor = add(index, "donor", ipc_mode=mode)
    guest = add(index, "guest", ipc_mode=f"container:{donor.id}")
    with pytest.raises(InvalidParameter) as failure:
        Joiner(index, Places(tmp_path)).ipc(guest)
    assert failure.value.message == (
        f"failed to join IPC namespace: container {donor.id}: non-shareable IPC "
        "(hint: use IpcMode:shareable for the donor container)"
    )


def test_only_what_runs_can_be_joined(tmp_path: Path) -> None:
    index = Index()
    add(index, "still", running=False)
    add(index, "busy").state.restarting = True
    joiner = Joiner(index, Places(tmp_path))
    for name, kind, message in (
        ("still", Conflict, "failed to join PID namespace: container still is not running"),
        ("busy", Conflict,
         "failed to join PID namespace: Container busy is restarting, wait until the container is running"),
        ("nobody", InvalidParameter, "failed to join PID namespace: No such container: nobody"),
    ):  # fmt: skip
        with pytest.raises(kind) as failure:
            joiner.pid(add(index, f"for-{name}", pid_mode=f"container:{name}"))
        assert failure.value.message == message
