"""This file is about networks on a Linux bridge: a veth pair a sandbox, address translation outwards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import msgspec

from moby.core.errors import InvalidParameter, MobyError, NotImplemented
from moby.core.networks import Endpoint, Network, NetworkDriver, PortMapping
from moby.core.undo import Undo
from moby.host import netlink, sysctl
from moby.host.files import LockFile
from moby.host.nftables import Nftables
from moby.host.threads import Threads
from moby.networks import bridge_choice as choice
from moby.networks import bridge_device as device
from moby.networks.firewall import Firewall, Rules
from moby.networks.ipam import Ipam
from moby.networks.ports import Ports
from moby.networks.settings import BridgeSettings, check_device_name
from moby.networks.work import to_its_end

log = logging.getLogger(__name__)

_KNOWN = frozenset({choice.NAME, choice.DEFAULT, choice.ICC, choice.MASQUERADE, choice.BINDING, choice.MTU})


@dataclass(slots=True)
class _State:
    """A network of ours in the kernel."""

    wanted: device.Bridge
    index: int
    port: bytes
    firewall: Firewall | None
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


class Bridge(NetworkDriver):
    """Networks on bridges. The bridges and their packet filters outlive us, as the containers on them do.

    The address of the host's end, a bridge's own, is the sandboxes' gateway. Ports are published by address
    translation in the kernel alone; no process of ours touches a packet.
    """

    name = "bridge"

    def __init__(
        self, settings: BridgeSettings, ipam: Ipam, ports: Ports, nftables: Nftables, lock_directory: Path
    ) -> None:
        """`lock_directory` is common to the daemons of this host: `/run/moby`. Raises as `check` does."""
        settings.check()
        self._settings = settings
        self._ipam = ipam
        self._ports = ports
        self._nftables = nftables
        self._lock_directory = lock_directory
        self._threads = Threads("bridge", 4)
        self._lock: LockFile | None = None
        self._bridge = ""
        self._mending = threading.Lock()
        self._networks: dict[str, _State] = {}

    async def predefined(self, stored: Network | None) -> Network | None:
        """See `NetworkDriver.predefined`: the default bridge network, unless the settings forbid it."""
        settings = self._settings
        if settings.bridge == "none":
            return None
        if self._lock is None:
            before = stored.options.get(choice.NAME, "") if stored else ""
            claimed = await self._threads.run(choice.claim, settings, self._lock_directory, before)
            self._bridge, self._lock = claimed
        return await choice.default_network(settings, self._bridge, stored, self._ipam, self._threads)

    async def create(self, network: Network) -> None:
        """See `NetworkDriver.create`."""
        await to_its_end(self._threads, lambda: self._mend(network))

    def _mend(self, network: Network) -> _State:
        """Everything of the network that should be in the kernel, sandboxes' connections included."""
        with self._mending:
            return self._mended(network)

    def _mended(self, network: Network) -> _State:
        options = network.options
        if unknown := sorted(set(options) - _KNOWN):
            raise NotImplemented(f"bridge network option {unknown[0]} is not supported yet")
        if network.enable_ipv6 or not network.subnets:
            raise NotImplemented("IPv6 bridge networks are not supported yet")
        name = check_device_name(options.get(choice.NAME) or f"br-{network.id[:12]}")
        subnet = network.subnets[0]
        address = IPv4Interface(f"{subnet.gateway}/{subnet.subnet.partition('/')[2]}")
        default = options.get(choice.DEFAULT) == "true"
        wanted = device.Bridge(
            name, address, _mtu(options.get(choice.MTU, "")), alone=default and bool(self._settings.bip)
        )
        index = device.mend(wanted)
        icc = options.get(choice.ICC, "true") == "true"
        masquerade = options.get(choice.MASQUERADE, "true") == "true"
        routing = self._settings.ip_forward and not device.routes_packets()
        old = self._networks.get(network.id)
        endpoints = old.endpoints if old else {}
        firewall = None
        if self._settings.firewall:
            sysctl.write(f"net/ipv4/conf/{name}/route_localnet", "1")
            firewall = (old and old.firewall) or Firewall(self._nftables)
            firewall.install(Rules(name, subnet.subnet, icc, masquerade, network.internal), strangers=routing)
        if routing:
            device.route_packets()
        filtered = device.frames_are_filtered()
        port = netlink.port_options(hairpin=filtered, isolated=not icc and not filtered)
        if endpoints:
            device.replug(list(endpoints.values()), index, port)
        state = self._networks[network.id] = _State(wanted, index, port, firewall, endpoints)
        return state

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""
        state = self._networks.pop(network.id, None)
        if state is not None:
            await to_its_end(self._threads, lambda: _remove(state))

    async def join(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.join`."""
        state = self._networks[network.id]
        if endpoint.ports and state.firewall is None:
            raise NotImplemented("publishing ports without a firewall (iptables=false) is not supported yet")
        if not endpoint.mac_address:
            mac = device.mac_for(IPv4Address(endpoint.ipv4.partition("/")[0]))
            endpoint = msgspec.structs.replace(endpoint, mac_address=mac)
        async with Undo() as undo:
            undo.push(self._ports.release, endpoint.id)
            try:
                granted = self._ports.reserve(endpoint.id, _addressed(network, endpoint))
            except MobyError as error:
                raise _external(error, endpoint) from error
            joined = msgspec.structs.replace(endpoint, ports=granted)
            undo.push(self._disconnect, state, joined)
            await to_its_end(self._threads, lambda: self._connect(network, joined, sandbox))
            undo.keep()
        return joined

    def _connect(self, network: Network, endpoint: Endpoint, sandbox: str) -> None:
        state = self._networks[network.id]
        try:
            device.plug(endpoint, state.index, state.wanted.mtu, state.port, sandbox)
        except MobyError:
            # Somebody may have deleted the bridge, or made it again.
            before, state = state.index, self._mend(network)
            if before == state.index:
                raise
            device.plug(endpoint, state.index, state.wanted.mtu, state.port, sandbox)
        state.endpoints[endpoint.id] = endpoint
        if state.firewall is not None:
            try:
                state.firewall.publish(endpoint)
                netlink.forget_udp_flows(_udp_ports(endpoint))
            except MobyError as error:
                raise _external(error, endpoint) from error

    async def restore(self, network: Network, endpoints: Sequence[Endpoint]) -> None:
        """See `NetworkDriver.restore`."""
        state = self._networks[network.id]
        state.endpoints.clear()
        for endpoint in endpoints:
            state.endpoints[endpoint.id] = endpoint
            for error in self._ports.restore(endpoint.id, endpoint.ports):
                log.warning(
                    "a published port is in use on the host: %s", error, extra={"endpoint": endpoint.id}
                )

        def mend() -> None:
            device.replug(list(endpoints), state.index, state.port)
            if state.firewall is not None:
                state.firewall.replace(endpoints)

        await to_its_end(self._threads, mend)

    async def leave(self, network: Network, endpoint: Endpoint, *, closing: bool) -> None:
        """See `NetworkDriver.leave`."""
        state = self._networks.get(network.id)
        if state is not None:
            state.endpoints.pop(endpoint.id, None)
        if state is not None and (endpoint.ports or not closing):
            await to_its_end(self._threads, lambda: _disconnect(state, endpoint, closing=closing))
        self._ports.release(endpoint.id)

    async def _disconnect(self, state: _State, endpoint: Endpoint) -> None:
        await self._threads.run(_disconnect, state, endpoint, closing=False)

    async def reroute(self, network: Network, endpoint: Endpoint, sandbox: str) -> None:
        """See `NetworkDriver.reroute`."""
        if endpoint.gateway and not network.internal:
            await to_its_end(self._threads, lambda: device.reroute(endpoint, sandbox))

    async def close(self) -> None:
        """See `NetworkDriver.close`; a bridge that nobody is on leaves no packet filter behind."""
        for state in self._networks.values():
            if state.firewall is not None and not state.endpoints:
                await self._threads.run(state.firewall.remove)
        self._threads.close()
        self._ports.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _disconnect(state: _State, endpoint: Endpoint, *, closing: bool) -> None:
    state.endpoints.pop(endpoint.id, None)
    if state.firewall is not None:
        state.firewall.withdraw(endpoint)
        netlink.forget_udp_flows(_udp_ports(endpoint))
    if not closing:
        device.unplug(endpoint)


def _addressed(network: Network, endpoint: Endpoint) -> list[PortMapping]:
    """The ports, on the network's own address of the host where none was asked for."""
    default = network.options.get(choice.BINDING, "")
    return [msgspec.structs.replace(port, host_ip=port.host_ip or default) for port in endpoint.ports]


def _udp_ports(endpoint: Endpoint) -> list[int]:
    return [port.host_port for port in endpoint.ports if port.protocol == "udp"]


def _remove(state: _State) -> None:
    if state.firewall is not None:
        state.firewall.remove()
    device.remove(state.wanted.name)


def _external(error: MobyError, endpoint: Endpoint) -> MobyError:
    """In the words that docker's clients look for."""
    place = f"endpoint {endpoint.name or endpoint.sandbox_id} ({endpoint.id})"
    return type(error)(f"driver failed programming external connectivity on {place}: {error.message}")


def _mtu(text: str) -> int:
    try:
        return int(text or 0)
    except ValueError as error:
        raise InvalidParameter(f"invalid MTU: {text!r}") from error
