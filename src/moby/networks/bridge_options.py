"""This file is about what a user may ask of a bridge network: its driver's options."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address
from typing import Literal, cast

import msgspec

from moby.core.errors import Forbidden, InvalidParameter, MobyError, NotImplemented
from moby.core.networks import Network
from moby.networks.settings import check_device_name, check_ipv6_subnet

NAME = "com.docker.network.bridge.name"
DEFAULT = "com.docker.network.bridge.default_bridge"
ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
BINDING = "com.docker.network.bridge.host_binding_ipv4"
INHIBIT = "com.docker.network.bridge.inhibit_ipv4"
TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"
MODE4 = "com.docker.network.bridge.gateway_mode_ipv4"
MODE6 = "com.docker.network.bridge.gateway_mode_ipv6"
MTU = "com.docker.network.driver.mtu"
HOST4 = "com.docker.network.host_ipv4"
HOST6 = "com.docker.network.host_ipv6"
PREFIX = "com.docker.network.container_iface_prefix"
ENABLE4 = "com.docker.network.enable_ipv4"
ENABLE6 = "com.docker.network.enable_ipv6"

GatewayMode = Literal["nat", "nat-unprotected", "routed", "isolated"]
_OURS = "com.docker.network."
# As Go reads them: Python takes spaces, underscores and the digits of every script.
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INTEGERS, _DIGITS = 1 << 63, 20
# RFC 8200, 5; the kernel has no IPv6 on a device with less.
_LEAST_FOR_IPV6 = 1280
_MODES = ("nat", "nat-unprotected", "routed", "isolated")
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_KNOWN = {
    NAME, DEFAULT, ICC, MASQUERADE, BINDING, INHIBIT, TRUSTED, MODE4, MODE6, MTU, HOST4, HOST6, PREFIX,
    ENABLE4, ENABLE6,
}  # fmt: skip


class BridgeOptions(msgspec.Struct, frozen=True):
    """The options of one network, as they are meant; an empty text stands for the usual."""

    name: str
    default: bool = False
    icc: bool = True
    masquerade: bool = True
    binding: str = ""
    inhibit_ipv4: bool = False
    trusted: tuple[str, ...] = ()
    mode4: GatewayMode = "nat"
    mode6: GatewayMode = "nat"
    mtu: int = 0
    host_ipv4: str = ""
    host_ipv6: str = ""

    @property
    def fits_ipv6(self) -> bool:
        """Are packets of IPv6 let through at all?"""
        return not 0 < self.mtu < _LEAST_FOR_IPV6

    def mode(self, version: int) -> GatewayMode:
        """How a family's packets leave and come."""
        return self.mode4 if version == 4 else self.mode6

    def host_address(self, version: int) -> str:
        """What a family's packets are masqueraded as, where that is not the way's own address."""
        return self.host_ipv4 if version == 4 else self.host_ipv6


def bridge_options(network: Network) -> BridgeOptions:
    """Raises InvalidParameter for values, NotImplemented for an option that is not known."""
    options = network.options
    check_known("bridge network option", options, _KNOWN)
    found = BridgeOptions(
        name=check_device_name(options.get(NAME) or f"br-{network.id[:12]}"),
        default=_flag(options, DEFAULT, False),
        icc=_flag(options, ICC, True),
        masquerade=_flag(options, MASQUERADE, True),
        binding=_address(options, BINDING),
        inhibit_ipv4=_flag(options, INHIBIT, False),
        trusted=tuple(check_device_name(name) for name in options.get(TRUSTED, "").split(":") if name),
        mode4=_mode(options, MODE4),
        mode6=_mode(options, MODE6),
        mtu=_mtu(options),
        host_ipv4=_address(options, HOST4, 4),
        host_ipv6=_address(options, HOST6, 6),
    )
    if network.enable_ipv6 and not found.fits_ipv6:
        raise InvalidParameter(f"invalid MTU number: {found.mtu}: IPv6 needs {_LEAST_FOR_IPV6}")
    if "isolated" in (found.mode4, found.mode6) and not network.internal:
        raise Forbidden("gateway mode 'isolated' can only be used for an internal network")
    if not (network.enable_ipv4 or network.enable_ipv6):
        raise InvalidParameter("IPv4 or IPv6 must be enabled")
    _check_subnets(network)
    return found


def _check_subnets(network: Network) -> None:
    for version in (4, 6):
        if sum((":" in subnet.subnet) == (version == 6) for subnet in network.subnets) > 1:
            raise Forbidden("bridge driver doesn't support multiple subnets")
    for subnet in network.subnets:
        if ":" in subnet.subnet:
            try:
                check_ipv6_subnet(subnet.subnet)
            except ValueError as error:
                raise InvalidParameter(str(error)) from error


def check_known(what: str, options: Iterable[str], known: Collection[str]) -> None:
    """Raises NotImplemented for an option of docker's that is not known; all others are let be."""
    for name in sorted(set(options) - set(known)):
        if name.startswith(_OURS):
            raise NotImplemented(f"{what} {name} is not supported yet")


def flag_of(label: str, value: str) -> bool:
    """A truth value as Go reads one. Raises InvalidParameter."""
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise _unreadable(label, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')


def _flag(options: Mapping[str, str], label: str, usual: bool) -> bool:
    return flag_of(label, options[label]) if label in options else usual


def _address(options: Mapping[str, str], label: str, version: int = 0) -> str:
    """An address; of a family, if a `version` is named."""
    if label not in options:
        return ""
    try:
        address = ip_address(options[label])
    except ValueError as error:
        raise _unreadable(label, options[label], "nil ip") from error
    if version not in (0, address.version):
        raise _unreadable(label, options[label], f"not an IPv{version} address")
    return str(address)


def _mtu(options: Mapping[str, str]) -> int:
    text = options.get(MTU, "0")
    if not _INTEGER.fullmatch(text):
        raise _unreadable(MTU, text, f'strconv.Atoi: parsing "{text}": invalid syntax')
    # Python refuses to read thousands of digits.
    found = int(text) if len(text) <= _DIGITS else _INTEGERS
    if abs(found) >= _INTEGERS:
        raise _unreadable(MTU, text, f'strconv.Atoi: parsing "{text}": value out of range')
    if found < 0:
        raise InvalidParameter(f"invalid MTU number: {found}")
    return found


def _mode(options: Mapping[str, str], label: str) -> GatewayMode:
    value = options.get(label, "nat")
    if value not in _MODES:
        raise _unreadable(label, value, f"unknown gateway mode {value}")
    return cast("GatewayMode", value)


def _unreadable(label: str, value: str, words: str) -> MobyError:
    return InvalidParameter(f"failed to parse {label} value: {value} ({words})")
