"""This file is about the one who knows all networks and sandboxes, and keeps them in the store."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from moby.core.errors import Forbidden, InvalidParameter, MobyError, NotFound
from moby.core.networks import (
    Attachment,
    Endpoint,
    Network,
    NetworkDriver,
    NetworkRequest,
    Networks,
    PortMapping,
    Sandbox,
    SandboxRequest,
    SubnetUse,
)
from moby.core.store import Store, Table
from moby.core.undo import Undo
from moby.host.threads import Threads
from moby.networks import sandbox as kernel
from moby.networks.bridge_device import mac_for
from moby.networks.endpoints import check_request, interface_sysctls, placed
from moby.networks.gateways import moved, with_ways_out
from moby.networks.ipam.addressing import Addressing
from moby.networks.lookup import DriverLookup
from moby.networks.making import made
from moby.networks.resolver.resolvers import Resolvers
from moby.networks.work import to_its_end

log = logging.getLogger(__name__)


class Controller(Networks):
    """Networks by name and sandboxes by container.

    An async context manager: entering loads what is stored and makes the networks, `restore` sorts out the
    sandboxes; leaving ends us, while networks and sandboxes stay. `directory` is where namespaces have their
    files; it must not outlive a reboot. A sandbox is written down once, when it is complete: what a crash
    leaves before that is swept away by `restore`.
    """

    def __init__(self, store: Store, drivers: DriverLookup, ipam: Addressing, directory: Path) -> None:
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
        self._coming: Counter[str] = Counter()
        self._resolvers = Resolvers(self._sandboxes)

    async def __aenter__(self) -> Self:
        """Raises as `NetworkDriver.predefined` and `NetworkDriver.create` do, and DataLoss."""
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        stored = await self._stored_networks.load()
        self._sandboxes.update(await self._stored_sandboxes.load())
        try:
            for driver in self._drivers.own.values():
                await self._predefine(driver, stored)
            for network in stored.values():
                await self._create_again(network)
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
        for driver in self._drivers.all():
            await driver.close()

    async def _predefine(self, driver: NetworkDriver, stored: dict[str, Network]) -> None:
        """Settle the network that the driver always has; it is taken out of `stored`."""
        names = {"bridge": "bridge", "host": "host", "null": "none"}
        name = names.get(driver.name)
        before = next((n for n in stored.values() if n.name == name and n.driver == driver.name), None)
        if before is not None:
            del stored[before.id]
        network = await driver.predefined(before, used=before is not None and self._lives_on(before.id))
        if network is None:
            if before is not None:
                await self._stored_networks.delete(before.id)
            return
        if network != before:
            await self._stored_networks.save(network.id, network)
        await self._create(network)

    def _lives_on(self, network: str) -> bool:
        """Has a sandbox that outlived us a place on the network?"""
        return any(
            endpoint.network_id == network
            for sandbox in self._sandboxes.values()
            if sandbox.path and kernel.lives(Path(sandbox.path))
            for endpoint in sandbox.endpoints
        )

    async def _create(self, network: Network) -> None:
        if not network.config_only:
            self._ipam.add(network)
            await (await self._drivers.find(network.driver)).create(network)
        self._networks[network.id] = network

    async def _create_again(self, network: Network) -> None:
        """A network that was there before; what it lacks now is its users' trouble alone.

        A plugin has kept those that it made, and may come up later than we do.
        """
        if not network.config_only and network.driver not in self._drivers.own:
            self._ipam.add(network)
            self._networks[network.id] = network
            return
        try:
            await self._create(network)
        except MobyError as error:
            log.error("cannot make network %s again: %s", network.name, error)  # noqa: TRY400 - it is told whole
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
        check_request(request, wanted)
        with self._arriving(network.id for network, _ in wanted):
            return await self._open(request, wanted)

    async def _open(self, request: SandboxRequest, wanted: Sequence[tuple[Network, Attachment]]) -> Sandbox:
        async with Undo() as undo:
            path, users = "", ""
            if not any(network.driver == "host" for network, _ in wanted):
                path, users = await self._make(request, undo)
            placed: list[Endpoint] = []
            for network, attachment in wanted:
                placed.append(await self._place(request, network, attachment, placed, undo))
            endpoints = [await self._join(one, path, undo) for one in self._routed(placed, request.ports)]
            if request.sysctls and path:
                await to_its_end(self._threads, lambda: kernel.configure(Path(path), request.sysctls))
            sandbox = Sandbox(
                request.id, path, tuple(endpoints), request.dns, request.ports, request.ndots, users
            )
            undo.push(self._stored_sandboxes.delete, request.id)
            await self._stored_sandboxes.save(request.id, sandbox)
            self._sandboxes[request.id] = sandbox
            undo.push(self._sandboxes.pop, request.id, None)
            await self._resolvers.settle(sandbox)
            undo.keep()
        return sandbox

    def _routed(self, endpoints: Sequence[Endpoint], ports: tuple[PortMapping, ...]) -> tuple[Endpoint, ...]:
        internal = {network.id: network.internal for network in self._networks.values()}
        return with_ways_out(endpoints, internal, ports)

    async def _make(self, request: SandboxRequest, undo: Undo) -> tuple[str, str]:
        """The paths of its namespace, and of the user namespace that it belongs to, if that is not ours."""
        path = self._directory / request.id
        if path.parent != self._directory:
            raise InvalidParameter(f"invalid sandbox ID: {request.id!r}")
        undo.push(self._free, path)
        if not request.ids:
            await to_its_end(self._threads, lambda: self._spares.make(path))
            return str(path), ""
        make = functools.partial(kernel.make_owned, path, request.ids, request.owner)
        return str(path), str(await to_its_end(self._threads, make))

    async def _free(self, path: Path) -> None:
        await to_its_end(self._threads, lambda: kernel.free(path))

    async def _place(
        self,
        request: SandboxRequest,
        network: Network,
        attachment: Attachment,
        others: Sequence[Endpoint],
        undo: Undo,
    ) -> Endpoint:
        """An endpoint with its addresses; nothing of it is in the kernel."""
        if network.ipam_driver and not attachment.mac_address:
            attachment = msgspec.structs.replace(attachment, mac_address=mac_for(""))
        address = await self._ipam.grant(network, attachment.ipv4, attachment.ipv6, attachment.mac_address)
        undo.push(self._ipam.free, network, *address.texts)
        return placed(request, network, attachment, address, others)

    async def _join(self, endpoint: Endpoint, path: str, undo: Undo) -> Endpoint:
        network = self._networks[endpoint.network_id]
        driver = await self._drivers.find(network.driver)
        joined = await driver.join(network, endpoint, path)
        undo.push(_leave, driver, network, joined, path)
        if settings := interface_sysctls(joined):
            await to_its_end(self._threads, lambda: kernel.configure(Path(path), settings))
        return joined

    async def make(self, request: NetworkRequest) -> Network:
        """See `Networks.make`."""
        async with self._making, Undo() as undo:
            network = await made(request, self._networks.values(), self._drivers, self._ipam)
            if not network.config_only:
                undo.push(self._ipam.drop, network)
            # Written down first: what a crash leaves in the kernel is found again.
            undo.push(self._stored_networks.delete, network.id)
            await self._stored_networks.save(network.id, network)
            undo.push(self._networks.pop, network.id, None)
            if not network.config_only:
                undo.push(self._delete, network)
            await self._create(network)
            undo.keep()
        return network

    async def remove(self, name: str) -> Network:
        """See `Networks.remove`."""
        async with self._making:
            network = await self.find(name)
            await self._check_unused(network)
            del self._networks[network.id]
            try:
                if not network.config_only:
                    await self._delete(network)
                await self._stored_networks.delete(network.id)
            except BaseException:
                self._networks[network.id] = network
                raise
            if not network.config_only:
                await self._ipam.drop(network)
        return network

    async def _delete(self, network: Network) -> None:
        await (await self._drivers.find(network.driver)).delete(network)

    async def _check_unused(self, network: Network) -> None:
        what = "error while removing network"
        if self._coming[network.id]:
            raise Forbidden(f"{what}: network {network.name} has active endpoints")
        if users := await self.endpoints(network.id):
            shown = ", ".join(f'name:"{user.name}" id:"{user.id[:12]}"' for user in users)
            raise Forbidden(f"{what}: network {network.name} has active endpoints ({shown})")
        if network.config_only and any(one.config_from == network.name for one in self._networks.values()):
            raise Forbidden(f'{what}: configuration network "{network.name}" is in use')

    @contextmanager
    def _arriving(self, networks: Iterable[str]) -> Iterator[None]:
        """In this block somebody is about to join these networks: they are not removed."""
        coming = Counter(networks)
        self._coming.update(coming)
        try:
            yield
        finally:
            self._coming.subtract(coming)

    async def connect(self, sandbox: str, attachment: Attachment, container_name: str = "") -> Sandbox:
        """See `Networks.connect`."""
        network = await self.find(attachment.network)
        found = self._open_sandbox(sandbox)
        if any(endpoint.network_id == network.id for endpoint in found.endpoints):
            raise Forbidden(f"endpoint with name {container_name} already exists in network {network.name}")
        request = SandboxRequest(sandbox, (attachment,), container_name=container_name)
        check_request(request, [(network, attachment)])
        with self._arriving([network.id]):
            async with Undo() as undo:
                new = await self._place(request, network, attachment, found.endpoints, undo)
                endpoints = await self._rerouted(found, (*found.endpoints, new), undo)
                changed = await self._changed(found, endpoints)
                undo.keep()
        return changed

    async def _rerouted(
        self, sandbox: Sandbox, endpoints: Sequence[Endpoint], undo: Undo
    ) -> tuple[Endpoint, ...]:
        """The sandbox's endpoints as they are to be: those that lose the way out do so first."""
        before = {endpoint.id: endpoint for endpoint in sandbox.endpoints}
        found: dict[str, Endpoint] = {}
        wanted = self._routed(endpoints, sandbox.ports)
        for one in sorted(wanted, key=lambda one: one.default_route + one.default_route6):
            old = before.get(one.id)
            if old is None:
                found[one.id] = await self._join(one, sandbox.path, undo)
            elif moved(old, one):
                undo.push(self._reroute, msgspec.structs.replace(old, ports=sandbox.ports), sandbox.path)
                found[one.id] = await self._reroute(one, sandbox.path)
            else:
                found[one.id] = old
        return tuple(found[one.id] for one in wanted)

    async def _reroute(self, endpoint: Endpoint, path: str) -> Endpoint:
        network = self._networks[endpoint.network_id]
        return await (await self._drivers.find(network.driver)).reroute(network, endpoint, path)

    async def publish(self, sandbox: str, ports: tuple[PortMapping, ...]) -> Sandbox:
        """See `Networks.publish`."""
        found = self._open_sandbox(sandbox)
        before = {endpoint.id: endpoint for endpoint in found.endpoints}
        changed: list[Endpoint] = []
        async with Undo() as undo:
            for one in self._routed(found.endpoints, ports):
                old = before[one.id]
                if one.ports or old.ports:
                    undo.push(self._reroute, old, found.path)
                    one = await self._reroute(one, found.path)
                changed.append(one)
            result = await self._changed(msgspec.structs.replace(found, ports=ports), tuple(changed))
            undo.keep()
        return result

    async def disconnect(self, sandbox: str, network: str) -> Sandbox:
        """See `Networks.disconnect`."""
        found, left = self._open_sandbox(sandbox), await self.find(network)
        gone = next((one for one in found.endpoints if one.network_id == left.id), None)
        if gone is None:
            raise NotFound(f"container {sandbox} is not connected to the network {left.name}")
        rest = tuple(endpoint for endpoint in found.endpoints if endpoint is not gone)
        # Written down first: what a crash leaves of it in the kernel is swept away.
        found = await self._changed(found, rest)
        await self._leave(left, gone, found.path, closing=False)
        try:
            async with Undo() as undo:
                rest = await self._rerouted(found, rest, undo)
                undo.keep()
        except MobyError as error:
            # It has left all the same; what the others lack, the next connection or start brings.
            log.warning("no way out after leaving a network: %s", error, extra={"sandbox": sandbox})
        return await self._changed(found, rest) if rest != found.endpoints else found

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
                if (network := self._networks.get(endpoint.network_id)) is not None:
                    await self._leave(network, endpoint, found.path, closing=True)
            if found.path:
                await self._free(Path(found.path))
            await self._stored_sandboxes.delete(sandbox)
        except BaseException:
            self._sandboxes.setdefault(sandbox, found)
            raise

    async def _leave(self, network: Network, endpoint: Endpoint, path: str, *, closing: bool) -> None:
        try:
            driver = await self._drivers.find(network.driver)
        except MobyError as error:
            # Nobody is kept on a network because its plugin is away.
            log.warning("cannot tell that a sandbox leaves %s: %s", network.name, error)
        else:
            await driver.leave(network, endpoint, path, closing=closing)
        await self._ipam.free(network, endpoint.ipv4, endpoint.ipv6)

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
            if network.config_only:
                continue
            endpoints = await self.endpoints(network.id)
            for endpoint in endpoints:
                self._claim(network, endpoint)
            if (driver := self._drivers.own.get(network.driver)) is None:
                continue
            try:
                await driver.restore(network, endpoints)
            except MobyError as error:
                log.error("cannot restore network %s: %s", network.name, error)  # noqa: TRY400
        for sandbox in tuple(self._sandboxes.values()):
            await self._restore_routes(sandbox)
        known = frozenset(Path(sandbox.path) for sandbox in self._sandboxes.values() if sandbox.path)
        await to_its_end(self._threads, lambda: kernel.sweep(self._directory, known))
        for sandbox in tuple(self._sandboxes.values()):
            await self._resolvers.settle(sandbox)

    async def _restore_routes(self, sandbox: Sandbox) -> None:
        """A crash may have come while a network more, or less, was about to give the way out."""
        if not sandbox.path:
            return
        wanted = self._routed(sandbox.endpoints, sandbox.ports)
        lacking = await to_its_end(self._threads, lambda: kernel.without_route(Path(sandbox.path), wanted))
        before = {one.id: one for one in sandbox.endpoints}
        changed = dict(before)
        try:
            for one in sorted(wanted, key=lambda one: one.default_route + one.default_route6):
                if moved(before[one.id], one):
                    changed[one.id] = await self._reroute(one, sandbox.path)
                elif one.id in lacking:
                    changed[one.id] = await self._reroute(before[one.id], sandbox.path)
        except MobyError as error:
            log.warning("cannot restore the way out: %s", error, extra={"sandbox": sandbox.id})
        if changed != before:
            await self._changed(sandbox, tuple(changed.values()))

    async def standing(self, sandbox: str) -> Sandbox | None:
        """See `Networks.standing`."""
        return self._sandboxes.get(sandbox)

    def _claim(self, network: Network, endpoint: Endpoint) -> None:
        try:
            self._ipam.claim(network, endpoint.ipv4, endpoint.ipv6)
        except MobyError as error:
            log.warning("address of sandbox %s: %s", endpoint.sandbox_id, error)

    async def rename(self, sandbox: str, name: str, aliases: Mapping[str, tuple[str, ...]]) -> None:
        """See `Networks.rename`."""
        found = self._sandboxes.get(sandbox)
        if found is not None:
            endpoints = [
                msgspec.structs.replace(one, name=name, aliases=aliases.get(one.network_id, one.aliases))
                for one in found.endpoints
            ]
            await self._changed(found, tuple(endpoints))

    def usage(self, network: str) -> Mapping[str, SubnetUse]:
        """See `Networks.usage`."""
        return self._ipam.usage(network)

    async def list(self) -> Sequence[Network]:
        """See `Networks.list`."""
        return list(self._networks.values())


async def _leave(driver: NetworkDriver, network: Network, endpoint: Endpoint, path: str) -> None:
    await driver.leave(network, endpoint, path, closing=False)
