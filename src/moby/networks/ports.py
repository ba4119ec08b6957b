"""This file is about ports of the host: who of ours has which, and keeping others from taking them."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from moby.core.errors import Conflict, InvalidParameter, MobyError, System
from moby.core.networks import PortMapping, Transport

ANY4, ANY6 = "0.0.0.0", "::"  # noqa: S104 - publishing on every address is docker's default
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_PROTOCOLS = tuple(_KINDS)
_Key = tuple[Transport, int]
_Held = tuple[_Key, str, socket.socket | None]


class Ports:
    """Reserves ports for owners.

    Every reserved port is bound, though nobody listens: packets are redirected before they would reach the
    socket, and a process of the host that wants the port finds it taken, as we find one that another has.
    """

    def __init__(self, ephemeral: range | None = None) -> None:
        self._ephemeral = ephemeral or _ephemeral_range()
        self._latest: dict[tuple[Transport, range], int] = {}
        self._holders: dict[_Key, set[str]] = {}
        self._held: dict[str, list[_Held]] = {}

    @cached_property
    def ipv6(self) -> bool:
        """Does this host speak IPv6, at least with itself?"""
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
                probe.bind(("::1", 0))
        except OSError:
            return False
        return True

    def reserve(self, owner: str, mappings: Sequence[PortMapping]) -> tuple[PortMapping, ...]:
        """Every mapping with its port and address settled, or nothing.

        Mappings that ask for the same on different addresses get the same port. Raises Conflict if a port is
        taken, InvalidParameter for a range that is none.
        """
        granted: list[PortMapping] = []
        try:
            for group in _alike(sorted(mappings, key=_order)):
                granted += self._reserve(owner, group)
        except BaseException:
            self.release(owner)
            raise
        return tuple(granted)

    def restore(self, owner: str, mappings: Sequence[PortMapping]) -> list[MobyError]:
        """Take ports into account that were granted before; what another process took meanwhile, as errors.

        Such a port stays the owner's: its packets are redirected all the same.
        """
        failures: list[MobyError] = []
        for mapping in mappings:
            if not mapping.host_port:
                continue
            key, address = (mapping.protocol, mapping.host_port), mapping.host_ip or ANY4
            held: socket.socket | None = None
            try:
                held = _bind(mapping.protocol, address, mapping.host_port)
            except MobyError as error:
                failures.append(error)
            self._hold(owner, key, address, held)
        return failures

    def sockets(self, owner: str) -> list[tuple[Transport, str, int, socket.socket]]:
        """An owner's bound sockets, each with its address and port."""
        return [
            (protocol, address, port, held)
            for (protocol, port), address, held in self._held.get(owner, ())
            if held is not None
        ]

    def release(self, owner: str) -> None:
        """Free all that an owner has; no error if it has nothing."""
        for held in self._held.pop(owner, ()):
            self._drop(held)

    def close(self) -> None:
        """Free everything."""
        for owner in list(self._held):
            self.release(owner)

    def _reserve(self, owner: str, group: Sequence[PortMapping]) -> list[PortMapping]:
        """One port on each of the group's addresses."""
        first = group[0]
        last: MobyError | None = None
        for port in self._candidates(first):
            try:
                found = self._bound([mapping.host_ip or ANY4 for mapping in group], (first.protocol, port))
            except Conflict as error:
                last = error
                continue
            for key, address, held in found:
                self._hold(owner, key, address, held)
            return [
                msgspec.structs.replace(
                    mapping, host_ip=mapping.host_ip or ANY4, host_port=port, host_port_end=port
                )
                for mapping in group
            ]
        if first.host_port and first.host_port_end in (0, first.host_port) and last is not None:
            raise last
        raise Conflict("all ports are allocated")

    def _bound(self, addresses: Sequence[str], key: _Key) -> list[_Held]:
        protocol, port = key
        found: list[_Held] = []
        try:
            for address in addresses:
                if self._conflicts(key, address):
                    raise Conflict(f"Bind for {shown(address, port)} failed: port is already allocated")
                found.append((key, address, _bind(protocol, address, port)))
        except MobyError:
            for _, _, held in found:
                if held is not None:
                    held.close()
            raise
        return found

    def _candidates(self, mapping: PortMapping) -> Iterable[int]:
        """The port asked for, or a range's ports beginning after the one granted last."""
        low, high = mapping.host_port, mapping.host_port_end or mapping.host_port
        if not 0 <= low <= high <= 65535:
            raise InvalidParameter(f"invalid port range: {low}-{high}")
        if low == high != 0:
            return (low,)
        area = range(low, high + 1) if low else self._ephemeral
        return self._in_turn(mapping.protocol, area)

    def _in_turn(self, protocol: Transport, area: range) -> Iterable[int]:
        begin = self._latest.get((protocol, area), area.stop - 1) + 1 - area.start
        for step in range(len(area)):
            port = area.start + (begin + step) % len(area)
            self._latest[protocol, area] = port
            yield port

    def _conflicts(self, key: _Key, address: str) -> bool:
        holders = {other for other in self._holders.get(key, ()) if (":" in other) == (":" in address)}
        any_ = ANY6 if ":" in address else ANY4
        return bool(holders) and (address == any_ or any_ in holders or address in holders)

    def _hold(self, owner: str, key: _Key, address: str, held: socket.socket | None) -> None:
        self._holders.setdefault(key, set()).add(address)
        self._held.setdefault(owner, []).append((key, address, held))

    def _drop(self, one: _Held) -> None:
        key, address, held = one
        if held is not None:
            held.close()
        addresses = self._holders.get(key, set())
        addresses.discard(address)
        if not addresses:
            self._holders.pop(key, None)


