"""This file is about which bridge is ours: several daemons may live side by side, each with its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from moby.core.errors import Conflict, InvalidParameter
from moby.core.networks import Network, Subnet
from moby.host.files import LockFile
from moby.host.threads import Threads
from moby.networks.bridge_device import address_of, is_docker_running
from moby.networks.identity import new_id, now
from moby.networks.ipam import Ipam
from moby.networks.settings import BridgeSettings

NAME = "com.docker.network.bridge.name"
DEFAULT = "com.docker.network.bridge.default_bridge"
ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
BINDING = "com.docker.network.bridge.host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"

_USUAL = "docker0"
_MOST = 100
_GATEWAY_LABEL = "DefaultGatewayIPv4"


def claim(settings: BridgeSettings, directory: Path, stored: str) -> tuple[str, LockFile]:
    """The bridge's name, and a lock on it that ends with us. Raises Conflict if it is another daemon's.

    Without a name in the settings it is the one we had, else the first of docker0, docker1, ... that is free.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names: Iterator[str] = iter([settings.bridge]) if settings.bridge else _candidates(stored)
    last: Conflict | None = None
    for name in names:
        lock = LockFile(directory / f"bridge-{name}.lock", f"bridge {name}")
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
        if name != stored and not (foreign and Path("/sys/class/net", name).exists()):
            yield name


async def default_network(
    settings: BridgeSettings, name: str, stored: Network | None, ipam: Ipam, threads: Threads
) -> Network:
    """The network `bridge` on the bridge `name`, with the ID that it had."""
    existing = await threads.run(address_of, name, settings.fixed_cidr)
    address, within = await _address(settings, existing, stored, ipam)
    auxiliary = {_GATEWAY_LABEL: settings.default_gateway} if settings.default_gateway else {}
    subnet = Subnet(str(address.network), str(address.ip), within, auxiliary)
    return Network(
        id=stored.id if stored else new_id(),
        name="bridge",
        driver="bridge",
        created=stored.created if stored else now(),
        subnets=(subnet,),
        options=_options(settings, name),
    )


def _options(settings: BridgeSettings, name: str) -> Mapping[str, str]:
    return {
        DEFAULT: "true",
        ICC: _flag(settings.icc),
        MASQUERADE: _flag(settings.ip_masq),
        BINDING: settings.ip,
        NAME: name,
        MTU: str(settings.mtu or 1500),
    }


async def _address(
    settings: BridgeSettings, existing: IPv4Interface | None, stored: Network | None, ipam: Ipam
) -> tuple[IPv4Interface, str]:
    """The bridge's address, and the range that containers' addresses come from (empty: the whole subnet)."""
    within = IPv4Network(settings.fixed_cidr, strict=False) if settings.fixed_cidr else None
    if settings.bip:
        address = IPv4Interface(settings.bip)
    elif existing is not None and (within is None or _holds(existing.network, within)):
        address = existing
    elif within is not None:
        address = _first_of(within)
    elif (again := _stored_address(stored)) and not any(
        again.network.overlaps(other) for other in await ipam.taken()
    ):
        address = again
    else:
        address = _first_of(await ipam.choose())
    if within is not None and not _holds(address.network, within):
        raise InvalidParameter(f"fixed-cidr {within} is not inside the bridge's subnet {address.network}")
    if settings.default_gateway and IPv4Interface(settings.default_gateway).ip not in address.network:
        raise InvalidParameter(
            f"default gateway {settings.default_gateway} is not inside the bridge's subnet {address.network}"
        )
    return address, "" if within is None else str(within)


def _stored_address(stored: Network | None) -> IPv4Interface | None:
    if stored is None or not stored.subnets:
        return None
    subnet = stored.subnets[0]
    return IPv4Interface(f"{subnet.gateway}/{subnet.subnet.partition('/')[2]}")


def _holds(network: IPv4Network, within: IPv4Network) -> bool:
    return within.subnet_of(network)


def _first_of(network: IPv4Network) -> IPv4Interface:
    return IPv4Interface((int(network.network_address) + 1, network.prefixlen))


def _flag(value: bool) -> str:
    return "true" if value else "false"
