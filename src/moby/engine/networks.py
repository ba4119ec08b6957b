"""This file is about networks as the API shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from moby.core.errors import Forbidden, InvalidParameter, NotFound, NotImplemented
from moby.core.events import Bus
from moby.core.filters import Filters
from moby.core.networks import Network, NetworkRequest, Networks, Subnet
from moby.core.types.networks import (
    IPAM,
    EndpointResource,
    IPAMPool,
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkDisconnectRequest,
    NetworkInspect,
    NetworkPruneResponse,
    NetworkSummary,
)
from moby.engine.containers.connecting import Connections
from moby.engine.containers.index import Index
from moby.engine.containers.network_events import NetworkEvents
from moby.engine.prunes import Prunes

_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_PREDEFINED = frozenset({"bridge", "host", "none"})


class NetworkService:
    """Networks: made, shown with who is on them, connected, removed."""

    def __init__(self, networks: Networks, index: Index, connections: Connections, bus: Bus) -> None:
        self._networks = networks
        self._index = index
        self._connections = connections
        self._events = NetworkEvents(networks, bus)
        self._prunes = Prunes("network", bus)

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        """Raises InvalidParameter, Conflict, Forbidden, NotFound, NotImplemented."""
        _check_request(request)
        network = await self._networks.make(
            NetworkRequest(
                name=request.name,
                driver=request.driver,
                enable_ipv4=request.enable_ipv4 is not False,
                enable_ipv6=bool(request.enable_ipv6),
                internal=request.internal,
                attachable=request.attachable,
                subnets=[_subnet(pool) for pool in (request.ipam and request.ipam.config) or ()],
                options=request.options or {},
                labels=request.labels or {},
                ipam_options=(request.ipam and request.ipam.options) or {},
            )
        )
        self._events.tell("create", network)
        return NetworkCreateResponse(network.id)

    async def remove(self, name: str) -> None:
        """Raises NotFound, Forbidden for a predefined one or while somebody is on it."""
        network = await self._networks.find(name)
        if network.name in _PREDEFINED:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        await self._networks.remove(network.id)
        self._events.tell("destroy", network)

    async def prune(self, filters: Filters) -> NetworkPruneResponse:
        """Remove every network of a user's own that nobody is on, as the filters allow."""
        filters.check({"label", "label!", "until"})
        with self._prunes.one():
            removed = await self._prune(filters)
        self._prunes.told(0)
        return NetworkPruneResponse(removed or None)

    async def _prune(self, filters: Filters) -> list[str]:
        removed = []
        for network in await self._networks.list():
            if network.name in _PREDEFINED or self._used(network) or not _prunable(network, filters):
                continue
            try:
                await self._networks.remove(network.id)
            except (Forbidden, NotFound):
                continue
            self._events.tell("destroy", network)
            removed.append(network.name)
        return removed

    async def connect(self, name: str, request: NetworkConnectRequest) -> None:
        """Raises NotFound, Forbidden, Conflict, InvalidParameter."""
        network = await self._networks.find(name)
        await self._connections.connect(network, request.container, request.endpoint_config)

    async def disconnect(self, name: str, request: NetworkDisconnectRequest) -> None:
        """Raises NotFound, Forbidden, Conflict."""
        network = await self._networks.find(name)
        await self._connections.disconnect(network, request.container, force=request.force)

    def _used(self, network: Network) -> bool:
        return any(
            settings.network_id == network.id
            for container in self._index
            for settings in container.record.networks.values()
        )

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


def _check_request(request: NetworkCreateRequest) -> None:
    if not request.name.strip():
        raise InvalidParameter("invalid network name: name is empty")
    if not _NAME.fullmatch(request.name):
        raise InvalidParameter(
            f"invalid network name: {request.name}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
    if request.name in _PREDEFINED:
        raise Forbidden(f"operation is not permitted on predefined {request.name} network")
    if request.config_only or (request.config_from and request.config_from.network):
        raise NotImplemented("networks that are only a configuration are not supported yet")
    if request.ingress or request.scope not in ("", "local"):
        raise NotImplemented("networks of a swarm are not supported yet")
    if request.ipam is not None and (request.ipam.driver not in ("", "default") or request.ipam.options):
        raise NotImplemented(f"the IPAM driver {request.ipam.driver} and its options are not supported yet")


def _prunable(network: Network, filters: Filters) -> bool:
    created = datetime.fromisoformat(network.created)
    if any(created >= Filters.moment(text) for text in filters.values("until")):
        return False
    if "label!" in filters and filters.labels_match("label!", network.labels):
        return False
    return filters.labels_match("label", network.labels)


def _subnet(pool: IPAMPool) -> Subnet:
    return Subnet(pool.subnet, pool.gateway, pool.ip_range, dict(pool.auxiliary_addresses))


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
