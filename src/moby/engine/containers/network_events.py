"""This file is about telling who listens that a container came to its networks, or left them."""

from __future__ import annotations

from collections.abc import Iterable

from moby.core.errors import MobyError
from moby.core.events import Bus
from moby.core.networks import Network, Networks
from moby.engine.containers.record import Record


class NetworkEvents:
    """Publishes events of networks, with the attributes that dockerd sends."""

    def __init__(self, networks: Networks, bus: Bus) -> None:
        self._networks = networks
        self._bus = bus

    async def connected(self, record: Record) -> None:
        """A container has a place on each of its networks."""
        await self._each("connect", record.id, standing(record))

    async def disconnected(self, container: str, networks: Iterable[str]) -> None:
        """A container has left these networks, named by their IDs."""
        await self._each("disconnect", container, networks)

    def tell(self, action: str, network: Network, container: str = "") -> None:
        """One event of a network, about a container if one is named."""
        told = {"container": container} if container else {}
        self._bus.publish(
            "network", action, network.id, {**told, "name": network.name, "type": network.driver}
        )

    async def _each(self, action: str, container: str, networks: Iterable[str]) -> None:
        for one in networks:
            try:
                network = await self._networks.find(one)
            except MobyError:
                continue
            self.tell(action, network, container)


def standing(record: Record) -> list[str]:
    """The IDs of the networks that a container has a place on now."""
    return [settings.network_id for settings in record.networks.values() if settings.endpoint_id]
