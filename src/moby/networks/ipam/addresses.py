"""This file is about the addresses of one subnet: granted in order, not used again at once."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
)

from moby.core.errors import Forbidden, InvalidParameter, Unavailable
from moby.core.networks import SubnetUse

_COUNTABLE = 2**64 - 1


def reserved(subnet: IPv4Network | IPv6Network) -> frozenset[int]:
    """The addresses of a subnet that no host can have: its own, and of IPv4 the one for all.

    A link between two (RFC 3021) has neither in IPv4; the first of IPv6 is any router's (RFC 4291).
    """
    own = int(subnet.network_address)
    if subnet.version == 6:
        return frozenset({own})
    if subnet.prefixlen < subnet.max_prefixlen - 1:
        return frozenset({own, int(subnet.broadcast_address)})
    return frozenset()


class Addresses:
    """Grants the next free address after the one granted last, and begins again at the end of the range.

    So an address rests as long as it can: nobody takes a new container for the old one.
    """

    def __init__(
        self,
        subnet: IPv4Network | IPv6Network,
        within: IPv4Network | IPv6Network | None,
        kept: Iterable[IPv4Address | IPv6Address],
    ) -> None:
        """Grants addresses from `within` (default: all of the subnet), never those in `kept`."""
        self.subnet = subnet
        area = within or subnet
        self._first, self._last = int(area.network_address), int(area.broadcast_address)
        self._taken: set[int] = {*(int(address) for address in kept), *reserved(subnet)}
        self._kept = frozenset(self._taken)
        self._latest = self._first - 1

    def grant(self) -> IPv4Interface | IPv6Interface:
        """The next free address. Raises Unavailable if there is none."""
        size = self._last - self._first + 1
        for step in range(1, size + 1):
            candidate = self._first + (self._latest - self._first + step) % size
            if candidate not in self._taken:
                self._taken.add(candidate)
                self._latest = candidate
                return self._interface(candidate)
        raise Unavailable(f"no available IPv{self.subnet.version} addresses on this network's address pools")

    def claim(self, text: str) -> IPv4Interface | IPv6Interface:
        """This very address. Raises InvalidParameter outside the subnet, Forbidden if it is taken."""
        address = self._parse(text)
        if address not in self.subnet:
            raise InvalidParameter(f"invalid address {text}: not in the network's subnet {self.subnet}")
        if int(address) in self._taken:
            raise Forbidden("Address already in use")
        self._taken.add(int(address))
        return self._interface(int(address))

    def holds(self, text: str) -> bool:
        """Is the address one of this subnet?"""
        try:
            return ip_address(text.partition("/")[0]) in self.subnet
        except ValueError:
            return False

    def free(self, text: str) -> None:
        """Give an address back; no error if it is not granted."""
        number = int(self._parse(text))
        if number not in self._kept:
            self._taken.discard(number)

    def use(self) -> SubnetUse:
        """How full it is; what nobody can count to is cut at 2^64 - 1."""
        inside = sum(self._first <= number <= self._last for number in self._taken)
        return SubnetUse(len(self._taken), min(self._last - self._first + 1 - inside, _COUNTABLE))

    def _interface(self, number: int) -> IPv4Interface | IPv6Interface:
        if self.subnet.version == 4:
            return IPv4Interface((number, self.subnet.prefixlen))
        return IPv6Interface((number, self.subnet.prefixlen))

    def _parse(self, text: str) -> IPv4Address | IPv6Address:
        kind = IPv4Address if self.subnet.version == 4 else IPv6Address
        try:
            return kind(text.partition("/")[0])
        except ValueError as error:
            raise InvalidParameter(f"invalid IPv{self.subnet.version} address: {text}") from error
