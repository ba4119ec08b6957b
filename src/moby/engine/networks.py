"""This file is about networks as the API shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from moby.core.errors import InvalidParameter
from moby.core.filters import Filters
from moby.core.networks import Network, Networks
from moby.core.types.networks import IPAM, EndpointResource, IPAMPool, NetworkInspect, NetworkSummary
from moby.engine.containers.index import Index

_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_PREDEFINED = frozenset({"bridge", "host", "none"})


class NetworkService:
    """Shows networks and who is on them."""

    def __init__(self, networks: Networks, index: Index) -> None:
        self._networks = networks
        self._index = index

    async def inspect(self, name: str, *, scope: str = "", verbose: bool = False) -> NetworkInspect:
        """By name, ID or unique beginning of an ID. Raises NotFound."""
        network = await self._networks.find(name)
        found = NetworkInspect(**_fields(network))
        for endpoint in await self._networks.endpoints(network.id):
            container = self._index.get(endpoint.sandbox_id)
            found.containers[endpoint.sandbox_id] = EndpointResource(
                name=container.record.name if container else "",
                endpoint_id=endpoint.id,
                mac_address=endpoint.mac_address,
                ipv4_address=endpoint.ipv4,
                ipv6_address=endpoint.ipv6,
            )
        return found

    async def list(self, filters: Filters) -> Sequence[NetworkSummary]:
        """Every network that the filters let through, by name."""
        filters.check(_FILTERS)
        checks = [_check(key, filters) for key in filters]
        networks = [
            network for network in await self._networks.list() if all(check(network) for check in checks)
        ]
        return [NetworkSummary(**_fields(network)) for network in sorted(networks, key=lambda n: n.name)]


def _fields(network: Network) -> dict[str, Any]:
    pools = [
        IPAMPool(
            subnet=subnet.subnet,
            ip_range=subnet.ip_range,
            gateway=subnet.gateway,
            auxiliary_addresses=dict(subnet.aux_addresses),
        )
        for subnet in network.subnets
    ]
    return {
        "name": network.name,
        "id": network.id,
        "created": network.created,
        "scope": network.scope,
        "driver": network.driver,
        "enable_ipv4": network.enable_ipv4,
        "enable_ipv6": network.enable_ipv6,
        "ipam": IPAM(driver="default", config=pools),
        "internal": network.internal,
        "attachable": network.attachable,
        "ingress": network.ingress,
        "options": dict(network.options),
        "labels": dict(network.labels),
    }


def _check(key: str, filters: Filters) -> Callable[[Network], bool]:
    values = filters.values(key)
    match key:
        case "name":
            return lambda network: any(value in network.name for value in values)
        case "id":
            return lambda network: any(network.id.startswith(value) for value in values)
        case "driver":
            return lambda network: network.driver in values
        case "scope":
            return lambda network: network.scope in values
        case "label":
            return lambda network: filters.labels_match("label", network.labels)
        case "dangling":
            wanted = filters.flag("dangling", False)
            return lambda network: (network.name not in _PREDEFINED) == wanted
        case _:
            if bad := [value for value in values if value not in ("builtin", "custom")]:
                raise InvalidParameter(f"invalid filter: 'type'='{bad[0]}'")
            return lambda network: ("builtin" if network.name in _PREDEFINED else "custom") in values
