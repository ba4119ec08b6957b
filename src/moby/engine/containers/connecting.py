"""This file is about `docker network connect` and `disconnect`: containers that change their networks."""

from __future__ import annotations

from moby.core.errors import Conflict, Forbidden, NotFound
from moby.core.networks import Network, Networks
from moby.core.types.networks import EndpointSettings
from moby.engine.containers.container import Container
from moby.engine.containers.networking import (
    PREDEFINED,
    attachment,
    check_endpoint,
    connected,
    dns_names,
)
from moby.engine.containers.record import Record
from moby.engine.containers.shelf import Shelf

_HOST = "container cannot be disconnected from host network or connected to host network"
_PRIVATE = (
    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
)
_SHARED = (
    "container sharing network namespace with another container or host cannot be connected to any "
    "other network"
)


class Connections:
    """Connects containers with networks, running or not."""

    def __init__(self, shelf: Shelf, networks: Networks) -> None:
        self._shelf = shelf
        self._networks = networks

    async def connect(self, network: Network, name: str, settings: EndpointSettings | None) -> Container:
        """Raises NotFound, Forbidden, InvalidParameter; a failed try changes nothing."""
        container = self._shelf.find(name)
        asked = settings or EndpointSettings()
        async with container.lock:
            record = container.record
            self._check(container, network)
            if network.name in record.networks:
                raise Forbidden(f"endpoint with name {record.name} already exists in network {network.name}")
            user_defined = network.name not in PREDEFINED
            check_endpoint(network.name, asked, user_defined=user_defined)
            asked.network_id = network.id
            if user_defined:
                asked.dns_names = dns_names(record, asked)
            if record.state.running and not record.state.restarting:
                sandbox = await self._networks.connect(
                    record.sandbox_id, attachment(network.name, asked), record.name
                )
                record.networks[network.name] = asked
                connected(record, sandbox)
            else:
                record.networks[network.name] = asked
            await self._shelf.save(container)
        return container

    async def disconnect(self, network: Network, name: str, *, force: bool) -> Container | None:
        """Raises Forbidden if it is not on it; None if there is no such container, with `force`."""
        try:
            container = self._shelf.find(name)
        except NotFound:
            if force:
                return None
            raise
        async with container.lock:
            record = container.record
            if network.driver == "host":
                raise Conflict(_HOST)
            if network.name not in record.networks:
                raise Forbidden(f"container {container.id} is not connected to network {network.name}")
            if record.state.running and not record.state.restarting:
                await self._leave(record, network)
            del record.networks[network.name]
            await self._shelf.save(container)
        return container

    async def _leave(self, record: Record, network: Network) -> None:
        try:
            sandbox = await self._networks.disconnect(record.sandbox_id, network.id)
        except NotFound:
            return
        gone = record.networks.pop(network.name)
        connected(record, sandbox)
        record.networks[network.name] = gone

    def _check(self, container: Container, network: Network) -> None:
        record = container.record
        if container.removing or record.state.dead:
            raise Conflict(
                f"container {container.id} is marked for removal and cannot be connected or disconnected to "
                "the network"
            )
        mode = record.host_config.network_mode
        if mode.startswith("container:"):
            raise Conflict(_SHARED)
        if "host" in (network.driver, mode):
            raise Conflict(_HOST)
        if network.driver == "null" or mode == "none":
            raise Conflict(_PRIVATE)
