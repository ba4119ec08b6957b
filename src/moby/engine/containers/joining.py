"""This file is about namespaces that a container takes over from another: IPC, with its memory, and PID."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from moby.core.errors import Conflict, InvalidParameter, NotFound
from moby.core.types.containers import HostConfig
from moby.engine.containers.index import Index
from moby.engine.containers.places import Places
from moby.engine.containers.record import Record

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a mount point


def target(mode: str) -> str:
    """The container that a mode names (`container:NAME`), or nothing."""
    word, separator, name = mode.partition(":")
    return name if separator and word == "container" else ""


def name_joined(host: HostConfig, index: Index) -> None:
    """Put IDs for names into the modes, so that a rename changes nothing.

    Raises InvalidParameter for one that is not there, unless nobody would look: labels are taken from it.
    """
    unseen = host.privileged or "host" in (host.pid_mode, host.ipc_mode)
    unseen = unseen or any(option.partition("=")[0] == "label" for option in host.security_opt or ())
    for attribute in ("pid_mode", "ipc_mode"):
        if name := target(getattr(host, attribute)):
            try:
                setattr(host, attribute, f"container:{index.find(name).id}")
            except NotFound as error:
                if not unseen:
                    raise InvalidParameter(error.message) from error


def donors(host: HostConfig) -> Iterator[str]:
    """The containers whose namespaces it joins, as it names them."""
    yield from filter(None, map(target, (host.network_mode, host.ipc_mode, host.pid_mode)))


class Joiner:
    """Finds what there is to join."""

    def __init__(self, index: Index, places: Places) -> None:
        self._index = index
        self._places = places

    def pid(self, record: Record) -> str:
        """The PID namespace to join, or nothing. Raises InvalidParameter, Conflict."""
        name = target(record.host_config.pid_mode)
        if not name:
            return ""
        return f"/proc/{self._running(name, 'PID').state.pid}/ns/pid"

    def ipc(self, record: Record) -> str:
        """The IPC namespace to join, or nothing. Raises InvalidParameter, Conflict."""
        name = target(record.host_config.ipc_mode)
        if not name:
            return ""
        other = self._running(name, "IPC")
        self._memory(other, name)
        return f"/proc/{other.state.pid}/ns/ipc"

    async def memory(self, record: Record) -> Path | None:
        """What to mount as the container's shared memory; None for memory of its own, or for none.

        Raises InvalidParameter for a container that does not share its memory.
        """
        host = record.host_config
        if any(mount.point.destination == SHARED_MEMORY for mount in record.mounts):
            return None
        if SHARED_MEMORY in host.tmpfs:
            return None
        if host.ipc_mode == "shareable":
            return await self._places.share_memory(record.id, host.shm_size)
        if host.ipc_mode == "host":
            return Path(SHARED_MEMORY)
        if name := target(host.ipc_mode):
            return self._memory(self._running(name, "IPC"), name)
        return None

    def _memory(self, donor: Record, name: str) -> Path:
        mode = donor.host_config.ipc_mode
        if mode == "host":
            return Path(SHARED_MEMORY)
        if next_name := target(mode):
            return self._memory(self._running(next_name, "IPC"), next_name)
        place = self._places.shared_memory(donor.id)
        if mode != "shareable" or not place.is_dir():
            raise InvalidParameter(
                f"failed to join IPC namespace: container {name}: non-shareable IPC "
                "(hint: use IpcMode:shareable for the donor container)"
            )
        return place

    def _running(self, name: str, kind: str) -> Record:
        what = f"failed to join {kind} namespace"
        try:
            record = self._index.find(name).record
        except (NotFound, InvalidParameter) as error:
            raise InvalidParameter(f"{what}: {error.message}") from error
        if record.state.restarting:
            raise Conflict(f"{what}: Container {name} is restarting, wait until the container is running")
        if not record.state.running:
            raise Conflict(f"{what}: container {name} is not running")
        return record
