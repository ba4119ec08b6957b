"""This file is about which bridge is ours: several daemons may live side by side, each with its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

from moby.core.errors import Conflict, InvalidParameter
from moby.core.networks import Network, Subnet
from moby.host.files import LockFile
from moby.host.threads import Threads
from moby.networks import bridge_options as options
from moby.networks.bridge_device import AnyInterface, address_of, has_ports, is_docker_running
from moby.networks.identity import new_id, now
from moby.networks.ipam import AnyNetwork, Ipam, overlap
from moby.networks.settings import BridgeSettings

_USUAL = "docker0"
_MOST = 100
_GATEWAY_LABEL, _GATEWAY_LABEL6 = "DefaultGatewayIPv4", "DefaultGatewayIPv6"


def claim(asked: str, directory: Path, stored: str) -> tuple[str, LockFile]:
    """The bridge's name, and a lock on it that ends with us. Raises Conflict if it is another daemon's.

    If none is `asked` for it is the one we had, else the first of docker0, docker1, ... that is free.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # Names are a network namespace's own.
    space = os.stat("/proc/self/ns/net").st_ino
    names: Iterator[str] = iter([asked]) if asked else _candidates(stored)
    last: Conflict | None = None
    for name in names:
        lock = LockFile(directory / f"bridge-{space}-{name}.lock", f"bridge {name}")
        try:
            lock.acquire()
        except Conflict as error:
            last = error
            continue
        return name, lock
    raise last or Conflict("no free bridge name")


def _candidates(stored: str) -> Iterator[str]:
    if stored:
        yield stored
    foreign = is_docker_running()
    for number in range(_MOST):
        name = f"docker{number}"
        if name == stored or has_ports(name) or (foreign and Path("/sys/class/net", name).exists()):
            # One with containers on it is that of a daemon which is away for the moment.
            continue
        yield name


async def default_network(
    settings: BridgeSettings, name: str, stored: Network | None, ipam: Ipam, threads: Threads
) -> Network:
    """The network `bridge` on the bridge `name`, with the ID that it had."""
    subnets = []
    for family in (_Family(settings, 4), _Family(settings, 6)) if settings.ipv6 else (_Family(settings, 4),):
        existing = await threads.run(address_of, name, family.within, family.version)
        subnets.append(await _subnet(family, existing, stored, ipam))
    return Network(
        id=stored.id if stored else new_id(),
        name="bridge",
        driver="bridge",
        created=stored.created if stored else now(),
        enable_ipv6=settings.ipv6,
        subnets=tuple(subnets),
        options=_options(settings, name),
    )


def _options(settings: BridgeSettings, name: str) -> Mapping[str, str]:
    return {
        options.DEFAULT: "true",
        options.ICC: _flag(settings.icc),
        options.MASQUERADE: _flag(settings.ip_masq),
        options.BINDING: settings.ip,
        options.NAME: name,
        options.MTU: str(settings.mtu or 1500),
    }


class _Family:
    """The settings of one family."""

    def __init__(self, settings: BridgeSettings, version: int) -> None:
        ipv4 = version == 4
        self.version = version
        self.address = settings.bip if ipv4 else settings.bip6
        self.within = settings.fixed_cidr if ipv4 else settings.fixed_cidr_v6
        self.gateway = settings.default_gateway if ipv4 else settings.default_gateway_v6
        self.range_name = "fixed-cidr" if ipv4 else "fixed-cidr-v6"
        self.gateway_label = _GATEWAY_LABEL if ipv4 else _GATEWAY_LABEL6


async def _subnet(
    family: _Family, existing: AnyInterface | None, stored: Network | None, ipam: Ipam
) -> Subnet:
    within = ip_network(family.within, strict=False) if family.within else None
    if family.address:
        address = ip_interface(family.address)
    elif existing is not None and (within is None or _holds(existing.network, within)):
        address = existing
    elif within is not None:
        address = _first_of(within)
    elif (again := _stored_address(stored, family.version)) and not any(
        overlap(again.network, other) for other in await ipam.taken()
    ):
        address = again
    else:
        address = _first_of(await ipam.choose(family.version))
    if within is not None and not _holds(address.network, within):
        raise InvalidParameter(
            f"{family.range_name} {within} is not inside the bridge's subnet {address.network}"
        )
    if family.gateway and ip_address(family.gateway) not in address.network:
        raise InvalidParameter(
            'Error initializing network controller: error creating default "bridge" network: auxiliary '
            f"address: ({family.gateway_label}:{family.gateway}) must belong to the master pool: "
            f"{address.network}"
        )
    auxiliary = {family.gateway_label: family.gateway} if family.gateway else {}
    return Subnet(str(address.network), str(address.ip), str(within or ""), auxiliary)


def _stored_address(stored: Network | None, version: int) -> AnyInterface | None:
    for subnet in stored.subnets if stored else ():
        if (":" in subnet.subnet) == (version == 6):
            return ip_interface(f"{subnet.gateway}/{subnet.subnet.partition('/')[2]}")
    return None


def _holds(network: AnyNetwork, within: AnyNetwork) -> bool:
    return network.version == within.version and within.subnet_of(network)  # type: ignore[arg-type]


def _first_of(network: AnyNetwork) -> AnyInterface:
    return ip_interface((int(network.network_address) + 1, network.prefixlen))


def _flag(value: bool) -> str:
    return "true" if value else "false"
