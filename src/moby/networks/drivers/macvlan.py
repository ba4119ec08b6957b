"""This file is about macvlan networks: each sandbox has a hardware address of its own on the host's wire."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.networks import Endpoint, Network, NetworkDriver
from moby.host import netlink
from moby.host.threads import Threads
from moby.networks import bridge_device, parent_device
from moby.networks.parents import chosen, is_inside, parent_of
from moby.networks.work import to_its_end

MODE = "macvlan_mode"
_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
_MODE = 1


class Macvlan(NetworkDriver):
    """Networks on a parent device, `-o parent=eth0`; without one, sandboxes reach each other alone.

    Nothing is translated and nothing published: the network's own router is the gateway, if one is named.
    Neither does the host reach its own sandboxes; that is how macvlan is.
    """

    name = "macvlan"
    makes_gateways = False

    def __init__(self) -> None:
        self._threads = Threads("macvlan", 2)
        self._parents: dict[str, tuple[str, int]] = {}

    async def predefined(self, stored: Network | None, *, used: bool = False) -> Network | None:
        """See `NetworkDriver.predefined`; there is none."""
        return None

    async def create(self, network: Network) -> None:
        """See `NetworkDriver.create`."""
        parent = parent_of(network, self.name, [MODE])
        words = "requested macvlan mode '{}' is not valid, 'bridge' mode is the macvlan driver default"
        mode = chosen(network, MODE, _MODES, "bridge", words)
        for other, (name, others_mode) in self._parents.items():
            if name != parent or other == network.id:
                continue
            if mode == _MODES["passthru"]:
                raise InvalidParameter(
                    f"cannot use mode passthru, macvlan network {other} is already using parent interface "
                    f"{parent}"
                )
            if others_mode == _MODES["passthru"]:
                raise InvalidParameter(
                    f"macvlan network {other} is already using parent interface {parent} in mode passthru"
                )
        await to_its_end(self._threads, lambda: parent_device.prepare(parent, self.name))
        self._parents[network.id] = parent, mode

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""
        parent, _ = self._parents.pop(network.id, ("", 0))
        if parent and all(parent != other for other, _ in self._parents.values()):
            await to_its_end(self._threads, lambda: parent_device.release(parent))

    async def join(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.join`."""
        if network.id not in self._parents:
            await self.create(network)
        parent, mode = self._parents[network.id]
        joined = msgspec.structs.replace(
            endpoint,
            mac_address=endpoint.mac_address or bridge_device.mac_for(endpoint.ipv4),
            gateway="" if is_inside(network) else endpoint.gateway,
            gateway6="" if is_inside(network) else endpoint.gateway6,
            ports=(),
        )

        def attach() -> None:
            index = parent_device.prepare(parent, self.name)
            data = netlink.number(_MODE, mode)
            device = netlink.Inside("macvlan", joined.interface, index, 0, data, joined.mac_address)
            parent_device.attach(device, joined, sandbox)

        await to_its_end(self._threads, attach)
        return joined

    async def restore(self, network: Network, endpoints: Sequence[Endpoint]) -> None:
        """See `NetworkDriver.restore`; what a sandbox has is in its namespace."""

    async def leave(self, network: Network, endpoint: Endpoint, sandbox: str, *, closing: bool) -> None:
        """See `NetworkDriver.leave`."""
        if not closing:
            await to_its_end(self._threads, lambda: parent_device.detach(endpoint, sandbox))

    async def reroute(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.reroute`; nothing is published."""
        changed = msgspec.structs.replace(endpoint, ports=())
        await to_its_end(self._threads, lambda: bridge_device.reroute(changed, sandbox))
        return changed

    async def close(self) -> None:
        """See `NetworkDriver.close`."""
        self._threads.close()
