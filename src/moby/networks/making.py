"""This file is about a network that a user asks for: checked, and with what the user left open filled in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import msgspec

from moby.core.errors import Conflict, Forbidden, InvalidParameter, NotFound, System
from moby.core.networks import Network, NetworkRequest, Subnet
from moby.networks.identity import new_id, now
from moby.networks.ipam import AnyNetwork, Ipam, overlap
from moby.networks.ipam.addresses import reserved
from moby.networks.ipam.addressing import Addressing
from moby.networks.lookup import DriverLookup

_ONLY_ONE = frozenset({"host", "null"})


async def made(
    request: NetworkRequest, existing: Iterable[Network], drivers: DriverLookup, ipam: Addressing
) -> Network:
    """The network, as it will be stored.

    Raises Conflict for a name in use, NotFound for a driver that is not there, Forbidden for what overlaps or
    is the only one of its kind, InvalidParameter for what is no subnet.
    """
    known = {network.name: network for network in existing}
    if request.name in known:
        raise Conflict(f"network with name {request.name} already exists")
    if request.config_only:
        return _configuration(request)
    driver = request.driver or "bridge"
    if driver in _ONLY_ONE:
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    maker = await drivers.find(driver)
    if request.config_from:
        request = _configured(request, known.get(request.config_from))
    check_subnets(request.subnets, ipv6=request.enable_ipv6)
    gateways = await maker.gateways(request.options)
    if request.ipam_driver:
        subnets = await ipam.request(request, gateways)
    else:
        subnets = await _subnets(request, ipam.own, gateways)
    if driver in drivers.own:
        for version in (_version(one.subnet) for one in subnets if one.subnet.endswith("/0")):
            raise InvalidParameter(f"ipv{version} pool is empty")
    return Network(
        id=new_id(),
        name=request.name,
        driver=driver,
        created=now(),
        scope=maker.scope,
        enable_ipv4=request.enable_ipv4,
        enable_ipv6=request.enable_ipv6,
        internal=request.internal,
        attachable=request.attachable,
        subnets=subnets,
        options=dict(request.options),
        labels=dict(request.labels),
        ipam_options=request.ipam_options,
        config_from=request.config_from,
        ipam_driver=request.ipam_driver,
    )


def _configuration(request: NetworkRequest) -> Network:
    """A network that is only others' configuration: kept as it was asked for, and no driver's."""
    if request.config_from:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    check_subnets(request.subnets, ipv6=request.enable_ipv6)
    return Network(
        id=new_id(),
        name=request.name,
        driver="null",
        created=now(),
        enable_ipv4=request.enable_ipv4,
        enable_ipv6=request.enable_ipv6,
        subnets=tuple(request.subnets),
        options=dict(request.options),
        labels=dict(request.labels),
        ipam_options=request.ipam_options,
        config_only=True,
        ipam_driver=request.ipam_driver,
    )


def _configured(request: NetworkRequest, source: Network | None) -> NetworkRequest:
    """The request with another network's configuration. Raises NotFound, Forbidden."""
    own = request.labels or request.ipam_options or request.ipam_driver or request.subnets
    if own or request.enable_ipv6 or not request.enable_ipv4:
        raise Forbidden(
            "user-specified configurations are not supported if the network depends on a "
            "configuration network"
        )
    if request.options:
        raise Forbidden(
            "network driver options are not supported if the network depends on a configuration network"
        )
    if source is None or not source.config_only:
        raise NotFound(f'configuration network "{request.config_from}" does not exist')
    return msgspec.structs.replace(
        request,
        enable_ipv4=source.enable_ipv4,
        enable_ipv6=source.enable_ipv6,
        subnets=source.subnets,
        options=source.options,
        labels=source.labels,
        ipam_options=source.ipam_options,
        ipam_driver=source.ipam_driver,
    )


def check_subnets(asked: Sequence[Subnet], *, ipv6: bool) -> None:
    """Raises InvalidParameter that tells of everything that is wrong."""
    problems: list[str] = []
    for one in asked:
        if not one.subnet:
            if one.ip_range or one.gateway or one.aux_addresses:
                problems.append("no subnet specified")
            continue
        area = _network(one.subnet, "subnet", problems)
        if area is None or (area.version == 6 and not ipv6):
            continue
        _check_range(one.ip_range, area, problems)
        if one.gateway:
            _check_address(one.gateway, area, f"gateway {one.gateway}", problems)
        for name, text in one.aux_addresses.items():
            _check_address(text, area, f"auxiliary address {name}", problems)
    if problems:
        raise InvalidParameter("\n".join(["invalid network config:", *problems]))


