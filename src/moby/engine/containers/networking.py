"""This file is about a container's place on networks: from its configuration to attachments, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import msgspec

from moby.core.errors import InvalidParameter, NotFound
from moby.core.networks import Attachment, Endpoint, Network, Networks, PortMapping, Sandbox, Transport
from moby.core.types.containers import (
    ContainerConfig,
    EndpointIPAMConfig,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
    PortBinding,
)
from moby.engine.containers.links import parse_link
from moby.engine.containers.record import Record
from moby.networks.endpoints import is_mac

PREDEFINED = frozenset({"bridge", "host", "none"})
ANY = "0.0.0.0"  # noqa: S104 - what docker shows for "every address"


def network_names(host: HostConfig, networking: NetworkingConfig | None) -> Mapping[str, EndpointSettings]:
    """The networks a container is to join, by the names its user gave; that of its mode first.

    Where networks are named, the mode's is no other one: a client that names two means two.
    """
    mode = host.network_mode
    asked: dict[str, EndpointSettings] = {}
    for name, settings in ((networking.endpoints_config if networking else None) or {}).items():
        if settings is None:
            raise InvalidParameter(f"invalid config for network {name}: EndpointsConfig is nil")
        asked[name] = settings
    if "default" in asked:
        asked["bridge"] = asked.pop("default")
    if mode.startswith("container:"):
        if asked:
            raise InvalidParameter(
                "conflicting options: container type network can't be used with links or other networks"
            )
        return {}
    if mode in ("host", "none") and set(asked) - {mode}:
        raise InvalidParameter(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        )
    if mode == "bridge" and len(asked) == 1 and "bridge" not in asked:
        # As some clients say it: the one network that is named is the one that is meant.
        host.network_mode = mode = next(iter(asked))
    if not asked:
        return {mode: EndpointSettings()}
    return {name: asked[name] for name in sorted(asked, key=lambda name: (name != mode, name))}


def check_endpoint(network: Network, settings: EndpointSettings) -> None:
    """Raises InvalidParameter that tells of everything a network cannot do for a container."""
    wanted = settings.ipam_config or EndpointIPAMConfig()
    problems: list[str] = []
    if network.name in PREDEFINED:
        if wanted.ipv4_address or wanted.ipv6_address:
            problems.append("user-specified IP address is supported on user-defined networks only")
        if settings.aliases:
            problems.append("network-scoped aliases are only supported for user-defined networks")
    subnets = [ip_network(one.subnet) for one in network.subnets]
    for version, text in ((4, wanted.ipv4_address), (6, wanted.ipv6_address)):
        if not text:
            continue
        address = _parsed(text)
        if address is None or address.version != version or address.is_unspecified:
            problems.append(f"invalid IPv{version} address: {text}")
        elif not any(address in subnet for subnet in subnets):
            problems.append(f"no configured subnet contains IP address {text}")
    for text in wanted.link_local_ips:
        address = _parsed(text)
        if address is None or not address.is_link_local:
            problems.append(f"invalid link-local IP address: {text}")
    if settings.mac_address and not is_mac(settings.mac_address):
        problems.append(f"invalid MAC address: {settings.mac_address}")
    for text in settings.links or ():
        parse_link(text)
    if problems:
        raise InvalidParameter("\n".join(["invalid endpoint settings:", *problems]))


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


async def host_gateways(networks: Networks) -> Sequence[str]:
    """The host's addresses on the default network, which `host-gateway` stands for; none without it."""
    try:
        default = await networks.find("bridge")
    except NotFound:
        return ()
    return [subnet.gateway for subnet in default.subnets if subnet.gateway]


def attachments(record: Record) -> tuple[Attachment, ...]:
    """What the sandbox is to join."""
    if record.host_config.network_mode.startswith("container:"):
        return ()
    found = []
    for number, (name, settings) in enumerate(record.networks.items()):
        attached = attachment(name, settings, record.macs.get(name, ""))
        if number == 0 and not attached.mac_address:
            attached = msgspec.structs.replace(attached, mac_address=record.config.mac_address or "")
        found.append(attached)
    return tuple(found)


def attachment(name: str, settings: EndpointSettings, mac: str = "") -> Attachment:
    """What one network is asked for; `mac` is what the user asked for, who sees in `settings` what it is."""
    wanted = settings.ipam_config or EndpointIPAMConfig()
    return Attachment(
        network=name,
        aliases=tuple(settings.dns_names or settings.aliases or ()),
        ipv4=wanted.ipv4_address,
        ipv6=wanted.ipv6_address,
        mac_address=mac or (settings.mac_address if settings.endpoint_id == "" else ""),
        priority=settings.gw_priority,
        links={link.alias: link.name for link in map(parse_link, settings.links or ())},
        link_local=tuple(wanted.link_local_ips),
        options=settings.driver_opts or {},
    )


