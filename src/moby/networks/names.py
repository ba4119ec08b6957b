"""This file is about a container's /etc/hosts and /etc/resolv.conf: what stands in them. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from moby.core.errors import InvalidParameter

HOST_RESOLV_CONF = Path("/etc/resolv.conf")
_SYSTEMD_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")
_SYSTEMD_STUB = "127.0.0.53"
_PUBLIC = ("8.8.8.8", "8.8.4.4")
_PUBLIC6 = ("2001:4860:4860::8888", "2001:4860:4860::8844")
_HOST_GATEWAY = "host-gateway"

_LOCAL = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)


def hosts_file(
    hostname: str,
    domainname: str = "",
    addresses: Sequence[str] = (),
    extra_hosts: Sequence[str] = (),
    host_gateways: Sequence[str] = (),
) -> str:
    """What stands in /etc/hosts: the loopback's names, extra hosts, then the container's own.

    `addresses` are the container's, with or without prefix length; `extra_hosts` are `NAME:ADDRESS`, where
    the address `host-gateway` stands for all `host_gateways`. Raises InvalidParameter for what is no entry.
    """
    lines = [*_LOCAL, *(line for entry in extra_hosts for line in _extra(entry, host_gateways))]
    own = own_names(hostname, domainname)
    lines += [(address.partition("/")[0], own) for address in addresses if address]
    return "".join(f"{address}\t{name}\n" for address, name in lines)


def own_names(hostname: str, domainname: str = "") -> str:
    """What stands behind a container's own addresses."""
    names = f"{hostname}.{domainname}" if domainname else hostname
    short, dot, _ = names.partition(".")
    return f"{names} {short}" if dot else names


def _extra(entry: str, host_gateways: Sequence[str]) -> list[tuple[str, str]]:
    name, _, address = entry.partition("=" if "=" in entry.partition(":")[0] else ":")
    if not name or not address:
        raise InvalidParameter(f'bad format for add-host: "{entry}"')
    if address == _HOST_GATEWAY:
        if not host_gateways:
            raise InvalidParameter(
                "unable to derive the IP value for host-gateway", hint="the default bridge network is off"
            )
        return [(gateway, name) for gateway in host_gateways]
    address = address.removeprefix("[").removesuffix("]")
    try:
        return [(str(ip_address(address)), name)]
    except ValueError as error:
        raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from error


def resolv_conf_source(text: str) -> Path:
    """Where the host's real name servers stand, when `text` is what its /etc/resolv.conf says."""
    servers = [fields[1] for fields in _fields(text) if fields[0] == "nameserver" and len(fields) > 1]
    return _SYSTEMD_RESOLV_CONF if servers == [_SYSTEMD_STUB] else HOST_RESOLV_CONF


def name_servers(text: str) -> list[str]:
    """The servers that a resolv.conf(5) names."""
    return [
        fields[1]
        for fields in _fields(text)
        if fields[0] == "nameserver" and len(fields) > 1 and _is_address(fields[1])
    ]


def resolv_conf_inside(host: str, *, search: Sequence[str] = (), options: Sequence[str] = ()) -> str:
    """What stands in /etc/resolv.conf where the name server is ours, at 127.0.0.11.

    Names without a dot are asked for as they are (`ndots:0`), unless an option says otherwise.
    """
    chosen = [option for option in _chosen(host, options) if not _is_bad_ndots(option)]
    if not any(option.startswith("ndots:") for option in chosen):
        chosen.append("ndots:0")
    return resolv_conf(host, servers=["127.0.0.11"], search=search, options=chosen)


def has_ndots(host: str, options: Sequence[str] = ()) -> bool:
    """Do these options, or without any the host's, say how many dots make a name complete?"""
    return any(option.partition(":")[0] == "ndots" for option in _chosen(host, options))


def _chosen(host: str, options: Sequence[str]) -> list[str]:
    return list(options) or [
        word for fields in _fields(host) if fields[0] == "options" for word in fields[1:]
    ]


def _is_bad_ndots(option: str) -> bool:
    name, _, value = option.partition(":")
    return name == "ndots" and not value.isdecimal()


def resolv_conf(
    host: str,
    *,
    servers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    own_namespace: bool = True,
    ipv6: bool = False,
) -> str:
    """What stands in /etc/resolv.conf: the host's (`host`), with what is given instead.

    In a namespace of its own a container does not reach the host's loopback, nor anything by IPv6 unless it
    has that (`ipv6`): such servers are left out, and if none remains public ones are put in.
    """
    found: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    rest = []
    for fields in _fields(host):
        match fields[0]:
            case "nameserver" if len(fields) > 1 and _is_address(fields[1]):
                found["nameserver"].append(fields[1])
            case "search" | "domain" if len(fields) > 1:
                found["search"] = fields[1:]
            case "options":
                found["options"] += fields[1:]
            case "nameserver" | "search" | "domain":
                pass
            case _:
                rest.append(" ".join(fields))
    if servers:
        found["nameserver"] = [_checked(server) for server in servers]
    elif own_namespace:
        reachable = [server for server in found["nameserver"] if _is_reachable(server, ipv6=ipv6)]
        found["nameserver"] = reachable or [*_PUBLIC, *(_PUBLIC6 if ipv6 else ())]
    if search:
        found["search"] = [domain for domain in search if domain != "."]
    if options:
        found["options"] = list(options)
    lines = [f"nameserver {server}" for server in found["nameserver"]]
    lines += [f"{key} {' '.join(found[key])}" for key in ("search", "options") if found[key]]
    return "".join(f"{line}\n" for line in [*lines, *rest])


def _fields(text: str) -> list[list[str]]:
    lines = (line.strip() for line in text.splitlines())
    return [line.split() for line in lines if line and line[0] not in "#;"]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_reachable(server: str, *, ipv6: bool) -> bool:
    address = ip_address(server)
    return (address.version == 4 or ipv6) and not address.is_loopback


def _checked(server: str) -> str:
    if not _is_address(server):
        raise InvalidParameter(f"invalid DNS server address: {server!r}")
    return server
