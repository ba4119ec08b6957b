"""This file is about the addresses of one subnet: granted in order, not used again at once."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from moby.core.errors import Forbidden, InvalidParameter, Unavailable


class Addresses:
    """Grants the next free address after the one granted last, and begins again at the end of the range.

    So an address rests as long as it can: nobody takes a new container for the old one.
    """

    def __init__(self, subnet: IPv4Network, within: IPv4Network | None, kept: Iterable[IPv4Address]) -> None:
        """Grants addresses from `within` (default: all of the subnet), never those in `kept`."""
        self.subnet = subnet
        area = within or subnet
        self._first, self._last = int(area.network_address), int(area.broadcast_address)
        self._taken: set[int] = {int(address) for address in kept}
        if subnet.prefixlen < 31:
            self._taken |= {int(subnet.network_address), int(subnet.broadcast_address)}
        self._kept = frozenset(self._taken)
        self._latest = self._first - 1

    def grant(self) -> IPv4Interface:
        """The next free address. Raises Unavailable if there is none."""
        size = self._last - self._first + 1
        for step in range(1, size + 1):
            candidate = self._first + (self._latest - self._first + step) % size
            if candidate not in self._taken:
                self._taken.add(candidate)
                self._latest = candidate
                return self._interface(candidate)
        raise Unavailable("no available IPv4 addresses on this network's address pools")

    def claim(self, text: str) -> IPv4Interface:
        """This very address. Raises InvalidParameter outside the subnet, Forbidden if it is taken."""
        address = self._parse(text)
        if address not in self.subnet:
            raise InvalidParameter(f"invalid address {text}: not in the network's subnet {self.subnet}")
        if int(address) in self._taken:
            raise Forbidden("Address already in use")
        self._taken.add(int(address))
        return self._interface(int(address))

    def free(self, text: str) -> None:
        """Give an address back; no error if it is not granted."""
        number = int(self._parse(text))
        if number not in self._kept:
            self._taken.discard(number)

    def _interface(self, number: int) -> IPv4Interface:
        return IPv4Interface((number, self.subnet.prefixlen))

    def _parse(self, text: str) -> IPv4Address:
        try:
            return IPv4Address(text.partition("/")[0])
        except ValueError as error:
            raise InvalidParameter(f"invalid IPv4 address: {text}") from error
