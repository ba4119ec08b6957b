"""This file is about pools and addresses that a plugin grants."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Self, TypeVar

import msgspec

from moby.core.errors import InvalidParameter, MobyError, System
from moby.core.networks import Address, Network, NetworkRequest, Subnet
from moby.core.plugins import Plugin
from moby.core.undo import Undo
from moby.networks.ipam.pools import AnyNetwork, overlap

log = logging.getLogger(__name__)

A = TypeVar("A", bound="_Answer")

_SUBSYSTEM = "IpamDriver"
_GATEWAY = "com.docker.network.gateway"
_MAC = "com.docker.network.endpoint.macaddress"
_TRIES = 64


class _Answer(msgspec.Struct, rename="pascal"):
    error: str = ""


class _Capability(_Answer):
    requires_mac_address: bool = msgspec.field(default=False, name="RequiresMACAddress")


class _Spaces(_Answer):
    local_default_address_space: str = ""
    global_default_address_space: str = ""


class _Pool(_Answer):
    pool_id: str = msgspec.field(default="", name="PoolID")
    pool: str = ""
    data: dict[str, str] = msgspec.field(default_factory=dict)


class _Granted(_Answer):
    address: str = ""


class RemoteIpam:
    """A plugin that grants addresses; with `needs_mac` it wants to know for whom."""

    def __init__(self, plugin: Plugin, *, needs_mac: bool) -> None:
        self.plugin = plugin
        self.needs_mac = needs_mac

    @classmethod
    async def of(cls, plugin: Plugin) -> Self:
        """Of a plugin that has been activated; it need not tell what it wants."""
        try:
            told = await plugin.call(f"{_SUBSYSTEM}.GetCapabilities", None, _Capability)
        except MobyError as error:
            log.debug("ipam plugin %s does not tell what it can: %s", plugin.name, error.message)
            told = _Capability()
        return cls(plugin, needs_mac=told.requires_mac_address)

    async def _ask(self, method: str, kind: type[A], **request: object) -> A:
        """Raises System in the plugin's words, and what `Plugin.call` raises."""
        answer = await self.plugin.call(f"{_SUBSYSTEM}.{method}", request, kind)
        if answer.error:
            raise System(f"remote: {answer.error}")
        return answer

    async def request(
        self, request: NetworkRequest, gateways: frozenset[int], taken: Sequence[AnyNetwork]
    ) -> tuple[Subnet, ...]:
        """The subnets of a new network; `gateways` says of which family one is needed, `taken` is others'."""
        spaces = await self._ask("GetDefaultAddressSpaces", _Spaces)
        found: list[Subnet] = []
        async with Undo() as undo:
            for version, wanted in ((4, request.enable_ipv4), (6, request.enable_ipv6)):
                asked = [
                    one for one in request.subnets if one.subnet and (":" in one.subnet) == (version == 6)
                ]
                for one in (asked or [Subnet("")]) if wanted else ():
                    pool = await self._pool(spaces, one, request.ipam_options or {}, version, taken, undo)
                    found.append(await self._filled(one, pool, gateway=version in gateways, undo=undo))
            undo.keep()
        return tuple(found)

    async def _pool(
        self,
        spaces: _Spaces,
        wanted: Subnet,
        options: Mapping[str, str],
        version: int,
        taken: Sequence[AnyNetwork],
        undo: Undo,
    ) -> _Pool:
        """A pool that nobody else has: one that somebody has is held until there is another."""
        refused: list[str] = []
        try:
            for _ in range(_TRIES):
                pool = await self._ask(
                    "RequestPool",
                    _Pool,
                    AddressSpace=spaces.local_default_address_space,
                    Pool=wanted.subnet,
                    SubPool=wanted.ip_range,
                    Options=dict(options),
                    V6=version == 6,
                )
                try:
                    area = ip_network(pool.pool)
                except ValueError as error:
                    raise System(f"invalid CIDR address: {pool.pool}") from error
                if wanted.subnet or not any(overlap(area, other) for other in taken):
                    undo.push(self._release, pool.pool_id)
                    return pool
                refused.append(pool.pool_id)
            raise System("every pool of the ipam driver overlaps with another network")
        finally:
            for pool_id in refused:
                await self._release(pool_id)

    async def _filled(self, wanted: Subnet, pool: _Pool, *, gateway: bool, undo: Undo) -> Subnet:
        """A subnet with a gateway and what is kept apart, all of it granted."""
        chosen = pool.data.get(_GATEWAY, "").partition("/")[0]
        if wanted.gateway or (gateway and not chosen):
            options = {"RequestAddressType": _GATEWAY}
            try:
                address = await self._address(pool.pool_id, wanted.gateway, options)
            except MobyError as error:
                raise type(error)(
                    f"failed to allocate gateway ({wanted.gateway}): {error.message}"
                ) from error
            chosen = str(address.ip)
            undo.push(self._return, pool.pool_id, chosen)
        for name, text in wanted.aux_addresses.items():
            try:
                await self._address(pool.pool_id, str(ip_address(text)), {})
            except MobyError as error:
                words = f"failed to allocate secondary ip address ({name}:{text})"
                raise type(error)(f"{words}: {error.message}") from error
            undo.push(self._return, pool.pool_id, text)
        return Subnet(pool.pool, chosen, wanted.ip_range, dict(wanted.aux_addresses), pool.pool_id)

    async def _address(
        self, pool: str, wanted: str, options: Mapping[str, str]
    ) -> IPv4Interface | IPv6Interface:
        granted = await self._ask(
            "RequestAddress", _Granted, PoolID=pool, Address=wanted, Options=dict(options)
        )
        try:
            return ip_interface(granted.address)
        except ValueError as error:
            raise System(f"failed to allocate an address: invalid CIDR address: {granted.address}") from error

    async def grant(self, network: Network, ipv4: str, ipv6: str, mac: str) -> Address:
        """An address of each family that the network has. Raises InvalidParameter, System."""
        options = {_MAC: mac} if self.needs_mac else {}
        found: dict[int, tuple[IPv4Interface | IPv6Interface, str]] = {}
        async with Undo() as undo:
            for version, wanted in ((4, ipv4), (6, ipv6)):
                pools = [one for one in network.subnets if ip_network(one.subnet).version == version]
                if wanted:
                    pools = [one for one in pools if ip_address(wanted) in ip_network(one.subnet)]
                    if not pools:
                        raise InvalidParameter(
                            f"invalid endpoint settings:\nno configured subnet contains IP address {wanted}"
                        )
                for one in pools[:1]:
                    address = await self._address(one.pool, wanted, options)
                    undo.push(self._return, one.pool, str(address.ip))
                    found[version] = address, one.gateway
            undo.keep()
        first, gateway = found.get(4, (None, ""))
        second, gateway6 = found.get(6, (None, ""))
        assert not isinstance(first, IPv6Interface)
        assert not isinstance(second, IPv4Interface)
        return Address(first, second, gateway, gateway6)

    async def free(self, network: Network, *granted: str) -> None:
        """Give addresses back."""
        for text in filter(None, granted):
            address = ip_interface(text).ip
            for one in network.subnets:
                if address in ip_network(one.subnet):
                    await self._return(one.pool, str(address))

    async def drop(self, network: Network) -> None:
        """Give a network's pools back, and what was granted with them."""
        for one in network.subnets:
            for text in filter(None, (one.gateway, *one.aux_addresses.values())):
                await self._return(one.pool, text)
            await self._release(one.pool)

    async def _return(self, pool: str, address: str) -> None:
        await self._quietly("ReleaseAddress", PoolID=pool, Address=address)

    async def _release(self, pool: str) -> None:
        await self._quietly("ReleasePool", PoolID=pool)

    async def _quietly(self, method: str, **request: str) -> None:
        try:
            await self._ask(method, _Answer, **request)
        except MobyError as error:
            log.warning("%s of ipam plugin %s: %s", method, self.plugin.name, error.message)
