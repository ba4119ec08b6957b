"""This file is about `docker network connect` and `disconnect`: containers that change their networks."""

from __future__ import annotations

import msgspec

from moby.core.errors import Conflict, Forbidden, InvalidParameter, NotFound
from moby.core.networks import Network, Networks, Sandbox
from moby.core.types.networks import EndpointSettings
from moby.engine.containers.container import Container
from moby.engine.containers.name_files import NameFiles
from moby.engine.containers.network_events import NetworkEvents
from moby.engine.containers.networking import PREDEFINED, attachment, check_endpoint, connected, dns_names
from moby.engine.containers.record import Record
from moby.engine.containers.shelf import Shelf
from moby.host.threads import blocking

_TO_HOST = "cannot connect container to host network - container must be created in host network mode"
_FROM_HOST = "cannot disconnect container from host network - container was created in host network mode"
_PRIVATE = (
    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
)
_SHARED = (
    "container sharing network namespace with another container or host cannot be connected to any "
    "other network"
)


class Connections:
    """Connects containers with networks, running or not."""

    def __init__(self, shelf: Shelf, networks: Networks, files: NameFiles) -> None:
        self._shelf = shelf
        self._networks = networks
        self._files = files
        self._events = NetworkEvents(networks, shelf.bus)

    async def connect(self, network: Network, name: str, settings: EndpointSettings | None) -> None:
        """Raises NotFound, Forbidden, InvalidParameter; a failed try changes nothing."""
        container = self._shelf.find(name)
        asked = settings or EndpointSettings()
        async with container.lock:
            record = container.record
            check_endpoint(network, asked)
            self._check(container, network)
            running = record.state.running and not record.state.restarting
            if network.name in record.networks:
                if not running:
                    return  # dockerd sees no harm in it, and changes nothing.
                raise Forbidden(f"endpoint with name {record.name} already exists in network {network.name}")
            asked.network_id, asked.endpoint_id = network.id, ""
            if network.name not in PREDEFINED:
                asked.dns_names = dns_names(record, asked)
            mac = asked.mac_address
            if running:
                before = await self._networks.standing(record.sandbox_id)
                sandbox = await self._networks.connect(
                    record.sandbox_id, attachment(network.name, asked), record.name
                )
                record.networks[network.name] = asked
                await self._moved(record, before, sandbox)
            else:
                record.networks[network.name] = asked
            if mac:
                record.macs[network.name] = mac
            await self._shelf.save(container)
        if running:
            self._events.tell("connect", network, container.id)

    async def disconnect(self, network: Network, name: str, *, force: bool) -> None:
        """Raises NotFound without such a container, Forbidden if it is not on it."""
        try:
            container = self._shelf.find(name)
        except NotFound as error:
            if force:
                raise NotFound(f"endpoint {name} not found") from error
            raise
        async with container.lock:
            record = container.record
            if network.driver == "host":
                raise InvalidParameter(_FROM_HOST)
            if network.name not in record.networks:
                raise Forbidden(f"container {container.id} is not connected to network {network.name}")
            running = record.state.running and not record.state.restarting
            if running:
                await self._leave(record, network)
            record.networks.pop(network.name, None)
            record.macs.pop(network.name, None)
            await self._shelf.save(container)
        if running:
            self._events.tell("disconnect", network, container.id)

    async def _leave(self, record: Record, network: Network) -> None:
        before = await self._networks.standing(record.sandbox_id)
        try:
            sandbox = await self._networks.disconnect(record.sandbox_id, network.id)
        except NotFound:
            return
        del record.networks[network.name]
        await self._moved(record, before, sandbox)

    async def _moved(self, record: Record, before: Sandbox | None, after: Sandbox) -> None:
        connected(record, after)
        before = before or Sandbox(after.id, after.path)
        await blocking(self._files.moved, record, before, after)

    def _check(self, container: Container, network: Network) -> None:
        record = container.record
        if container.removing or record.state.dead:
            raise Conflict(
                f"container {container.id} is marked for removal and cannot be connected or disconnected to "
                "the network"
            )
        mode = record.host_config.network_mode
        if mode.startswith("container:"):
            raise InvalidParameter(_SHARED)
        if network.name in record.networks:
            return
        if network.driver == "host":
            raise InvalidParameter(_TO_HOST)
        if mode == "host":
            raise InvalidParameter(_SHARED)
        if "none" in (network.name, mode):
            raise InvalidParameter(_PRIVATE)


async def agree(record: Record, networks: Networks) -> bool:
    """After a crash: have a running container's record say where it stands; was it otherwise?

    A connection that had been begun and was not written down is undone, a disconnection is done.
    """
    before = msgspec.json.encode((record.networks, record.ports, record.sandbox_id))
    sandbox = await networks.standing(record.id)
    if sandbox is None:
        return False
    names = {settings.network_id or name for name, settings in record.networks.items()}
    for endpoint in sandbox.endpoints:
        if not {endpoint.network_id, endpoint.network_name} & names:
            sandbox = await networks.disconnect(record.id, endpoint.network_id)
    standing = {endpoint.network_id for endpoint in sandbox.endpoints}
    for name, settings in list(record.networks.items()):
        if settings.endpoint_id and settings.network_id not in standing:
            del record.networks[name]
    connected(record, sandbox)
    return msgspec.json.encode((record.networks, record.ports, record.sandbox_id)) != before
