"""This file is about keeping what a bridge has in the packet filter as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from moby.core.errors import MobyError, NotFound
from moby.core.networks import Endpoint
from moby.host.netlink import Request
from moby.host.nftables import Nftables
from moby.host.nftables.elements import Element
from moby.networks import firewall_forwarding as forwarding
from moby.networks import firewall_translation as translation
from moby.networks.firewall_ports import adding, elements, flushing, removing
from moby.networks.firewall_rules import COMMON, Elements, Rules, table_name

_FAMILIES = ("ip", "ip6")
_ByFamily = Mapping[str, Elements]


def sweep(nftables: Nftables) -> None:
    """Remove what all bridges share, if nobody's bridge is left. Blocks: call it in a thread."""
    for family in _FAMILIES:
        nftables.delete_unused(family, COMMON, forwarding.BRIDGES)


class Firewall:
    """What a bridge has in the packet filter, in each family. Blocks: call it in a thread."""

    def __init__(self, nftables: Nftables) -> None:
        self._nftables = nftables
        self.rules: tuple[Rules, ...] = ()
        self._strangers: frozenset[str] = frozenset()
        self._elements: dict[str, _ByFamily] = {}

    def install(self, bridge: str, rules: Sequence[Rules], *, strangers: Iterable[str] = ()) -> None:
        """Make the rules, or mend them, with all published ports; a family that has none loses its own.

        For the families in `strangers` also keep the host from routing for others.
        """
        self.rules = tuple(rules)
        self._strangers = self._strangers | frozenset(strangers)
        have = {one.family for one in rules}
        for family in _FAMILIES:
            # Asked first: a removal that fails takes the kernel 10 ms.
            if family not in have and self._nftables.has_table(family, table_name(bridge)):
                self._delete(family, bridge)
        self._make()

    def _make(self) -> None:
        parts: list[Request] = []
        for one in self.rules:
            parts += [*translation.install(one), *forwarding.install(one)]
            if one.family in self._strangers:
                parts += forwarding.close_to_strangers(one.family)
        self._nftables.change([*parts, *self._all()])

    def replace(self, endpoints: Sequence[Endpoint]) -> None:
        """These endpoints' ports and no others, in one step."""
        self._elements = {endpoint.id: self._needed(endpoint) for endpoint in endpoints if endpoint.ports}
        emptied = [request for one in self.rules for request in flushing(one)]
        self._nftables.change([*emptied, *self._all()])

    def publish(self, endpoint: Endpoint) -> None:
        """Make an endpoint's ports reachable. A table that somebody flushed is made again, with all ports."""
        if not endpoint.ports:
            return
        self._elements[endpoint.id] = self._needed(endpoint)
        try:
            self._nftables.change(self._requests(adding, self._elements[endpoint.id]))
        except NotFound:
            self._make()
        except MobyError:
            del self._elements[endpoint.id]
            raise

    def withdraw(self, endpoint: Endpoint) -> None:
        """Undo `publish`; no error for what is gone."""
        if unwanted := self._elements.pop(endpoint.id, None):
            with suppress(NotFound):
                self._nftables.change(self._requests(removing, unwanted))

    def remove(self) -> None:
        """Remove all of it; no error if it is gone."""
        for one in self.rules:
            self._delete(one.family, one.bridge)

    def _delete(self, family: str, bridge: str) -> None:
        table = table_name(bridge)
        self._nftables.change([*translation.remove(family, table), *forwarding.remove(family, bridge)])

    def _needed(self, endpoint: Endpoint) -> _ByFamily:
        return {one.family: elements(endpoint, one.family) for one in self.rules}

    def _requests(
        self, change: Callable[[Rules, Elements], list[Request]], wanted: _ByFamily
    ) -> list[Request]:
        return [request for one in self.rules for request in change(one, wanted.get(one.family, {}))]

    def _all(self) -> list[Request]:
        """Puts everybody's elements in."""
        together: dict[str, dict[str, list[Element]]] = {}
        for known in list(self._elements.values()):
            for family, wanted in known.items():
                for name, each in wanted.items():
                    together.setdefault(family, {}).setdefault(name, []).extend(each)
        return self._requests(adding, together)
