"""This file is about the one who knows all networks and sandboxes, and keeps them in the store."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from moby.core.errors import Forbidden, InvalidParameter, MobyError, NotFound, NotImplemented
from moby.core.networks import (
    Attachment,
    Endpoint,
    Network,
    NetworkDriver,
    NetworkRequest,
    Networks,
    Sandbox,
    SandboxRequest,
)
from moby.core.store import Store, Table
from moby.core.undo import Undo
from moby.host.threads import Threads
from moby.networks import sandbox as kernel
from moby.networks.identity import new_id
from moby.networks.ipam import Ipam
from moby.networks.making import made
from moby.networks.resolver.resolvers import Resolvers
from moby.networks.work import to_its_end

log = logging.getLogger(__name__)

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")


class Controller(Networks):
    """Networks by name and sandboxes by container.

    An async context manager: entering loads what is stored and makes the networks, `restore` sorts out the
    sandboxes; leaving ends us, while networks and sandboxes stay. `directory` is where namespaces have their
    files; it must not outlive a reboot. A sandbox is written down once, when it is complete: what a crash
    leaves before that is swept away by `restore`.
    """

    def __init__(
        self, store: Store, drivers: Mapping[str, NetworkDriver], ipam: Ipam, directory: Path
    ) -> None:
        self._stored_networks = Table(store, "networks", Network)
        self._stored_sandboxes = Table(store, "sandboxes", Sandbox)
        self._drivers = drivers
        self._ipam = ipam
        self._directory = directory
        self._threads = Threads("sandbox", 4)
        self._spares = kernel.Spares()
        self._making = asyncio.Lock()
        self._networks: dict[str, Network] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._resolvers = Resolvers(self._sandboxes)

    async def __aenter__(self) -> Self:
        """Raises as `NetworkDriver.predefined` and `NetworkDriver.create` do, and DataLoss."""
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        stored = await self._stored_networks.load()
        self._sandboxes.update(await self._stored_sandboxes.load())
        try:
            for driver in self._drivers.values():
                await self._predefine(driver, stored)
            for network in stored.values():
                await self._create(network)
        except BaseException:
            await self._close_drivers()
            raise
        self._spares.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._resolvers.close()
        await self._close_drivers()
        await self._threads.run(self._spares.close)
        self._threads.close()

    async def _close_drivers(self) -> None:
        for driver in self._drivers.values():
            await driver.close()

    async def _predefine(self, driver: NetworkDriver, stored: dict[str, Network]) -> None:
        """Settle the network that the driver always has; it is taken out of `stored`."""
        names = {"bridge": "bridge", "host": "host", "null": "none"}
        name = names.get(driver.name)
        before = next((n for n in stored.values() if n.name == name and n.driver == driver.name), None)
        if before is not None:
            del stored[before.id]
        network = await driver.predefined(before)
        if network is None:
            if before is not None:
                await self._stored_networks.delete(before.id)
            return
        if network != before:
            await self._stored_networks.save(network.id, network)
        await self._create(network)

    async def _create(self, network: Network) -> None:
        driver = self._drivers.get(network.driver)
        if driver is None:
            log.error("network %s needs the driver %s, which there is none of", network.name, network.driver)
            return
        self._ipam.add(network)
        await driver.create(network)
        self._networks[network.id] = network

    async def find(self, name: str) -> Network:
        """See `Networks.find`. Raises InvalidParameter if `name` begins several IDs."""
        if name in self._networks:
            return self._networks[name]
        # "default" is what older clients call the default network.
        wanted = "bridge" if name == "default" else name
        for network in self._networks.values():
            if network.name == wanted:
                return network
        found = [network for id_, network in self._networks.items() if name and id_.startswith(name)]
        if len(found) > 1:
            raise InvalidParameter(
                f"network {name} is ambiguous ({len(found)} matches found based on ID prefix)"
            )
        if not found:
            raise NotFound(f"network {name} not found")
        return found[0]

    async def endpoints(self, network: str) -> Sequence[Endpoint]:
        """See `Networks.endpoints`."""
        return [
            endpoint
            for sandbox in self._sandboxes.values()
            for endpoint in sandbox.endpoints
            if endpoint.network_id == network
        ]

    async def open(self, request: SandboxRequest) -> Sandbox:
        """See `Networks.open`. Raises Conflict if there is a sandbox of this ID."""
        if request.id in self._sandboxes:
            await self.close(request.id)
        wanted = [(await self.find(attachment.network), attachment) for attachment in request.attachments]
        _check(request, wanted)
        async with Undo() as undo:
            if any(network.driver == "host" for network, _ in wanted):
                path = ""
            else:
                path = str(await self._make(request, undo))
            route = gateway_of(wanted)
            endpoints = [
                await self._join(
                    request, network, attachment, f"eth{number}", path, undo, route=network.id == route
                )
                for number, (network, attachment) in enumerate(wanted)
            ]
            if request.sysctls and path:
                await to_its_end(self._threads, lambda: kernel.configure(Path(path), request.sysctls))
            sandbox = Sandbox(request.id, path, tuple(endpoints), request.dns)
            undo.push(self._stored_sandboxes.delete, request.id)
            await self._stored_sandboxes.save(request.id, sandbox)
            self._sandboxes[request.id] = sandbox
            undo.push(self._sandboxes.pop, request.id, None)
            await self._resolvers.settle(sandbox)
            undo.keep()
        return sandbox

    async def _make(self, request: SandboxRequest, undo: Undo) -> Path:
        path = self._directory / request.id
        if path.parent != self._directory:
            raise InvalidParameter(f"invalid sandbox ID: {request.id!r}")
        undo.push(self._free, path)
        await to_its_end(self._threads, lambda: self._spares.make(path))
        return path

    async def _free(self, path: Path) -> None:
        await to_its_end(self._threads, lambda: kernel.free(path))

    async def _join(
        self,
        request: SandboxRequest,
        network: Network,
        attachment: Attachment,
        interface: str,
        path: str,
        undo: Undo,
        *,
        route: bool,
    ) -> Endpoint:
        address = self._ipam.grant(network, attachment.ipv4)
        ipv4 = str(address.ipv4) if address.ipv4 else ""
        undo.push(self._ipam.free, network.id, ipv4)
        endpoint = Endpoint(
            id=new_id(),
            network_id=network.id,
            network_name=network.name,
            sandbox_id=request.id,
            interface=interface if ipv4 else "",
            mac_address=attachment.mac_address,
            ipv4=ipv4,
            gateway="" if network.internal else address.gateway,
            default_route=route,
            aliases=attachment.aliases,
            ports=attachment.ports if ipv4 else (),
            name=request.container_name,
        )
        driver = self._drivers[network.driver]
        joined = await driver.join(network, endpoint, path)
        undo.push(_leave, driver, network, joined)
        return joined

    async def make(self, request: NetworkRequest) -> Network:
        """See `Networks.make`."""
        async with self._making, Undo() as undo:
            network = await made(request, self._networks.values(), self._drivers, self._ipam)
            undo.push(self._networks.pop, network.id, None)
            undo.push(self._ipam.drop, network)
            undo.push(self._drivers[network.driver].delete, network)
            await self._create(network)
            await self._stored_networks.save(network.id, network)
            undo.keep()
        return network

    async def remove(self, name: str) -> Network:
        """See `Networks.remove`."""
        async with self._making:
            network = await self.find(name)
            if users := await self.endpoints(network.id):
                shown = ", ".join(f'name:"{user.name}" id:"{user.id[:12]}"' for user in users)
                raise Forbidden(
                    f"error while removing network: network {network.name} has active endpoints ({shown})"
                )
            await self._stored_networks.delete(network.id)
            del self._networks[network.id]
            await self._drivers[network.driver].delete(network)
            self._ipam.drop(network)
        return network

    async def connect(self, sandbox: str, attachment: Attachment, container_name: str = "") -> Sandbox:
        """See `Networks.connect`."""
        network = await self.find(attachment.network)
        found = self._open_sandbox(sandbox)
        if any(endpoint.network_id == network.id for endpoint in found.endpoints):
            raise Forbidden(f"endpoint with name {container_name} already exists in network {network.name}")
        request = SandboxRequest(sandbox, (attachment,), container_name=container_name)
        _check(request, [(network, attachment)])
        routed = any(endpoint.gateway and endpoint.default_route for endpoint in found.endpoints)
        interface = _free_interface(found)
        async with Undo() as undo:
            endpoint = await self._join(
                request, network, attachment, interface, found.path, undo, route=not routed
            )
            changed = await self._changed(found, (*found.endpoints, endpoint))
            undo.keep()
        return changed

    async def disconnect(self, sandbox: str, network: str) -> Sandbox:
        """See `Networks.disconnect`."""
        found, left = self._open_sandbox(sandbox), await self.find(network)
        gone = next((one for one in found.endpoints if one.network_id == left.id), None)
        if gone is None:
            raise NotFound(f"container {sandbox} is not connected to the network {left.name}")
        await self._drivers[left.driver].leave(left, gone, closing=False)
        self._ipam.free(left.id, gone.ipv4)
        rest = tuple(endpoint for endpoint in found.endpoints if endpoint is not gone)
        if gone.gateway and gone.default_route:
            rest = await self._rerouted(rest, found.path)
        return await self._changed(found, rest)

    async def _rerouted(self, endpoints: tuple[Endpoint, ...], path: str) -> tuple[Endpoint, ...]:
        """The default route has gone with its network: another one gives it."""
        heir = min((one for one in endpoints if one.gateway), key=lambda one: one.network_name, default=None)
        if heir is None:
            return endpoints
        network = self._networks[heir.network_id]
        await self._drivers[network.driver].reroute(network, heir, path)
        routed = msgspec.structs.replace(heir, default_route=True)
        return tuple(routed if one is heir else one for one in endpoints)

    def _open_sandbox(self, sandbox: str) -> Sandbox:
        found = self._sandboxes.get(sandbox)
        if found is None:
            raise NotFound(f"sandbox {sandbox} not found")
        if not found.path:
            raise Forbidden(
                "container sharing network namespace with another container or host cannot be "
                "connected to any other network"
            )
        return found

    async def _changed(self, sandbox: Sandbox, endpoints: tuple[Endpoint, ...]) -> Sandbox:
        changed = msgspec.structs.replace(sandbox, endpoints=endpoints)
        await self._stored_sandboxes.save(sandbox.id, changed)
        self._sandboxes[sandbox.id] = changed
        await self._resolvers.settle(changed)
        return changed

    async def close(self, sandbox: str) -> None:
        """See `Networks.close`."""
        found = self._sandboxes.pop(sandbox, None)
        if found is None:
            return
        self._resolvers.stop(sandbox)
        try:
            for endpoint in found.endpoints:
                await self._leave(endpoint)
            if found.path:
                await self._free(Path(found.path))
            await self._stored_sandboxes.delete(sandbox)
        except BaseException:
            self._sandboxes.setdefault(sandbox, found)
            raise

    async def _leave(self, endpoint: Endpoint) -> None:
        network = self._networks.get(endpoint.network_id)
        if network is None:
            return
        await self._drivers[network.driver].leave(network, endpoint, closing=True)
        self._ipam.free(network.id, endpoint.ipv4)

    async def restore(self, live: Sequence[str]) -> None:
        """See `Networks.restore`."""
        alive = set(live)
        lost = [
            sandbox
            for sandbox in self._sandboxes.values()
            if sandbox.id not in alive or (sandbox.path and not kernel.lives(Path(sandbox.path)))
        ]
        for sandbox in lost:
            # Its endpoints hold nothing yet: drivers are told below of those that live.
            del self._sandboxes[sandbox.id]
            if sandbox.path:
                await self._free(Path(sandbox.path))
            await self._stored_sandboxes.delete(sandbox.id)
        for network in self._networks.values():
            endpoints = await self.endpoints(network.id)
            for endpoint in endpoints:
                self._claim(network, endpoint)
            await self._drivers[network.driver].restore(network, endpoints)
        known = frozenset(Path(sandbox.path) for sandbox in self._sandboxes.values() if sandbox.path)
        await to_its_end(self._threads, lambda: kernel.sweep(self._directory, known))
        for sandbox in tuple(self._sandboxes.values()):
            await self._resolvers.settle(sandbox)

    def _claim(self, network: Network, endpoint: Endpoint) -> None:
        if not endpoint.ipv4:
            return
        try:
            self._ipam.grant(network, endpoint.ipv4)
        except MobyError as error:
            log.warning("address %s of sandbox %s: %s", endpoint.ipv4, endpoint.sandbox_id, error)

    async def list(self) -> Sequence[Network]:
        """See `Networks.list`."""
        return list(self._networks.values())


def gateway_of(wanted: Sequence[tuple[Network, Attachment]]) -> str:
    """The ID of the network that gives the default route; empty if none does."""
    candidates = [pair for pair in wanted if not pair[0].internal and pair[0].subnets]
    candidates.sort(key=lambda pair: (-pair[1].priority, pair[0].name))
    return candidates[0][0].id if candidates else ""


def _free_interface(sandbox: Sandbox) -> str:
    taken = {endpoint.interface for endpoint in sandbox.endpoints}
    return next(name for number in range(1000) if (name := f"eth{number}") not in taken)


def _check(request: SandboxRequest, wanted: Sequence[tuple[Network, Attachment]]) -> None:
    if request.sysctls and any(network.driver == "host" for network, _ in wanted):
        name = next(iter(request.sysctls))
        raise InvalidParameter(f"sysctl '{name}' not allowed in host network namespace")
    for _, attachment in wanted:
        if attachment.ipv6:
            raise NotImplemented("IPv6 addresses on networks are not supported yet")
        if attachment.mac_address and not _MAC.fullmatch(attachment.mac_address):
            raise InvalidParameter(f"invalid MAC address: {attachment.mac_address}")


async def _leave(driver: NetworkDriver, network: Network, endpoint: Endpoint) -> None:
    await driver.leave(network, endpoint, closing=True)