def _check_range(text: str, area: AnyNetwork, problems: list[str]) -> None:
    if not text:
        return
    within = _network(text, "ip-range", problems)
    if within is None:
        return
    what = f"invalid ip-range {within}"
    if within.version != area.version:
        problems.append(f"{what}: parent subnet is an IPv{area.version} block")
        return
    if within.prefixlen < area.prefixlen:
        problems.append(f"{what}: CIDR block is bigger than its parent subnet {area}")
    if not overlap(within, area):
        problems.append(f"{what}: parent subnet {area} doesn't contain ip-range")


def _check_address(text: str, area: AnyNetwork, what: str, problems: list[str]) -> None:
    try:
        address = ip_address(text)
    except ValueError:
        problems.append(f"invalid {what}: invalid address")
        return
    if address.version != area.version:
        problems.append(f"invalid {what}: parent subnet is an IPv{area.version} block")
    elif address not in area and not area.network_address.is_unspecified:
        problems.append(f"invalid {what}: parent subnet {area} doesn't contain this address")


def _network(text: str, what: str, problems: list[str]) -> AnyNetwork | None:
    try:
        # One address is a network to Python; dockerd wants it said.
        return ip_network(text if "/" in text else "")
    except ValueError:
        try:
            area = ip_network(text if "/" in text else "", strict=False)
            problems.append(f"invalid {what} {text}: it should be {area}")
        except ValueError:
            problems.append(f"invalid {what} {text}: invalid CIDR block notation")
    return None


async def _subnets(request: NetworkRequest, ipam: Ipam, gateways: frozenset[int]) -> tuple[Subnet, ...]:
    """The subnets asked for of the families that the network has, one of the pools for a family without."""
    found: list[Subnet] = []
    for version, wanted in ((4, request.enable_ipv4), (6, request.enable_ipv6)):
        asked = [one for one in request.subnets if one.subnet and _version(one.subnet) == version]
        if not wanted:
            continue
        for one in asked:
            found.append(await _subnet(one, version, ipam, found))
        if not asked:
            found.append(Subnet(str(await ipam.choose(version))))
    return tuple(_complete(one, gateway=_version(one.subnet) in gateways) for one in found)


async def _subnet(wanted: Subnet, version: int, ipam: Ipam, before: Sequence[Subnet]) -> Subnet:
    area = ip_network(wanted.subnet)
    if area.network_address.is_unspecified:
        chosen = await ipam.choose(version, area.prefixlen)
        return Subnet(str(chosen), wanted.gateway, wanted.ip_range, wanted.aux_addresses)
    # What the host is on is no matter: whoever names a subnet may mean the very wire that the host is on.
    taken = [*ipam.granted(), *(ip_network(one.subnet) for one in before)]
    if any(overlap(area, other) for other in taken):
        raise Forbidden("invalid pool request: Pool overlaps with other one on this address space")
    return wanted


def _complete(wanted: Subnet, *, gateway: bool) -> Subnet:
    """With a gateway, if there is to be one: the first address of the range, or of the subnet.

    Raises System, as dockerd does, for an address that is taken or that no host can have.
    """
    area = ip_network(wanted.subnet)
    within = ip_network(wanted.ip_range) if wanted.ip_range else None
    usual = str(_first(area, within or area)) if gateway and not wanted.gateway else ""
    taken = set(reserved(area))
    if wanted.gateway:
        _take(wanted.gateway, taken, f"gateway ({wanted.gateway})")
    elif usual:
        taken.add(int(ip_address(usual)))
    for name, text in wanted.aux_addresses.items():
        _take(text, taken, f"secondary ip address ({name}:{text})")
    chosen = str(ip_address(wanted.gateway)) if wanted.gateway else usual
    return Subnet(str(area), chosen, str(within or ""), dict(wanted.aux_addresses))


def _take(text: str, taken: set[int], what: str) -> None:
    if (number := int(ip_address(text))) in taken:
        raise System(f"failed to allocate {what}: Address already in use")
    taken.add(number)


def _version(text: str) -> int:
    return 6 if ":" in text else 4


def _first(area: AnyNetwork, within: AnyNetwork) -> IPv4Address | IPv6Address:
    """The first address of a range that a host of the subnet can have. Raises System without any."""
    kept, last = reserved(area), int(within.broadcast_address)
    number = int(within.network_address)
    while number in kept:
        number += 1
    if number > last:
        raise System("failed to allocate gateway (): no available addresses on this pool")
    return type(area.network_address)(number)
