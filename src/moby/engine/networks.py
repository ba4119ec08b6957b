"""This file is about networks as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moby.core.config import ConfigSource
from moby.core.errors import Forbidden, NotFound
from moby.core.events import Bus
from moby.core.filters import Filters
from moby.core.networks import Network, Networks
from moby.core.types.networks import (
    IPAM,
    ConfigReference,
    EndpointResource,
    IPAMPool,
    IPAMStatus,
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkDisconnectRequest,
    NetworkInspect,
    NetworkPruneResponse,
    NetworkStatus,
    NetworkSummary,
    SubnetStatus,
)
from moby.engine.config import EngineConfig
from moby.engine.containers.connecting import Connections
from moby.engine.containers.index import Index
from moby.engine.containers.network_events import NetworkEvents
from moby.engine.network_filters import PREDEFINED, list_filter, prune_filter
from moby.engine.network_requests import wanted
from moby.engine.prunes import Prunes


class NetworkService:
    """Networks: made, shown with who is on them, connected, removed."""

    def __init__(
        self,
        networks: Networks,
        index: Index,
        connections: Connections,
        bus: Bus,
        config: ConfigSource[EngineConfig],
    ) -> None:
        self._networks = networks
        self._index = index
        self._connections = connections
        self._config = config
        self._events = NetworkEvents(networks, bus)
        self._prunes = Prunes("network", bus)

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        """Raises InvalidParameter, Conflict, Forbidden, NotFound, NotImplemented."""
        network = await self._networks.make(wanted(request, self._config.current.default_network_opts))
        self._events.tell("create", network)
        return NetworkCreateResponse(network.id)

    async def remove(self, name: str) -> None:
        """Raises NotFound, Forbidden for a predefined one or while somebody is on it."""
        network = await self._networks.find(name)
        if network.name in PREDEFINED:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        await self._remove(network)

    async def _remove(self, network: Network) -> None:
        await self._networks.remove(network.id)
        if not network.config_only:
            self._events.tell("destroy", network)

    async def prune(self, filters: Filters) -> NetworkPruneResponse:
        """Remove every network of a user's own that nobody is on, as the filters allow."""
        matches = prune_filter(filters, self._used)
        removed = []
        with self._prunes.one():
            for network in filter(matches, await self._networks.list()):
                try:
                    await self._remove(network)
                except (Forbidden, NotFound):
                    continue
                removed.append(network.name)
        self._prunes.told(0)
        return NetworkPruneResponse(removed or None)

    async def connect(self, name: str, request: NetworkConnectRequest) -> None:
        """Raises NotFound, Forbidden, Conflict, InvalidParameter."""
        container = self._index.find(request.container)
        network = await self._networks.find(name)
        await self._connections.connect(network, container.id, request.endpoint_config)

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
        if scope and network.scope != scope:
            raise NotFound(f"network {name} not found")
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
        subnets = {
            subnet: SubnetStatus(use.taken, use.free)
            for subnet, use in self._networks.usage(network.id).items()
        }
        found.status = NetworkStatus(IPAMStatus(subnets))
        return found

    async def list(self, filters: Filters) -> Sequence[NetworkSummary]:
        """Every network that the filters let through, by name."""
        matches = list_filter(filters, self._used)
        networks = sorted(filter(matches, await self._networks.list()), key=lambda network: network.name)
        return [NetworkSummary(**_fields(network)) for network in networks]


def _options(network: Network) -> dict[str, str] | None:
    """As they were asked for: none are not the same as no options."""
    return None if network.ipam_options is None else dict(network.ipam_options)


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
        "ipam": IPAM(driver=network.ipam_driver or "default", options=_options(network), config=pools),
        "internal": network.internal,
        "attachable": network.attachable,
        "ingress": network.ingress,
        "config_from": ConfigReference(network.config_from),
        "config_only": network.config_only,
        "options": dict(network.options),
        "labels": dict(network.labels),
    }
