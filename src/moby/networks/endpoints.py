"""This file is about endpoints as they are asked for: what is checked, and what they are before they join."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from moby.core.errors import Forbidden, InvalidParameter
from moby.core.networks import Address, Attachment, Endpoint, Network, SandboxRequest
from moby.networks.bridge_options import PREFIX, check_known
from moby.networks.identity import new_id

INTERFACE = "com.docker.network.endpoint.ifname"
SYSCTLS = "com.docker.network.endpoint.sysctls"
_DOCKERS = "com.docker.network."

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_ANY_INTERFACE = ("IFNAME", "ifname")


def is_mac(text: str) -> bool:
    """Is this the hardware address of an Ethernet device?"""
    return _MAC.fullmatch(text) is not None


def check_request(request: SandboxRequest, wanted: Sequence[tuple[Network, Attachment]]) -> None:
    """Raises InvalidParameter, NotImplemented for an endpoint's option that is not known."""
    if request.sysctls and any(network.driver == "host" for network, _ in wanted):
        name = next(iter(request.sysctls))
        raise InvalidParameter(f"sysctl '{name}' not allowed in host network namespace")
    for network, attachment in wanted:
        if network.config_only:
            raise Forbidden("cannot create endpoint on configuration-only network")
        if attachment.mac_address and not is_mac(attachment.mac_address):
            raise InvalidParameter(f"invalid MAC address: {attachment.mac_address}")
        # Others are for whoever looks at the container; clients make up their own.
        ours = [name for name in attachment.options if name.startswith(_DOCKERS)]
        check_known("endpoint option", ours, (INTERFACE, SYSCTLS))
        if (asked := attachment.options.get(INTERFACE)) is not None and not _NAME.fullmatch(asked):
            raise InvalidParameter(f"invalid interface name: {asked}")


def placed(
    request: SandboxRequest,
    network: Network,
    attachment: Attachment,
    address: Address,
    others: Sequence[Endpoint],
) -> Endpoint:
    """An endpoint with the addresses that were granted, on an interface that none of the `others` has."""
    on_wire = network.driver not in ("host", "null")
    return Endpoint(
        id=new_id(),
        network_id=network.id,
        network_name=network.name,
        sandbox_id=request.id,
        interface=_interface(network, attachment, others) if on_wire else "",
        mac_address=attachment.mac_address,
        ipv4=str(address.ipv4 or ""),
        ipv6=str(address.ipv6 or ""),
        gateway="" if network.internal else address.gateway,
        gateway6="" if network.internal else address.gateway6,
        aliases=attachment.aliases,
        name=request.container_name,
        default_route=False,
        default_route6=False,
        links=attachment.links,
        link_local=tuple(map(_link_local, attachment.link_local)),
        options=attachment.options,
        priority=attachment.priority,
    )


def _interface(network: Network, attachment: Attachment, others: Sequence[Endpoint]) -> str:
    taken = {endpoint.interface for endpoint in others}
    if asked := attachment.options.get(INTERFACE):
        if asked in taken:
            raise InvalidParameter(f'error renaming interface to "{asked}": file exists')
        return asked
    prefix = network.options.get(PREFIX) or "eth"
    return next(name for number in range(len(taken) + 1) if (name := f"{prefix}{number}") not in taken)


def _link_local(text: str) -> str:
    """With the prefix length of its kind. Raises InvalidParameter for any other address."""
    try:
        address = ip_address(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid link-local IP address: {text}") from error
    if not address.is_link_local:
        raise InvalidParameter(f"invalid link local IP address: {text}")
    return f"{address}/{16 if address.version == 4 else 64}"


def interface_sysctls(endpoint: Endpoint) -> Mapping[str, str]:
    """The kernel settings that a user asked for at this endpoint's interface. Raises InvalidParameter."""
    found = {}
    for asked in filter(None, endpoint.options.get(SYSCTLS, "").split(",")):
        name, _, value = asked.partition("=")
        parts = name.split(".")
        if (
            len(parts) != 5
            or parts[0] != "net"
            or parts[1] not in ("ipv4", "ipv6", "mpls")
            or parts[3] not in _ANY_INTERFACE
        ):
            raise InvalidParameter(
                f"unrecognised network interface sysctl '{asked}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        found["/".join([*parts[:3], endpoint.interface, parts[4]])] = value
    return found
