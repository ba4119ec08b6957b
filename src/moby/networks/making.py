"""This file is about a network that a user asks for: checked, and with what the user left open filled in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from moby.core.errors import Conflict, Forbidden, InvalidParameter, NotFound, NotImplemented
from moby.core.networks import Network, NetworkRequest, Subnet
from moby.networks.identity import new_id, now
from moby.networks.ipam import Ipam

_ONLY_ONE = frozenset({"host", "null"})


async def made(
    request: NetworkRequest, existing: Iterable[Network], drivers: Iterable[str], ipam: Ipam
) -> Network:
    """The network, as it will be stored.

    Raises Conflict for a name in use, NotFound for a driver that is not there, Forbidden for what overlaps or
    is the only one of its kind, InvalidParameter for what is no subnet.
    """
    driver = request.driver or "bridge"
    if any(network.name == request.name for network in existing):
        raise Conflict(f"network with name {request.name} already exists")
    if driver in _ONLY_ONE:
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if driver not in drivers:
        raise NotFound(f'could not find plugin {driver} in v1 plugin registry: plugin "{driver}" not found')
    if request.enable_ipv6:
        raise NotImplemented("IPv6 networks are not supported yet")
    if not request.enable_ipv4:
        raise NotImplemented("networks without IPv4 are not supported yet")
    return Network(
        id=new_id(),
        name=request.name,
        driver=driver,
        created=now(),
        internal=request.internal,
        attachable=request.attachable,
        subnets=(await _subnet(request.subnets, ipam),),
        options=dict(request.options),
        labels=dict(request.labels),
    )


async def _subnet(asked: Sequence[Subnet], ipam: Ipam) -> Subnet:
    if len(asked) > 1:
        raise NotImplemented("networks with several subnets are not supported yet")
    wanted = asked[0] if asked else Subnet("")
    if not wanted.subnet:
        if wanted.ip_range or wanted.gateway or wanted.aux_addresses:
            raise InvalidParameter("invalid network config:\nno subnet specified")
        area = await ipam.choose()
        return Subnet(str(area), str(area.network_address + 1))
    area = _network(wanted.subnet, "subnet")
    if any(area.overlaps(other) for other in await ipam.taken()):
        raise Forbidden("invalid pool request: Pool overlaps with other one on this address space")
    within = _network(wanted.ip_range, "ip-range") if wanted.ip_range else None
    if within is not None and not within.subnet_of(area):
        raise InvalidParameter(
            f"invalid network config:\ninvalid ip-range {within}: "
            f"parent subnet {area} doesn't contain ip-range"
        )
    gateway = _address(wanted.gateway, area, "gateway") if wanted.gateway else _first(within or area)
    for name, text in wanted.aux_addresses.items():
        if _address(text, area, f"auxiliary address {name}") == gateway:
            raise Forbidden(
                f"failed to allocate secondary ip address ({name}:{text}): Address already in use"
            )
    return Subnet(str(area), str(gateway), str(within) if within else "", dict(wanted.aux_addresses))


def _network(text: str, what: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        words = "it should be" if "host bits" in str(error) else ""
        hint = f": {words} {IPv4Network(text, strict=False)}" if words else ": invalid CIDR block notation"
        raise InvalidParameter(f"invalid network config:\ninvalid {what} {text}{hint}") from error


def _address(text: str, area: IPv4Network, what: str) -> IPv4Address:
    try:
        address = IPv4Address(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid network config:\ninvalid {what} {text}: invalid address") from error
    if address not in area:
        raise InvalidParameter(
            f"invalid network config:\ninvalid {what} {text}: "
            f"parent subnet {area} doesn't contain this address"
        )
    return address


def _first(area: IPv4Network) -> IPv4Address:
    return IPv4Address(int(area.network_address) + (1 if area.prefixlen < 31 else 0))
