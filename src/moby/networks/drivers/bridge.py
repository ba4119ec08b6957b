"""This file is about networks on a Linux bridge: a veth pair a sandbox, address translation outwards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from ipaddress import ip_interface
from pathlib import Path

import msgspec

from moby.core.errors import Forbidden, MobyError, NotImplemented
from moby.core.networks import Endpoint, Network, NetworkDriver, PortMapping, Subnet
from moby.core.undo import Undo
from moby.host import netlink, sysctl
from moby.host.files import LockFile
from moby.host.netlink import Losses
from moby.host.nftables import Nftables
from moby.host.threads import Threads
from moby.networks import bridge_choice as choice
from moby.networks import bridge_device as device
from moby.networks.bridge_options import NAME, BridgeOptions, bridge_options
from moby.networks.departures import Departures
from moby.networks.firewall import Firewall, sweep
from moby.networks.firewall_rules import COMMON, Rules
from moby.networks.guarding import Guard
from moby.networks.host_filter import HostFilter
from moby.networks.ipam import Ipam
from moby.networks.ports import Ports
from moby.networks.proxy import Proxies, Served
from moby.networks.publishing import places
from moby.networks.settings import BridgeSettings
from moby.networks.work import to_its_end

log = logging.getLogger(__name__)

_WITH_LOOPBACK = ("::", "::1")


class _State(msgspec.Struct):
    """A network of ours in the kernel."""

    network: Network
    wanted: device.Bridge
    options: BridgeOptions
    index: int
    port: bytes
    firewall: Firewall
    endpoints: dict[str, Endpoint] = msgspec.field(default_factory=dict)


class Bridge(NetworkDriver):
    """Networks on bridges. The bridges and their packet filters outlive us, as the containers on them do.

    The address of the host's end, a bridge's own, is the sandboxes' gateway. Ports are published by address
    translation in the kernel; no process of ours touches a packet, other than those that come by IPv6 for
    ::1, or for a sandbox without IPv6.
    """

    name = "bridge"
    makes_gateways = True

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
        self._host_filter = HostFilter(nftables) if settings.through_host else None
        self._guard = Guard(self._put_back)
        self._departures = Departures(self._threads)
        self._proxies = Proxies()

    async def predefined(self, stored: Network | None, *, used: bool = False) -> Network | None:
        """See `NetworkDriver.predefined`: the default bridge network, unless the settings forbid it."""
        settings, kept = self._settings, stored if used else None
        if settings.bridge == "none" and kept is None:
            return None
        if self._lock is None:
            before = stored.options.get(NAME, "") if stored else ""
            asked = "" if kept else settings.bridge
            claimed = await self._threads.run(choice.claim, asked, self._lock_directory, before)
            self._bridge, self._lock = claimed
        found = await choice.default_network(settings, self._bridge, stored, self._ipam, self._threads)
        if kept is None or kept == found:
            return found
        log.warning("there are running containers, updated network configuration will not take effect")
        return kept

    async def create(self, network: Network) -> None:
        """See `NetworkDriver.create`."""
        await to_its_end(self._threads, lambda: self._mend(network))
        self._guard.open()

    async def _put_back(self, lost: Losses) -> None:
        """Somebody else took devices, addresses or tables: mend the networks that they are of."""
        for state in tuple(self._networks.values()):
            rules = state.firewall.rules
            tables = {COMMON, *(one.name for one in rules)} if rules else set()
            if self._host_filter:
                tables.add("filter")
            ours = (
                lost.unknown
                or state.wanted.name in lost.links
                or state.index in lost.addresses
                or lost.tables & tables
            )
            if ours:
                await self._threads.run(self._mend_known, state)

    def _mend_known(self, state: _State) -> None:
        with self._mending:
            if self._networks.get(state.network.id) is state:
                log.warning("somebody took a part of network %s, putting it back", state.network.name)
                self._mended(state.network)

    async def _state(self, network: Network) -> _State:
        """The network's, made now if that failed before."""
        if (found := self._networks.get(network.id)) is not None:
            return found
        return await to_its_end(self._threads, lambda: self._mend(network))

    def _mend(self, network: Network) -> _State:
        """Everything of the network that should be in the kernel, sandboxes' connections included."""
        with self._mending:
            return self._mended(network)

    def _mended(self, network: Network) -> _State:
        options = bridge_options(network)
        self._check_alone(network, options.name)
        wanted = self._wanted(network, options)
        index = device.mend(wanted)
        versions = [4] * network.enable_ipv4 + [6] * network.enable_ipv6
        strangers = [
            "ip6" if version == 6 else "ip"
            for version in (versions if self._settings.ip_forward else ())
            if not device.routes_packets(version)
        ]
        old = self._networks.get(network.id)
        endpoints = old.endpoints if old else {}
        firewall = old.firewall if old else Firewall(self._nftables)
        rules = self._rules(network, options)
        if any(one.family == "ip" for one in rules):
            sysctl.write(f"net/ipv4/conf/{options.name}/route_localnet", "1")
        if rules:
            closed = () if self._settings.ip_forward_no_drop else strangers
            firewall.install(options.name, rules, strangers=closed)
        if self._host_filter is not None:
            for one in rules:
                self._host_filter.let_through(one.family, options.name)
        for family in strangers:
            device.route_packets(6 if family == "ip6" else 4)
        filtered = all(device.frames_are_filtered(version) for version in versions)
        port = netlink.port_options(
            hairpin=filtered,
            isolated=not options.icc and not filtered,
            ipv6=options.fits_ipv6 and device.has_ipv6(),
        )
        if endpoints:
            device.replug(list(endpoints.values()), index, port)
        state = self._networks[network.id] = _State(
            network, wanted, options, index, port, firewall, endpoints
        )
        return state

    def _check_alone(self, network: Network, bridge: str) -> None:
        """Raises Forbidden if the bridge is another network's."""
        for other in self._networks.values():
            if other.options.name == bridge and other.network.id != network.id:
                raise Forbidden(
                    f"cannot create network {network.id} ({bridge}): conflicts with network "
                    f"{other.network.id} ({bridge}): networks have same bridge name"
                )

    def _wanted(self, network: Network, options: BridgeOptions) -> device.Bridge:
        addresses = []
        for subnet in network.subnets:
            version = 6 if ":" in subnet.subnet else 4
            if options.mode(version) == "isolated" or (version == 4 and options.inhibit_ipv4):
                continue
            addresses.append(ip_interface(f"{subnet.gateway}/{subnet.subnet.partition('/')[2]}"))
        alone = options.default and bool(self._settings.bip)
        return device.Bridge(options.name, tuple(addresses), options.mtu, alone, network.enable_ipv6)

    def _rules(self, network: Network, options: BridgeOptions) -> list[Rules]:
        return [
            _rules(subnet, network, options, self._settings)
            for subnet in network.subnets
            if (self._settings.firewall6 if ":" in subnet.subnet else self._settings.firewall)
        ]

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""
        state = self._networks.pop(network.id, None)
        if state is not None:
            await to_its_end(self._threads, lambda: self._remove(state))
        else:
            await to_its_end(self._threads, lambda: self._remove_rest(network))

    def _remove_rest(self, network: Network) -> None:
        """What there is of a network that could not be made."""
        with self._mending:
            try:
                name = bridge_options(network).name
                self._check_alone(network, name)
            except MobyError:
                return  # There is nothing, or what there is is another network's.
            if not device.has_ports(name):
                Firewall(self._nftables).install(name, ())
                device.remove(name)

    def _remove(self, state: _State) -> None:
        with self._mending:
            self._close_filter(state)
            if state.firewall.rules and not self._networks:
                sweep(self._nftables)
            device.remove(state.wanted.name)

    def _close_filter(self, state: _State) -> None:
        if self._host_filter is not None:
            for one in state.firewall.rules:
                self._host_filter.forget(one.family, one.bridge)
        state.firewall.remove()

    async def join(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.join`."""
        state = await self._state(network)
        endpoint = msgspec.structs.replace(
            endpoint,
            mac_address=endpoint.mac_address or device.mac_for(endpoint.ipv4),
            gateway=endpoint.gateway if state.options.mode4 != "isolated" else "",
            gateway6=endpoint.gateway6 if state.options.mode6 != "isolated" else "",
        )
        async with Undo() as undo:
            undo.push(self._ports.release, endpoint.id)
            joined = self._reserved(state, endpoint)
            undo.push(self._disconnect, state, joined)
            await to_its_end(self._threads, lambda: self._connect(network, joined, sandbox))
            undo.push(self._proxies.close, joined.id)
            self._proxy(state, joined)
            undo.keep()
        return joined

    def _proxy(self, state: _State, endpoint: Endpoint) -> None:
        """Serve what the kernel does not translate: what comes to ::1, or by IPv6 to who has none.

        Without a packet filter that is everything.
        """
        filtered = {one.family for one in state.firewall.rules}
        four, six = (text.partition("/")[0] for text in (endpoint.ipv4, endpoint.ipv6))
        ports = {(one.protocol, one.host_ip, one.host_port): one.container_port for one in endpoint.ports}
        served: list[Served] = [
            (protocol, bound, (six or four if ":" in address else four, ports[protocol, address, port]))
            for protocol, address, port, bound in self._ports.sockets(endpoint.id)
            if address in _WITH_LOOPBACK or (":" in address and not six) or _family(address) not in filtered
            if (protocol, address, port) in ports
        ]
        self._proxies.serve(endpoint.id, served)

    def _reserved(self, state: _State, endpoint: Endpoint) -> Endpoint:
        """The endpoint with its ports granted. Raises Conflict, NotImplemented."""
        proxy = self._settings.proxy and self._ports.ipv6
        default = state.options.binding or self._settings.ip
        wanted, less = places(endpoint, state.options, default, proxy=proxy)
        families = {one.family for one in state.firewall.rules} | ({"ip6"} if not endpoint.ipv6 else set())
        closed = [
            port
            for port in wanted
            if _family(port.host_ip) not in families
            if not self._settings.proxy or port.protocol == "sctp"
        ]
        if any(":" not in port.host_ip for port in closed):
            raise NotImplemented(
                "publishing ports with neither firewall nor proxy (iptables=false) is not supported yet"
            )
        if closed:
            wanted = [port for port in wanted if port not in closed]
        if less:
            log.info("a port is not published: no way in for its family", extra={"endpoint": endpoint.id})
        mapped: list[PortMapping] = []
        routed: list[PortMapping] = []
        for port in wanted:
            mode = state.options.mode(6 if ":" in port.host_ip else 4)
            (routed if mode == "routed" else mapped).append(port)
        try:
            granted = self._ports.reserve(endpoint.id, mapped)
        except MobyError as error:
            raise _external(error, endpoint) from error
        return msgspec.structs.replace(endpoint, ports=(*granted, *routed))

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
        _publish(state, endpoint)

    async def restore(self, network: Network, endpoints: Sequence[Endpoint]) -> None:
        """See `NetworkDriver.restore`."""
        state = await self._state(network)
        state.endpoints.clear()
        for endpoint in endpoints:
            state.endpoints[endpoint.id] = endpoint
            for error in self._ports.restore(endpoint.id, endpoint.ports):
                log.warning(
                    "a published port is in use on the host: %s", error, extra={"endpoint": endpoint.id}
                )
            self._proxy(state, endpoint)

        def mend() -> None:
            device.remove_all(device.strangers(state.index, endpoints))
            device.replug(endpoints, state.index, state.port)
            state.firewall.replace(endpoints)

        await to_its_end(self._threads, mend)

    async def leave(self, network: Network, endpoint: Endpoint, sandbox: str, *, closing: bool) -> None:
        """See `NetworkDriver.leave`."""
        state = self._networks.get(network.id)
        if state is not None:
            state.endpoints.pop(endpoint.id, None)
        if closing:
            self._departures.add(endpoint)
        if state is not None and (endpoint.ports or not closing):
            await to_its_end(self._threads, lambda: _disconnect(state, endpoint, closing=closing))
        self._proxies.close(endpoint.id)
        self._ports.release(endpoint.id)

    async def _disconnect(self, state: _State, endpoint: Endpoint) -> None:
        await self._threads.run(_disconnect, state, endpoint, closing=False)

    async def reroute(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.reroute`."""
        state = await self._state(network)
        before = state.endpoints.get(endpoint.id, endpoint)
        await to_its_end(self._threads, lambda: _withdraw(state, before))
        self._proxies.close(endpoint.id)
        self._ports.release(endpoint.id)
        changed = self._reserved(state, endpoint)
        state.endpoints[endpoint.id] = changed

        def route() -> None:
            device.reroute(changed, sandbox)
            _publish(state, changed)

        await to_its_end(self._threads, route)
        self._proxy(state, changed)
        return changed

    async def close(self) -> None:
        """See `NetworkDriver.close`; a bridge that nobody is on leaves no packet filter behind."""
        self._guard.close()
        await self._departures.close()
        for state in self._networks.values():
            if not state.endpoints:
                await self._threads.run(self._close_filter, state)
        if any(state.firewall.rules for state in self._networks.values()):
            await self._threads.run(sweep, self._nftables)
        await self._threads.run(self._nftables.close)
        self._threads.close()
        self._proxies.close_all()
        self._ports.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _rules(subnet: Subnet, network: Network, options: BridgeOptions, settings: BridgeSettings) -> Rules:
    version = 6 if ":" in subnet.subnet else 4
    return Rules(
        options.name,
        subnet.subnet,
        options.icc,
        options.masquerade,
        network.internal,
        options.mode(version),
        settings.direct_routing,
        options.host_address(version),
        options.trusted,
        settings.accepted_mark,
    )


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"


def _publish(state: _State, endpoint: Endpoint) -> None:
    try:
        state.firewall.publish(endpoint)
        netlink.forget_udp_flows(_udp_ports(endpoint))
    except MobyError as error:
        raise _external(error, endpoint) from error


def _withdraw(state: _State, endpoint: Endpoint) -> None:
    state.firewall.withdraw(endpoint)
    netlink.forget_udp_flows(_udp_ports(endpoint))


def _disconnect(state: _State, endpoint: Endpoint, *, closing: bool) -> None:
    state.endpoints.pop(endpoint.id, None)
    _withdraw(state, endpoint)
    if not closing:
        device.unplug(endpoint)


def _udp_ports(endpoint: Endpoint) -> list[int]:
    return [port.host_port for port in endpoint.ports if port.protocol == "udp" and port.host_port]


def _external(error: MobyError, endpoint: Endpoint) -> MobyError:
    """In the words that docker's clients look for."""
    place = f"endpoint {endpoint.name or endpoint.sandbox_id} ({endpoint.id})"
    return type(error)(f"driver failed programming external connectivity on {place}: {error.message}")