def shown(address: str, port: int) -> str:
    """An address and a port as they are written."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _order(mapping: PortMapping) -> tuple[bool, int, int, int, int]:
    """Exact ports first: those of a range may be others. Then what differs in its address alone."""
    low, high = mapping.host_port, mapping.host_port_end or mapping.host_port
    protocol = _PROTOCOLS.index(mapping.protocol)
    return low == 0 or low != high, mapping.container_port, protocol, low, high


def _alike(mappings: Sequence[PortMapping]) -> list[list[PortMapping]]:
    """Mappings that follow each other and differ in their addresses alone, together."""
    groups: list[list[PortMapping]] = []
    before: tuple[object, ...] = ()
    for mapping in mappings:
        ports = (mapping.protocol, mapping.container_port, mapping.host_port, mapping.host_port_end)
        if ports == before and all(mapping.host_ip != other.host_ip for other in groups[-1]):
            groups[-1].append(mapping)
        else:
            groups.append([mapping])
        before = ports
    return groups


def _bind(protocol: Transport, address: str, port: int) -> socket.socket | None:
    """A bound socket; None for a protocol that this kernel lacks, which then nobody else uses."""
    kind, number = _KINDS[protocol]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        held = socket.socket(family, kind, number)
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise System(
            f"failed to create socket for {shown(address, port)}/{protocol}: {_words(error)}"
        ) from error
    try:
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            held.bind((address, port))
        except OSError as error:
            # Connections that a server of the host had here a minute ago do not count. Only now, because who
            # sets this option lets others with the option share the port.
            if error.errno != errno.EADDRINUSE or protocol != "tcp":
                raise
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((address, port))
    except OSError as error:
        held.close()
        message = f"failed to bind host port {shown(address, port)}/{protocol}: {_words(error)}"
        if error.errno == errno.EADDRINUSE:
            raise Conflict(message) from error
        raise System(message) from error
    return held


def _words(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _ephemeral_range() -> range:
    try:
        low, high = map(int, _EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        low, high = 49153, 65535
    return range(low, high + 1)
