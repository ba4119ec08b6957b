"""This file is about networks and endpoints in the Engine API."""

from __future__ import annotations

from typing import Any

import msgspec

from moby.core.types.wire import Int64, Wire, always, always_dict, omitted


class EndpointIPAMConfig(Wire):
    """Addresses that a user asks for at an endpoint."""

    ipv4_address: str = omitted("", name="IPv4Address")
    ipv6_address: str = omitted("", name="IPv6Address")
    link_local_ips: list[str] = msgspec.field(default_factory=list, name="LinkLocalIPs")


class EndpointSettings(Wire):
    """A container's place on a network: what its user asked for, and what it got."""

    ipam_config: EndpointIPAMConfig | None = always(None, name="IPAMConfig")
    links: list[str] | None = always(None)
    aliases: list[str] | None = always(None)
    mac_address: str = always("")
    driver_opts: dict[str, str] | None = always(None)
    gw_priority: int = always(0)
    network_id: str = always("", name="NetworkID")
    endpoint_id: str = always("", name="EndpointID")
    gateway: str = always("")
    ip_address: str = always("", name="IPAddress")
    ip_prefix_len: int = always(0, name="IPPrefixLen")
    ipv6_gateway: str = always("", name="IPv6Gateway")
    global_ipv6_address: str = always("", name="GlobalIPv6Address")
    global_ipv6_prefix_len: int = always(0, name="GlobalIPv6PrefixLen")
    dns_names: list[str] | None = always(None, name="DNSNames")


class NetworkingConfig(Wire):
    """The networks that a new container is to join, by name."""

    endpoints_config: dict[str, EndpointSettings | None] | None = always(None)


class IPAMPool(Wire):
    """One address pool of a network (`IPAMConfig` in the Engine API)."""

    subnet: str = ""
    ip_range: str = omitted("", name="IPRange")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = msgspec.field(default_factory=dict)


class IPAM(Wire):
    """Where a network's addresses come from."""

    driver: str = always("")
    options: dict[str, str] | None = always(None)
    config: list[IPAMPool] | None = always(None)


class ConfigReference(Wire):
    """The network that another takes its configuration from."""

    network: str = always("")


class PeerInfo(Wire):
    """Another node on an overlay network."""

    name: str = always("")
    ip: str = always("", name="IP")


class NetworkSummary(Wire):
    """A network in a list."""

    name: str = always("")
    id: str = always("")
    created: str = always("0001-01-01T00:00:00Z")
    scope: str = always("")
    driver: str = always("")
    enable_ipv4: bool = always(False, name="EnableIPv4")
    enable_ipv6: bool = always(False, name="EnableIPv6")
    ipam: IPAM = msgspec.field(default_factory=IPAM, name="IPAM")
    internal: bool = always(False)
    attachable: bool = always(False)
    ingress: bool = always(False)
    config_from: ConfigReference = msgspec.field(default_factory=ConfigReference)
    config_only: bool = always(False)
    options: dict[str, str] | None = always_dict()
    labels: dict[str, str] | None = always_dict()
    peers: list[PeerInfo] = msgspec.field(default_factory=list)


class EndpointResource(Wire):
    """A container on a network, as the network shows it; addresses with their prefix length."""

    name: str = always("")
    endpoint_id: str = always("", name="EndpointID")
    mac_address: str = always("")
    ipv4_address: str = always("", name="IPv4Address")
    ipv6_address: str = always("", name="IPv6Address")


class SubnetStatus(Wire):
    """How full a subnet is."""

    ips_in_use: int = always(0, name="IPsInUse")
    dynamic_ips_available: int = always(0, name="DynamicIPsAvailable")


class IPAMStatus(Wire):
    """How full a network's subnets are, by subnet."""

    subnets: dict[str, SubnetStatus] = msgspec.field(default_factory=dict)


class NetworkStatus(Wire):
    """What changes about a network while it is in use."""

    ipam: IPAMStatus = msgspec.field(default_factory=IPAMStatus, name="IPAM")


class NetworkInspect(NetworkSummary):
    """One network and who is on it, by container ID."""

    containers: dict[str, EndpointResource] = always_dict()
    services: dict[str, Any] = msgspec.field(default_factory=dict)
    status: NetworkStatus | None = None


class NetworkCreateRequest(Wire):
    """A network to make."""

    name: str = always("")
    driver: str = always("")
    scope: str = always("")
    enable_ipv4: bool | None = omitted(None, name="EnableIPv4")
    enable_ipv6: bool | None = omitted(None, name="EnableIPv6")
    ipam: IPAM | None = always(None, name="IPAM")
    internal: bool = always(False)
    attachable: bool = always(False)
    ingress: bool = always(False)
    config_only: bool = always(False)
    config_from: ConfigReference | None = always(None)
    options: dict[str, str] | None = always(None)
    labels: dict[str, str] | None = always(None)


class NetworkCreateResponse(Wire):
    """The ID of a new network."""

    id: str = always("")
    warning: str = always("")


class NetworkConnectRequest(Wire):
    """A container to connect."""

    container: str = always("")
    endpoint_config: EndpointSettings | None = None


class NetworkDisconnectRequest(Wire):
    """A container to disconnect."""

    container: str = always("")
    force: bool = always(False)


class NetworkPruneResponse(Wire):
    """The names of the networks that were removed."""

    networks_deleted: list[str] | None = always(None)


class PortBinding(Wire):
    """A place on the host where a container's port is reachable; `host_port` may ask for a range."""

    host_ip: str = always("")
    host_port: str = always("")


class PortSummary(Wire):
    """A port in the list of containers."""

    ip: str = omitted("", name="IP")
    private_port: int = always(0)
    public_port: Int64 = 0
    type: str = always("")