def dns_names(record: Record, settings: EndpointSettings) -> list[str]:
    """What a container is called on a network of a user's own."""
    names = [record.name, *(settings.aliases or ()), record.id[:12], record.config.hostname]
    return list(dict.fromkeys(name for name in names if name))


def port_mappings(config: ContainerConfig, host: HostConfig) -> tuple[PortMapping, ...]:
    """Published ports as the user wrote them, and with `-P` every exposed one."""
    if host.network_mode in ("host", "none"):
        return ()
    found: list[PortMapping] = []
    for text, bindings in (host.port_bindings or {}).items():
        found.extend(_mapping(text, binding) for binding in bindings or [PortBinding()])
    if host.publish_all_ports:
        published = {(mapping.protocol, mapping.container_port) for mapping in found}
        for text in config.exposed_ports or {}:
            found += [
                mapping
                for mapping in _exposed(text)
                if (mapping.protocol, mapping.container_port) not in published
            ]
    return tuple(found)


def _mapping(text: str, binding: PortBinding) -> PortMapping:
    port, _, protocol = text.partition("/")
    low, _, high = (binding.host_port or "0").partition("-")
    return PortMapping(_transport(protocol), int(port), binding.host_ip, int(low), int(high or low))


def _exposed(text: str) -> Sequence[PortMapping]:
    ports, _, protocol = text.partition("/")
    low, _, high = ports.partition("-")
    return [PortMapping(_transport(protocol), port) for port in range(int(low), int(high or low) + 1)]


def _transport(text: str) -> Transport:
    match text.lower() or "tcp":
        case "tcp":
            return "tcp"
        case "udp":
            return "udp"
        case "sctp":
            return "sctp"
        case other:
            raise InvalidParameter(f'invalid port specification: "{other}"')


def connected(record: Record, sandbox: Sandbox) -> None:
    """Write down where the container stands on its networks now."""
    record.sandbox_id = sandbox.id
    record.sandbox_key = sandbox.path
    record.ports = dict.fromkeys(record.config.exposed_ports or {})
    for endpoint in sandbox.endpoints:
        settings = record.networks.setdefault(endpoint.network_name, EndpointSettings())
        _fill(settings, endpoint)
        for mapping in endpoint.ports:
            key = f"{mapping.container_port}/{mapping.protocol}"
            bindings = record.ports.get(key) or []
            port = str(mapping.host_port) if mapping.host_port else ""
            bindings.append(PortBinding(host_ip=mapping.host_ip or ANY, host_port=port))
            record.ports[key] = bindings


def _fill(settings: EndpointSettings, endpoint: Endpoint) -> None:
    address, _, length = endpoint.ipv4.partition("/")
    settings.network_id = endpoint.network_id
    settings.endpoint_id = endpoint.id
    settings.gateway = endpoint.gateway
    settings.ip_address = address
    settings.ip_prefix_len = int(length or 0)
    address, _, length = endpoint.ipv6.partition("/")
    settings.ipv6_gateway = endpoint.gateway6
    settings.global_ipv6_address = address
    settings.global_ipv6_prefix_len = int(length or 0)
    settings.mac_address = endpoint.mac_address


def disconnected(record: Record) -> None:
    """Write down that the container stands on no network now."""
    record.sandbox_id = record.sandbox_key = ""
    record.ports = {}
    for settings in record.networks.values():
        network = settings.network_id
        _fill(settings, Endpoint("", "", "", ""))
        settings.network_id = network


def named(record: Record, networks: Mapping[str, Network]) -> None:
    """Write down the networks that were found, by their own names. Raises as `check_endpoint`."""
    settled: dict[str, EndpointSettings] = {}
    for name, settings in record.networks.items():
        network = networks.get(name)
        settled[network.name if network else name] = settings
        if network is None:
            continue
        try:
            check_endpoint(network, settings)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid config for network {network.name}: {error.message}") from error
        settings.network_id = network.id
        if network.name not in PREDEFINED:
            settings.dns_names = dns_names(record, settings)
    record.networks = settled
    record.macs = {name: settings.mac_address for name, settings in settled.items() if settings.mac_address}


def renamed(record: Record) -> None:
    """Write down by which names others find the container, now that it has another one."""
    for name, settings in record.networks.items():
        if name not in PREDEFINED:
            settings.dns_names = dns_names(record, settings)
