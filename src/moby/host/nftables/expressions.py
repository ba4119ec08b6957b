"""This file is about what rules are made of: each expression in nft's words and as the kernel has it.

Registers are 32-bit words. What is compared is loaded into the first; a key of several fields takes as many
as it needs. The numbers are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, NamedTuple

from moby.core.networks import Transport
from moby.host.netlink import attribute, nested, ordered, text

Address = IPv4Address | IPv6Address
Area = IPv4Network | IPv6Network
Side = Literal["saddr", "daddr"]
Name = Literal["iifname", "oifname", "meta iifkind", "meta oifkind"]

_ELEMENT, _NAME, _DATA = 1, 1, 2
_EQUAL, _UNEQUAL = 0, 1
_VALUE, _VERDICT, _CODE, CHAIN = 1, 2, 1, 2
_DROP, _ACCEPT, JUMP = 0, 1, -3
_FIRST, _VERDICT_REGISTER = 8, 0
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_MARK, _L4PROTO = 3, 16
_META = {"iifname": 6, "oifname": 7, "meta iifkind": 26, "meta oifkind": 27}
_NAME_SIZE = 16
_CT_STATE, _CT_STATUS = 0, 2
_ESTABLISHED, _RELATED, _DNAT = 2, 4, 0x20
_PROTOCOLS: dict[str, int] = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}
# Where addresses are in a header, by version.
_PLACES: dict[tuple[int, Side], int] = {(4, "saddr"): 12, (4, "daddr"): 16, (6, "saddr"): 8, (6, "daddr"): 24}
_ADDRESS_SIZE = {4: 4, 6: 16}
_FAMILIES = {4: 2, 6: 10}
_WORD = {4: "ip", 6: "ip6"}
_LOCAL = 2


# The same few are asked for by every bridge's rules.
_known = lru_cache(512)


class Expression(NamedTuple):
    """What nft writes, and the bytes."""

    said: str
    packed: bytes


@_known
def accept() -> Expression:
    """Let the packet through, as far as this chain goes."""
    return Expression("accept", _decide(_ACCEPT))


@_known
def drop() -> Expression:
    """Let nobody see the packet again."""
    return Expression("drop", _decide(_DROP))


@_known
def jump(chain: str) -> Expression:
    """Go on in another chain, and come back from its end."""
    return Expression(f"jump {chain}", _decide(JUMP, text(CHAIN, chain)))


def named(what: Name, name: str, *, other: bool = False) -> Expression:
    """The packet comes from, or goes to, an interface of a name or a kind; `other`: of another."""
    wanted = name.encode().ljust(_NAME_SIZE, b"\0")
    said = f'{what} {"!= " if other else ""}"{name}"'
    return Expression(said, _meta(_META[what]) + _compare(wanted, other=other))


@_known
def listed(what: Name, name: str) -> Expression:
    """The interface's name is an element of a set."""
    found = _expression("lookup", text(1, name), ordered(2, _FIRST))
    return Expression(f"{what} @{name}", _meta(_META[what]) + found)


@_known
def by_name(what: Name, name: str) -> Expression:
    """What becomes of the packet is what a map has for the interface's name, if it has it."""
    found = _expression("lookup", text(1, name), ordered(2, _FIRST), ordered(3, _VERDICT_REGISTER))
    return Expression(f"{what} vmap @{name}", _meta(_META[what]) + found)


def mark(value: int, mask: int | None = None) -> Expression:
    """The packet has a mark, as far as the mask tells."""
    masked = b"" if mask is None else _masked(_native(mask))
    said = f"meta mark {'' if mask is None else f'& 0x{mask:08x} == '}0x{value:08x}"
    return Expression(said, _meta(_MARK) + masked + _compare(_native(value)))


@_known
def answers() -> Expression:
    """The packet belongs to a connection that was let through before."""
    wanted = _native(_ESTABLISHED | _RELATED)
    return Expression("ct state established,related", _connection(_CT_STATE) + _any_of(wanted))


@_known
def translated() -> Expression:
    """The packet belongs to a connection whose destination was translated."""
    return Expression("ct status dnat", _connection(_CT_STATUS) + _any_of(_native(_DNAT)))


