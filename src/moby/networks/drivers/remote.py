"""This file is about networks that a plugin makes: another process, which is asked for everything."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any, Literal, Self, TypeVar

import msgspec

from moby.core.errors import InvalidParameter, MobyError, NotFound, System
from moby.core.networks import Endpoint, Network, NetworkDriver, Subnet
from moby.core.plugins import LIMIT_S, Plugin
from moby.core.undo import Undo
from moby.host.threads import Threads
from moby.networks import bridge_device, foreign_device
from moby.networks.work import to_its_end

log = logging.getLogger(__name__)

_SUBSYSTEM = "NetworkDriver"
_LABEL = "com.docker.network"
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_UNDO_LIMIT_S = 8.0


class _Answer(msgspec.Struct, rename="pascal"):
    err: str = ""


class _Capability(_Answer):
    scope: str = ""
    gw_alloc_checker: bool = False


class _Skipped(_Answer):
    skip_ipv4: bool = msgspec.field(default=False, name="SkipIPv4")
    skip_ipv6: bool = msgspec.field(default=False, name="SkipIPv6")


class _Interface(msgspec.Struct, rename="pascal"):
    address: str = ""
    address_ipv6: str = msgspec.field(default="", name="AddressIPv6")
    mac_address: str = ""


class _Made(_Answer):
    interface: _Interface | None = None


class _Name(msgspec.Struct, rename="pascal"):
    src_name: str = ""
    dst_name: str = ""
    dst_prefix: str = ""


class _Route(msgspec.Struct, rename="pascal"):
    destination: str = ""
    route_type: int = 0
    next_hop: str = ""


class _Joined(_Answer):
    interface_name: _Name | None = None
    gateway: str = ""
    gateway_ipv6: str = msgspec.field(default="", name="GatewayIPv6")
    static_routes: list[_Route] = msgspec.field(default_factory=list)
    disable_gateway_service: bool = False


A = TypeVar("A", bound=_Answer)


class Remote(NetworkDriver):
    """A plugin as a driver.

    The plugin keeps its networks: it is told of one when it is made, and not again when we start. It makes an
    interface on the host, which we put into the sandbox and give back when the sandbox leaves. What is asked
    in vain while something ends is logged: nobody could do anything.
    """

    makes_gateways = True

    def __init__(self, plugin: Plugin, scope: Literal["local", "global"], *, chooses: bool) -> None:
        self.name = plugin.name
        self.scope = scope
        self.plugin = plugin
        self._chooses = chooses
        self._threads = Threads("remote", 2)

    @classmethod
    async def of(cls, plugin: Plugin) -> Self:
        """The driver of a plugin that has been activated. Raises System if it does not say what it is."""
        told = await plugin.call(f"{_SUBSYSTEM}.GetCapabilities", None, _Capability)
        if told.err:
            raise System(f"remote: {told.err}")
        if told.scope == "local":
            return cls(plugin, "local", chooses=told.gw_alloc_checker)
        if told.scope == "global":
            return cls(plugin, "global", chooses=told.gw_alloc_checker)
        raise System(f"invalid capability: expecting 'local' or 'global', got {told.scope}")

    async def _ask(
        self, method: str, kind: type[A], request: Mapping[str, object], limit_s: float = LIMIT_S
    ) -> A:
        """Raises System in the plugin's words, and what `Plugin.call` raises."""
        answer = await self.plugin.call(f"{_SUBSYSTEM}.{method}", request, kind, limit_s=limit_s)
        if answer.err:
            raise System(f"remote: {answer.err}")
        return answer

    async def _tell(self, method: str, names: Mapping[str, str], limit_s: float = LIMIT_S) -> None:
        """Ask for the end of something."""
        try:
            await self._ask(method, _Answer, names, limit_s)
        except MobyError as error:
            log.warning("%s of network plugin %s: %s", method, self.name, error.message)

    async def gateways(self, options: Mapping[str, str]) -> frozenset[int]:
        """See `NetworkDriver.gateways`."""
        if not self._chooses:
            return frozenset({4, 6})
        told = await self._ask("GwAllocCheck", _Skipped, {"Options": {f"{_LABEL}.generic": dict(options)}})
        return frozenset({4, 6}) - ({4} if told.skip_ipv4 else set()) - ({6} if told.skip_ipv6 else set())

    async def predefined(self, stored: Network | None, *, used: bool = False) -> Network | None:
        """See `NetworkDriver.predefined`; there is none."""
        return None

    async def create(self, network: Network) -> None:
        """See `NetworkDriver.create`; called once."""
        options: dict[str, Any] = {
            f"{_LABEL}.enable_ipv4": network.enable_ipv4,
            f"{_LABEL}.enable_ipv6": network.enable_ipv6,
            f"{_LABEL}.generic": dict(network.options),
        }
        if network.internal:
            options[f"{_LABEL}.internal"] = True
        await self._ask(
            "CreateNetwork",
            _Answer,
            {
                "NetworkID": network.id,
                "Options": options,
                "IPv4Data": _pools(network, 4),
                "IPv6Data": _pools(network, 6),
            },
        )

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""
        await self._tell("DeleteNetwork", {"NetworkID": network.id})

    async def join(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.join`."""
        names = {"NetworkID": network.id, "EndpointID": endpoint.id}
        async with Undo() as undo:
            made = await self._ask(
                "CreateEndpoint",
                _Made,
                {**names, "Interface": _asked(endpoint), "Options": _options(endpoint)},
            )
            undo.push(self._forget, names)
            given = _with(endpoint, made.interface)
            joined = await self._ask(
                "Join", _Joined, {**names, "SandboxKey": sandbox, "Options": _options(endpoint)}
            )
            undo.push(self._withdraw, names)
            placed = _placed(given, joined)
            if joined.interface_name is not None and joined.interface_name.src_name:
                source = joined.interface_name.src_name
                routes = [_route(route) for route in joined.static_routes]
                undo.push(self._give_back, placed, sandbox)
                await to_its_end(self._threads, lambda: foreign_device.take(source, placed, sandbox, routes))
            await self._publish(placed)
            undo.keep()
        return msgspec.structs.replace(placed, ports=())

    async def _forget(self, names: Mapping[str, str]) -> None:
        await self._tell("DeleteEndpoint", names, _UNDO_LIMIT_S)

    async def _withdraw(self, names: Mapping[str, str]) -> None:
        await self._tell("Leave", names, _UNDO_LIMIT_S)

    async def _give_back(self, endpoint: Endpoint, sandbox: str) -> None:
        await to_its_end(self._threads, lambda: foreign_device.give_back(endpoint, sandbox))

    async def _publish(self, endpoint: Endpoint) -> None:
        """Have the plugin make the way in and out, or take it away; not every plugin can."""
        names = {"NetworkID": endpoint.network_id, "EndpointID": endpoint.id}
        try:
            if endpoint.default_route or endpoint.default_route6:
                options = _options(endpoint)
                await self._ask("ProgramExternalConnectivity", _Answer, {**names, "Options": options})
            else:
                await self._ask("RevokeExternalConnectivity", _Answer, names)
        except NotFound:
            log.debug("network plugin %s makes no way out", self.name)

    async def restore(self, network: Network, endpoints: Sequence[Endpoint]) -> None:
        """See `NetworkDriver.restore`; the plugin knows them."""

    async def leave(self, network: Network, endpoint: Endpoint, sandbox: str, *, closing: bool) -> None:
        """See `NetworkDriver.leave`."""
        names = {"NetworkID": network.id, "EndpointID": endpoint.id}
        await self._tell("Leave", names)
        if not closing:
            await self._give_back(endpoint, sandbox)
        await self._tell("DeleteEndpoint", names)

    async def reroute(self, network: Network, endpoint: Endpoint, sandbox: str) -> Endpoint:
        """See `NetworkDriver.reroute`."""
        await to_its_end(self._threads, lambda: bridge_device.reroute(endpoint, sandbox))
        await self._publish(endpoint)
        return msgspec.structs.replace(endpoint, ports=())

    async def close(self) -> None:
        """See `NetworkDriver.close`."""
        self._threads.close()


def _pools(network: Network, version: int) -> list[dict[str, object]]:
    """The subnets of a family, as libnetwork tells of them."""
    space = {"": "LocalDefault", "null": "null"}.get(network.ipam_driver, "")
    return [
        {"AddressSpace": space, "Pool": one.subnet, **_hosts(one)}
        for one in network.subnets
        if ip_network(one.subnet).version == version
    ]


def _hosts(subnet: Subnet) -> dict[str, object]:
    length = ip_network(subnet.subnet).prefixlen
    found: dict[str, object] = {"Gateway": f"{subnet.gateway}/{length}"} if subnet.gateway else {}
    if subnet.aux_addresses:
        found["AuxAddresses"] = {name: f"{text}/{length}" for name, text in subnet.aux_addresses.items()}
    return found


def _asked(endpoint: Endpoint) -> dict[str, str]:
    return {
        "Address": endpoint.ipv4,
        "AddressIPv6": endpoint.ipv6,
        "MacAddress": endpoint.mac_address,
    }


def _options(endpoint: Endpoint) -> dict[str, object]:
    """The endpoint's own, and its ports."""
    ports = [
        {
            "Proto": _PROTOCOLS[port.protocol],
            "IP": endpoint.ipv4.partition("/")[0],
            "Port": port.container_port,
            "HostIP": port.host_ip,
            "HostPort": port.host_port,
            "HostPortEnd": port.host_port_end or port.host_port,
        }
        for port in endpoint.ports
    ]
    exposed = [{"Proto": port["Proto"], "Port": port["Port"]} for port in ports]
    return {**endpoint.options, f"{_LABEL}.portmap": ports, f"{_LABEL}.endpoint.exposedports": exposed}


def _with(endpoint: Endpoint, made: _Interface | None) -> Endpoint:
    """The endpoint with what the plugin chose. Raises System if it changes what was chosen before."""
    if made is None:
        return endpoint
    chosen = {"ipv4": made.address, "ipv6": made.address_ipv6, "mac_address": made.mac_address}
    for field, value in chosen.items():
        before = getattr(endpoint, field)
        if value and before and value != before:
            what = "MAC address" if field == "mac_address" else "address"
            raise System(f"driver modified interface {what}: {before} became {value}")
    try:
        for value in filter(None, (made.address, made.address_ipv6)):
            ip_interface(value)
    except ValueError as error:
        raise System(f"invalid CIDR address: {value}") from error
    return msgspec.structs.replace(endpoint, **{field: value for field, value in chosen.items() if value})


def _placed(endpoint: Endpoint, joined: _Joined) -> Endpoint:
    """The endpoint as the plugin wants it in the sandbox; who names an interface is not overruled."""
    name = joined.interface_name or _Name()
    number = re.sub(r"\D", "", endpoint.interface) or "0"
    interface = endpoint.interface
    if f"{_LABEL}.endpoint.ifname" not in endpoint.options:
        interface = name.dst_name or (f"{name.dst_prefix}{number}" if name.dst_prefix else interface)
    if joined.disable_gateway_service:
        return msgspec.structs.replace(endpoint, interface=interface, gateway="", gateway6="")
    return msgspec.structs.replace(
        endpoint,
        interface=interface,
        gateway=joined.gateway or endpoint.gateway,
        gateway6=joined.gateway_ipv6 or endpoint.gateway6,
    )


def _route(route: _Route) -> foreign_device.StaticRoute:
    """Raises System for what is none."""
    try:
        return foreign_device.parse_route(route.destination, route.next_hop)
    except (ValueError, InvalidParameter) as error:
        raise System(f"failed to set static route: {error}") from error
