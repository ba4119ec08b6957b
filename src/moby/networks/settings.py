"""This file is about what an administrator decides about the default bridge network."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)

import msgspec

from moby.core.errors import InvalidParameter

_DEVICE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_FAILED = "Error initializing network controller"
_MARK = re.compile(r"(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10})(/(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}))?")
_LINK_LOCAL = IPv6Network("fe80::/64")


class BridgeSettings(msgspec.Struct, frozen=True):
    """dockerd's settings of the same names; empty means that we choose.

    `bridge` "none" means that there is no default bridge network. `ip` is where ports are published that name
    no address. `firewall` is dockerd's `iptables`, `firewall6` its `ip6tables`; `ip_forward_no_drop` leaves
    out the rule against routing for others. With `through_host` the host's own filter lets containers
    through, with `proxy` those without IPv6 are reached by it all the same. Packets with the mark
    `accepted_mark` (`VALUE` or `VALUE/MASK`) reach every port.
    """

    bridge: str = ""
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    mtu: int = 1500
    icc: bool = True
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    ip_masq: bool = True
    firewall: bool = True
    firewall6: bool = True
    ip: str = "0.0.0.0"  # noqa: S104 - docker's default
    ipv6: bool = False
    direct_routing: bool = False
    through_host: bool = False
    proxy: bool = True
    accepted_mark: str = ""

    def check(self) -> None:
        """Raises InvalidParameter for what is wrong."""
        if self.bridge:
            check_device_name(self.bridge)
        if self.bridge and self.bridge != "none" and (self.bip or self.bip6):
            option = "--bip" if self.bip else "--bip6"
            raise InvalidParameter(
                f"You specified -b & {option}, mutually exclusive options. Please specify only one"
            )
        if not self.icc:
            self._check_isolation()
        if self.mtu and not 68 <= self.mtu <= 65535:
            raise InvalidParameter(f"invalid MTU: {self.mtu}")
        _parse_cidr("bip", IPv4Interface, self.bip)
        _parse_cidr("bip6", IPv6Interface, self.bip6)
        _parse_cidr("fixed-cidr", _ipv4_network, self.fixed_cidr)
        _parse_cidr("fixed-cidr-v6", ip_network, self.fixed_cidr_v6)
        _parse("fixed-cidr-v6", _ipv6_network, self.fixed_cidr_v6)
        _check_host(self.bip)
        _parse("default-gateway", IPv4Address, self.default_gateway)
        _parse("default-gateway-v6", IPv6Address, self.default_gateway_v6)
        _parse("ip", ip_address, self.ip)
        if self.accepted_mark and not _MARK.fullmatch(self.accepted_mark):
            raise InvalidParameter(f"invalid bridge-accept-fwmark {self.accepted_mark!r}")

    def _check_isolation(self) -> None:
        for option, works in (("iptables", self.firewall), ("ip6tables", not self.ipv6 or self.firewall6)):
            if not works:
                raise InvalidParameter(
                    f"You specified --{option}=false with --icc=false. ICC=false uses {option} to function. "
                    f"Please set --icc or --{option} to true"
                )


def check_device_name(name: str) -> str:
    """`name` itself if a network device can be called so. Raises InvalidParameter if not."""
    if not _DEVICE.fullmatch(name) or name in (".", ".."):
        raise InvalidParameter(f"invalid bridge name: {name!r}")
    return name


def check_ipv6_subnet(text: str) -> str:
    """`text` itself if it is a subnet for a bridge. Raises ValueError in dockerd's words."""
    area = ip_network(text, strict=False)
    if not isinstance(area, IPv6Network) or area.network_address.ipv4_mapped is not None:
        raise ValueError(f"'{text}' is not a valid IPv6 subnet")
    if area.is_multicast:
        raise ValueError(f"multicast subnet '{text}' is not allowed")
    if area != _LINK_LOCAL and area.overlaps(_LINK_LOCAL):
        raise ValueError(f"'{text}' clashes with the Link-Local prefix 'fe80::/64'")
    return text


def _ipv4_network(text: str) -> object:
    area = ip_network(text, strict=False)
    if area.version != 4:
        raise ValueError(f"{text} is not an IPv4 subnet")
    return area


def _ipv6_network(text: str) -> object:
    return check_ipv6_subnet(text)


def _parse_cidr(what: str, read: Callable[[str], object], text: str) -> None:
    try:
        if text:
            read(text if "/" in text else "")
    except ValueError as error:
        raise InvalidParameter(f"{_FAILED}: parse {what} failed: invalid CIDR address: {text}") from error


def _check_host(text: str) -> None:
    """A bridge's address is one that a host can have."""
    bridge = IPv4Interface(text or "0.0.0.0/32")
    first, last = bridge.network[0], bridge.network[-1]
    if bridge.network.prefixlen < 31 and bridge.ip in (first, last):
        raise InvalidParameter(
            f'{_FAILED}: error creating default "bridge" network: failed to allocate gateway '
            f"({bridge.ip}): Address already in use"
        )


def _parse(what: str, read: Callable[[str], object], text: str) -> None:
    if not text:
        return
    try:
        read(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid {what} {text!r}: {error}") from error