@_known
def within(side: Side, subnet: Area) -> Expression:
    """The source or destination lies in a subnet."""
    version, bits = subnet.version, subnet.prefixlen
    place, wanted = _PLACES[version, side], subnet.network_address.packed
    if bits % 8:
        found = _payload(_NETWORK_HEADER, place, len(wanted)) + _masked(subnet.netmask.packed)
    else:
        wanted = wanted[: bits // 8]
        found = _payload(_NETWORK_HEADER, place, len(wanted))
    return Expression(f"{_WORD[version]} {side} {subnet}", found + _compare(wanted))


def addressed(side: Side, address: Address, *, other: bool = False) -> Expression:
    """The source or destination is an address; `other`: is another."""
    version = address.version
    found = _payload(_NETWORK_HEADER, _PLACES[version, side], _ADDRESS_SIZE[version])
    said = f"{_WORD[version]} {side} {'!= ' if other else ''}{address}"
    return Expression(said, found + _compare(address.packed, other=other))


def port(protocol: Transport, number: int) -> Expression:
    """The packet is for a port."""
    loaded = _payload(_TRANSPORT_HEADER, 2, 2)
    found = _protocol(protocol) + loaded + _compare(number.to_bytes(2, "big"))
    return Expression(f"{protocol} dport {number}", found)


@_known
def ping(version: int) -> Expression:
    """Somebody asks whether the destination is there."""
    protocol, kind = ("icmpv6", 128) if version == 6 else ("icmp", 8)
    found = _protocol(protocol) + _payload(_TRANSPORT_HEADER, 0, 1) + _compare(bytes([kind]))
    return Expression(f"{protocol} type echo-request", found)


@_known
def local() -> Expression:
    """The packet is for an address of the host's."""
    loaded = _expression("fib", ordered(1, _FIRST), ordered(2, 3), ordered(3, 2))
    return Expression("fib daddr type local", loaded + _compare(_native(_LOCAL)))


def reached(version: int, name: str) -> Expression:
    """The packet's destination, protocol and port are an element of a set."""
    said = f"{_WORD[version]} daddr . meta l4proto . th dport @{name}"
    return Expression(said, _target(version) + _expression("lookup", text(1, name), ordered(2, _FIRST)))


@_known
def translate(version: int, name: str, *, to_address: bool) -> Expression:
    """Send the packet to the address and port that a map has for its protocol and port.

    With `to_address` the key has its destination too.
    """
    if to_address:
        key, said = _target(version), f"{_WORD[version]} daddr . meta l4proto . th dport"
    else:
        key, said = _service(_FIRST), "meta l4proto . th dport"
    looked_up = _expression("lookup", text(1, name), ordered(2, _FIRST), ordered(3, _FIRST))
    words = _ADDRESS_SIZE[version] // 4
    nat = _nat(1, version, ordered(5, _FIRST + words))
    return Expression(f"dnat {_WORD[version]} to {said} map @{name}", key + looked_up + nat)


def send_to(address: Address, number: int) -> Expression:
    """Send the packet to an address and port."""
    words = len(address.packed) // 4
    loaded = _immediate(_FIRST, address.packed) + _immediate(_FIRST + words, number.to_bytes(2, "big"))
    nat = _nat(1, address.version, ordered(5, _FIRST + words))
    shown = f"[{address}]" if address.version == 6 else address
    return Expression(f"dnat to {shown}:{number}", loaded + nat)


@_known
def masquerade() -> Expression:
    """Give the packet the address of the interface that it leaves by."""
    return Expression("masquerade", _expression("masq"))


def send_as(address: Address) -> Expression:
    """Give the packet another source."""
    found = _immediate(_FIRST, address.packed) + _nat(0, address.version)
    return Expression(f"snat to {address}", found)


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(_ELEMENT, text(_NAME, name), nested(_DATA, *attributes))


def _native(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _value(kind: int, value: bytes) -> bytes:
    return nested(kind, attribute(_VALUE, value))


def _meta(key: int, register: int = _FIRST) -> bytes:
    return _expression("meta", ordered(2, key), ordered(1, register))


def _connection(key: int) -> bytes:
    return _expression("ct", ordered(2, key), ordered(1, _FIRST))


def _payload(base: int, offset: int, size: int, register: int = _FIRST) -> bytes:
    return _expression(
        "payload", ordered(1, register), ordered(2, base), ordered(3, offset), ordered(4, size)
    )


def _compare(wanted: bytes, *, other: bool = False) -> bytes:
    return _expression(
        "cmp", ordered(1, _FIRST), ordered(2, _UNEQUAL if other else _EQUAL), _value(3, wanted)
    )


def _masked(mask: bytes) -> bytes:
    return _expression(
        "bitwise",
        ordered(1, _FIRST),
        ordered(2, _FIRST),
        ordered(3, len(mask)),
        _value(4, mask),
        _value(5, bytes(len(mask))),
    )


def _any_of(bits: bytes) -> bytes:
    return _masked(bits) + _compare(bytes(len(bits)), other=True)


def _immediate(register: int, value: bytes) -> bytes:
    return _expression("immediate", ordered(1, register), _value(2, value))


def verdict(code: int, *chain: bytes) -> bytes:
    """What becomes of a packet."""
    return nested(_VERDICT, ordered(_CODE, code), *chain)


def _decide(code: int, *chain: bytes) -> bytes:
    return _expression("immediate", ordered(1, _VERDICT_REGISTER), nested(2, verdict(code, *chain)))


def _protocol(name: str) -> bytes:
    return _meta(_L4PROTO) + _compare(bytes([_PROTOCOLS[name]]))


def _service(register: int) -> bytes:
    return _meta(_L4PROTO, register) + _payload(_TRANSPORT_HEADER, 2, 2, register + 1)


def _target(version: int) -> bytes:
    size = _ADDRESS_SIZE[version]
    address = _payload(_NETWORK_HEADER, _PLACES[version, "daddr"], size)
    return address + _service(_FIRST + size // 4)


def _nat(kind: int, version: int, *more: bytes) -> bytes:
    return _expression("nat", ordered(1, kind), ordered(2, _FAMILIES[version]), ordered(3, _FIRST), *more)
