"""This file is about ipvlan networks: sandboxes on the host's wire, with the host's hardware address."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_network

import msgspec

from moby.core.errors import Conflict, InvalidParameter
from moby.core.networks import Endpoint, Network, NetworkDriver
from moby.host import netlink
from moby.host.threads import Threads
from moby.networks import bridge_device, parent_device
from moby.networks.parents import chosen, is_inside, parent_of
from moby.networks.work import to_its_end

MODE, FLAG = "ipvlan_mode", "ipvlan_flag"
_MODES = {"l2": 0, "l3": 1, "l3s": 2}
_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
_MODE, _FLAG = 1, 2


class Ipvlan(NetworkDriver):
    """Networks on a parent device, `-o parent=eth0`; without one, sandboxes reach each other alone.

    In mode `l2` the network's own router is the gateway, if one is named; in `l3` and `l3s` the host routes,
    and everything leaves by the interface.
    """

    name = "ipvlan"
    makes_gateways = False

    def __init__(self) -> None:
        self._threads = Threads("ipvlan", 2)
        self._parents: dict[str, tuple[str, int, int]] = {}

    async def predefined(self, stored: Network | None, *, used: bool = False) -> Network | None:
        """See `NetworkDriver.predefined`; there is none."""
        return None

    async def create(self, network: Network) -> None:
        """See `NetworkDriver.create`."""
        parent = parent_of(network, self.name, [MODE, FLAG])
        words = "requested ipvlan mode '{}' is not valid, 'l2' mode is the ipvlan driver default"
        mode = chosen(network, MODE, _MODES, "l2", words)
        words = "requested ipvlan flag '{}' is not valid, 'bridge' is the ipvlan driver default"
        flag = chosen(network, FLAG, _FLAGS, "bridge", words)
        for other, (name, _, _) in self._parents.items():
            if name == parent and other != network.id:
                raise InvalidParameter(
                    f"network {parent_device.alone_name(other)} is already using parent interface {parent}"
                )
        await to_its_end(self._threads, lambda: parent_device.prepare(parent, self.name))
        self._parents[network.id] = parent, mode, flag

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""
        parent, _, _ = self._parents.pop(network.id, ("", 0, 0))
        if parent:
            await to_its_end(self._threads, lambda: parent_device.release(parent))

    async def join(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.join`."""
        if endpoint.mac_address:
            raise InvalidParameter("ipvlan interfaces do not support custom mac address assignment")
        if network.id not in self._parents:
            await self.create(network)
        parent, mode, flag = self._parents[network.id]
        routed = mode != _MODES["l2"] or is_inside(network)
        joined = msgspec.structs.replace(
            endpoint,
            gateway="" if routed else endpoint.gateway,
            gateway6="" if routed else endpoint.gateway6,
            ports=(),
        )

        def attach() -> str:
            index = parent_device.prepare(parent, self.name)
            data = netlink.short(_MODE, mode) + netlink.short(_FLAG, flag)
            device = netlink.Inside("ipvlan", joined.interface, index, 0, data)
            parent_device.attach(device, joined, sandbox)
            if mode != _MODES["l2"] and not is_inside(network):
                _leave_by_the_interface(joined, sandbox)
            return parent_device.mac_of(parent)

        mac = await to_its_end(self._threads, attach)
        return msgspec.structs.replace(joined, mac_address=mac)

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


def _leave_by_the_interface(endpoint: Endpoint, sandbox: str) -> None:
    """Routes to everywhere without a router, unless there is one by another network."""
    routing, index = parent_device.interface_index(endpoint, sandbox)
    with routing:
        for address, everywhere in ((endpoint.ipv4, "0.0.0.0/0"), (endpoint.ipv6, "::/0")):
            if address:
                with suppress(Conflict):
                    routing.change([netlink.add_link_route(ip_network(everywhere), index)])
