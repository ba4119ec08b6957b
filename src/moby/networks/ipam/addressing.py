"""This file is about who grants a network its addresses: ourselves, a plugin, or nobody."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from moby.core.errors import MobyError, NotFound
from moby.core.networks import Address, Network, NetworkRequest, Subnet, SubnetUse
from moby.core.plugins import Plugins, Subsystem
from moby.networks.ipam.ipam import Ipam
from moby.networks.ipam.null import NullIpam
from moby.networks.ipam.remote import RemoteIpam

log = logging.getLogger(__name__)

_SUBSYSTEM: Subsystem = "IpamDriver"


class Addressing:
    """Grants addresses.

    Plugins keep what they have granted; that something is not given back, because a plugin is away or does
    not want it, is logged, and its trouble.
    """

    def __init__(self, own: Ipam, plugins: Plugins | None = None) -> None:
        self.own = own
        self._plugins = plugins
        self._plugged: dict[str, RemoteIpam] = {}

    async def _other(self, name: str) -> RemoteIpam | NullIpam:
        if name == "null":
            return NullIpam()
        if self._plugins is None:
            raise NotFound(f'plugin "{name}" not found')
        plugin = await self._plugins.find(name, _SUBSYSTEM)
        known = self._plugged.get(name)
        if known is None or known.plugin is not plugin:
            known = self._plugged[name] = await RemoteIpam.of(plugin)
        return known

    async def request(self, request: NetworkRequest, gateways: frozenset[int]) -> tuple[Subnet, ...]:
        """The subnets of a new network from its plugin. Raises NotFound, InvalidParameter, System."""
        return await (await self._other(request.ipam_driver)).request(
            request, gateways, await self.own.taken()
        )

    def add(self, network: Network) -> None:
        """Take a network's subnets into account; again: nothing happens."""
        if not network.ipam_driver:
            self.own.add(network)

    async def drop(self, network: Network) -> None:
        """The network is gone."""
        self.own.drop(network)
        if network.ipam_driver:
            try:
                await (await self._other(network.ipam_driver)).drop(network)
            except MobyError as error:
                log.warning("pools of network %s are not given back: %s", network.name, error.message)

    async def grant(self, network: Network, ipv4: str = "", ipv6: str = "", mac: str = "") -> Address:
        """An address of each family that the network has; see `Ipam.grant`. Raises System too."""
        if network.ipam_driver:
            return await (await self._other(network.ipam_driver)).grant(network, ipv4, ipv6, mac)
        return self.own.grant(network, ipv4, ipv6)

    async def free(self, network: Network, *granted: str) -> None:
        """Give addresses back; no error for those that are not granted."""
        if not network.ipam_driver:
            self.own.free(network.id, *granted)
            return
        try:
            await (await self._other(network.ipam_driver)).free(network, *granted)
        except MobyError as error:
            log.warning("addresses of network %s are not given back: %s", network.name, error.message)

    def claim(self, network: Network, *granted: str) -> None:
        """Take addresses into account that were granted before. Raises as `Ipam.claim`."""
        if not network.ipam_driver:
            self.own.claim(network, *granted)

    def usage(self, network: str) -> Mapping[str, SubnetUse]:
        """How full the subnets are that we grant from."""
        return self.own.usage(network)
