"""This file is about which places of the host an endpoint's ports are asked for at. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.networks import Endpoint, PortMapping
from moby.networks.bridge_options import BridgeOptions
from moby.networks.ports import ANY4, ANY6


def places(
    endpoint: Endpoint, options: BridgeOptions, default: str, *, proxy: bool = False
) -> tuple[list[PortMapping], bool]:
    """The mappings, one for each address of the host; and whether any of them was left out.

    Those without an address are on `default`, and on every address of IPv6 as well if that is every one of
    IPv4. A family is published if the endpoint has it and gives the sandbox its way out. Where a family's
    packets are not translated the port is the container's own: `host_port` is 0. With a `proxy` a sandbox
    that has IPv4 alone is reached by IPv6 as well.
    """
    versions = [
        version
        for version, address, way in (
            (4, endpoint.ipv4, endpoint.default_route and endpoint.gateway),
            (6, endpoint.ipv6, endpoint.default_route6 and endpoint.gateway6),
        )
        if address and way
    ]
    passed_on = proxy and versions == [4] and not endpoint.ipv6 and options.mode(4) != "routed"
    found: list[PortMapping] = []
    for mapping in endpoint.ports:
        for address in _addresses(mapping.host_ip, default):
            version = 6 if ":" in address else 4
            if version not in versions:
                if passed_on and version == 6 and mapping.protocol != "sctp":
                    found.append(msgspec.structs.replace(mapping, host_ip=address))
                continue
            if options.mode(version) == "routed":
                host_ip = ANY6 if version == 6 else ANY4
                found.append(PortMapping(mapping.protocol, mapping.container_port, host_ip))
            else:
                found.append(msgspec.structs.replace(mapping, host_ip=address))
    return list(dict.fromkeys(found)), len(found) < len(endpoint.ports)


def _addresses(asked: str, default: str) -> Sequence[str]:
    text = asked or default or ANY4
    try:
        address = ip_address(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid IP address: {text}") from error
    if not asked and text == ANY4:
        return (ANY4, ANY6)
    return (str(address),)
