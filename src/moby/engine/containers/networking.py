"""This file is about a container's place on networks: from its configuration to attachments, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moby.core.errors import InvalidParameter, NotImplemented
from moby.core.networks import Attachment, Endpoint, Network, PortMapping, Sandbox, Transport
from moby.core.types.containers import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
    PortBinding,
)
from moby.engine.containers.record import Record

ANY = "0.0.0.0"  # noqa: S104 - what docker shows for "every address"


def network_names(host: HostConfig, networking: NetworkingConfig | None) -> Mapping[str, EndpointSettings]:
    """The networks a container is to join, by the names its user gave. Raises NotImplemented for many."""
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
    names = {mode: asked.pop(mode, None) or EndpointSettings()}
    if asked:
        raise NotImplemented("connecting a container to several networks is not supported yet")
    return names


def attachments(record: Record, default_ip: str) -> tuple[Attachment, ...]:
    """What the sandbox is to join."""
    host = record.host_config
    if host.network_mode.startswith("container:"):
        return ()
    ports = () if host.network_mode in ("host", "none") else port_mappings(record.config, host, default_ip)
    found = []
    for name, settings in record.networks.items():
        wanted = settings.ipam_config or None
        found.append(
            Attachment(
                network=name,
                aliases=tuple(settings.aliases or ()),
                ipv4=(wanted.ipv4_address if wanted else "") or "",
                ipv6=(wanted.ipv6_address if wanted else "") or "",
                mac_address=record.config.mac_address or "",
                ports=ports,
            )
        )
    return tuple(found)


def port_mappings(config: ContainerConfig, host: HostConfig, default_ip: str) -> tuple[PortMapping, ...]:
    """Published ports as the user wrote them, and with `-P` every exposed one."""
    found: list[PortMapping] = []
    for text, bindings in (host.port_bindings or {}).items():
        found.extend(_mapping(text, binding, default_ip) for binding in bindings or [PortBinding()])
    if host.publish_all_ports:
        published = {(mapping.protocol, mapping.container_port) for mapping in found}
        for text in config.exposed_ports or {}:
            found += [
                mapping
                for mapping in _exposed(text, default_ip)
                if (mapping.protocol, mapping.container_port) not in published
            ]
    return tuple(found)


def _mapping(text: str, binding: PortBinding, default_ip: str) -> PortMapping:
    port, _, protocol = text.partition("/")
    low, _, high = (binding.host_port or "0").partition("-")
    return PortMapping(
        _transport(protocol), int(port), binding.host_ip or default_ip, int(low), int(high or low)
    )


def _exposed(text: str, default_ip: str) -> Sequence[PortMapping]:
    ports, _, protocol = text.partition("/")
    low, _, high = ports.partition("-")
    return [
        PortMapping(_transport(protocol), port, default_ip) for port in range(int(low), int(high or low) + 1)
    ]


def _transport(text: str) -> Transport:
    match text or "tcp":
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
            bindings.append(PortBinding(host_ip=mapping.host_ip or ANY, host_port=str(mapping.host_port)))
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
    settings.dns_names = settings.dns_names or None


def disconnected(record: Record) -> None:
    """Write down that the container stands on no network now."""
    record.sandbox_id = record.sandbox_key = ""
    record.ports = {}
    for settings in record.networks.values():
        network = settings.network_id
        _fill(settings, Endpoint("", "", "", ""))
        settings.network_id = network


def named(record: Record, networks: Mapping[str, Network]) -> None:
    """Write down the IDs of the networks that were found by name."""
    for name, network in networks.items():
        record.networks[name].network_id = network.id
