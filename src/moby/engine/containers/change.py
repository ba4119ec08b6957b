"""This file is about small changes to a container: its name, its pause, the size of its terminal."""

from __future__ import annotations

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, System
from moby.core.networks import Networks
from moby.core.runtime import Runtime, Status
from moby.engine.containers.container import Container
from moby.engine.containers.names import check_name
from moby.engine.containers.networking import renamed
from moby.engine.containers.shelf import Shelf


class Changer:
    """Changes containers in place."""

    def __init__(self, shelf: Shelf, runtime: Runtime, networks: Networks) -> None:
        self._shelf = shelf
        self._runtime = runtime
        self._networks = networks

    async def rename(self, name: str, new: str) -> None:
        """Raises InvalidParameter for a bad name, Conflict for a taken one."""
        if not new.strip().removeprefix("/"):
            raise InvalidParameter("Neither old nor new names may be empty")
        container = self._shelf.find(name)
        async with container.lock:
            old = container.record.name
            if new.strip().removeprefix("/") == old:
                raise InvalidParameter("Renaming a container with the same name as its current name")
            if container.removing or container.removed:
                raise Conflict(f"container {container.id} is being removed")
            try:
                chosen = check_name(f"/{new.strip().removeprefix('/')}")
                self._shelf.index.reserve(chosen, container.id)
            except (InvalidParameter, Conflict) as error:
                raise type(error)(f"Error when allocating new name: {error.message}") from error
            container.record.name = chosen
            renamed(container.record)
            try:
                await self._shelf.save(container)
            except BaseException:
                container.record.name = old
                renamed(container.record)
                self._shelf.index.release(chosen, container.id)
                raise
            self._shelf.index.release(old, container.id)
            names = {one.network_id: tuple(one.dns_names or ()) for one in container.record.networks.values()}
            await self._networks.rename(container.id, chosen, names)
        self._shelf.publish(container, "rename", {"oldName": f"/{old}"})

    async def pause(self, name: str) -> None:
        """Freeze every process. Raises Conflict if it does not run or is paused already."""
        container = self._shelf.find(name)
        async with container.gate.alone(), container.lock:
            state = container.record.state
            if not state.running:
                raise Conflict(f"container {container.id} is not running")
            if state.paused:
                raise Conflict(f"container {container.id} is already paused")
            if state.restarting:
                raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
            try:
                await self._runtime.pause(container.id)
            except MobyError as error:
                await self._still_running(container, error)
                raise
            state.paused = True
            await self._shelf.save(container)
        self._shelf.publish(container, "pause")

    async def unpause(self, name: str) -> None:
        """Thaw what was frozen. Raises Conflict if it is not paused."""
        container = self._shelf.find(name)
        async with container.lock:
            if not container.record.state.paused:
                raise Conflict(f"Container {container.id} is not paused")
            try:
                await self._runtime.resume(container.id)
            except MobyError as error:
                if await self._still_running(container, error) is not Status.RUNNING:
                    raise
                # Somebody else has thawed it, to end it.
            container.record.state.paused = False
            await self._shelf.save(container)
        self._shelf.publish(container, "unpause")

    async def _still_running(self, container: Container, error: MobyError) -> Status:
        """How it is after an error. Raises Conflict if the reason is that the program has ended."""
        try:
            status = (await self._runtime.state(container.id)).status
        except NotFound:
            status = Status.STOPPED
        if status is Status.STOPPED:
            raise Conflict(f"container {container.id} is not running") from error
        return status

    async def resize(self, name: str, *, height: int, width: int) -> None:
        """Set the terminal's size in characters. Raises Conflict if it does not run."""
        container = self._shelf.find(name)
        running(container)
        await self._runtime.resize(container.id, width=width, height=height)
        self._shelf.publish(container, "resize", {"height": str(height), "width": str(width)})


def running(container: Container) -> None:
    """Raises Conflict if a container does not run."""
    if not container.record.state.running:
        raise Conflict(f"container {container.id} is not running")
    if container.removed:
        raise System("container is gone")
