"""This file is about what an administrator decides about the default bridge network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from moby.core.errors import InvalidParameter, NotImplemented

_DEVICE = re.compile(r"[A-Za-z0-9_.-]{1,15}")


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """dockerd's settings of the same names; empty means that we choose.

    `bridge` "none" means that there is no default bridge network. `ip` is where ports are published that name
    no address. `firewall` is dockerd's `iptables`.
    """

    bridge: str = ""
    bip: str = ""
    fixed_cidr: str = ""
    default_gateway: str = ""
    mtu: int = 1500
    icc: bool = True
    ip_forward: bool = True
    ip_masq: bool = True
    firewall: bool = True
    ip: str = "0.0.0.0"  # noqa: S104 - docker's default
    ipv6: bool = False

    def check(self) -> None:
        """Raises InvalidParameter for what is wrong, NotImplemented for what we cannot do."""
        if self.ipv6:
            raise NotImplemented("IPv6 on the default bridge (ipv6) is not supported yet")
        if self.bridge:
            check_device_name(self.bridge)
        if self.bridge and self.bridge != "none" and self.bip:
            raise InvalidParameter(
                "you specified --bridge and --bip, which are mutually exclusive options; specify only one"
            )
        if self.mtu and not 68 <= self.mtu <= 65535:
            raise InvalidParameter(f"invalid MTU: {self.mtu}")
        _parse("bip", IPv4Interface, self.bip)
        _parse("fixed-cidr", IPv4Network, self.fixed_cidr)
        _parse("default-gateway", IPv4Address, self.default_gateway)
        _parse("ip", IPv4Address, self.ip)


def check_device_name(name: str) -> str:
    """`name` itself if a network device can be called so. Raises InvalidParameter if not."""
    if not _DEVICE.fullmatch(name) or name in (".", ".."):
        raise InvalidParameter(f"invalid bridge name: {name!r}")
    return name


def _parse(what: str, kind: type[object], text: str) -> None:
    if not text:
        return
    try:
        if kind is IPv4Network:
            IPv4Network(text, strict=False)
        else:
            kind(text)  # type: ignore[call-arg]
    except ValueError as error:
        raise InvalidParameter(f"invalid {what} {text!r}: {error}") from error
