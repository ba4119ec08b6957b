"""This file is about keeping a bridge's packet filter as it should be; its text is in `firewall_rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from moby.core.errors import MobyError, NotFound
from moby.core.networks import Endpoint
from moby.host.nftables import Nftables
from moby.networks.firewall_rules import (
    Elements,
    Rules,
    add_text,
    elements,
    flush_text,
    install_text,
    remove_text,
    strangers_text,
)

_FAMILIES = ("ip", "ip6")
_ByFamily = Mapping[str, Elements]


class Firewall:
    """A bridge's tables, one for each family. Blocks: call it in a thread."""

    def __init__(self, nftables: Nftables) -> None:
        self._nftables = nftables
        self.rules: tuple[Rules, ...] = ()
        self._strangers: frozenset[str] = frozenset()
        self._elements: dict[str, _ByFamily] = {}

    def install(self, bridge: str, rules: Sequence[Rules], *, strangers: Iterable[str] = ()) -> None:
        """Make the tables, or mend them, with all published ports; a family that has none loses its own.

        For the families in `strangers` also keep the host from routing for others.
        """
        self.rules = tuple(rules)
        self._strangers = self._strangers | frozenset(strangers)
        have = {one.family for one in rules}
        for family in _FAMILIES:
            # Asked first: a removal that fails takes the kernel 10 ms.
            if family not in have and self._has(table := f"{family} moby-{bridge}"):
                self._delete(table)
        self._make()

    def _make(self) -> None:
        parts = []
        for one in self.rules:
            parts.append(install_text(one))
            if one.family in self._strangers:
                parts.append(strangers_text(one))
        self._run([*parts, *self._all()])

    def replace(self, endpoints: Sequence[Endpoint]) -> None:
        """These endpoints' ports and no others, in one step."""
        self._elements = {endpoint.id: self._needed(endpoint) for endpoint in endpoints if endpoint.ports}
        self._run([*map(flush_text, self.rules), *self._all()])

    def publish(self, endpoint: Endpoint) -> None:
        """Make an endpoint's ports reachable. A table that somebody flushed is made again, with all ports."""
        if not endpoint.ports:
            return
        self._elements[endpoint.id] = self._needed(endpoint)
        try:
            self._run(self._texts(add_text, self._elements[endpoint.id]))
        except NotFound:
            self._make()
        except MobyError:
            del self._elements[endpoint.id]
            raise

    def withdraw(self, endpoint: Endpoint) -> None:
        """Undo `publish`; no error for what is gone."""
        if unwanted := self._elements.pop(endpoint.id, None):
            try:
                self._run(self._texts(remove_text, unwanted))
            except NotFound:
                return

    def remove(self) -> None:
        """Remove the tables; no error if they are gone."""
        for one in self.rules:
            self._delete(one.table)

    def _has(self, table: str) -> bool:
        return f"table {table}" in self._nftables.run(f"list tables {table.partition(' ')[0]}").splitlines()

    def _delete(self, table: str) -> None:
        with suppress(NotFound):
            self._nftables.run(f"delete table {table}")

    def _needed(self, endpoint: Endpoint) -> _ByFamily:
        return {one.family: elements(endpoint, one.family) for one in self.rules}

    def _texts(self, text: Callable[[Rules, Elements], str], wanted: _ByFamily) -> list[str]:
        return [text(one, wanted.get(one.family, {})) for one in self.rules]

    def _all(self) -> list[str]:
        """Puts everybody's elements in."""
        together: dict[str, dict[str, list[str]]] = {}
        for known in list(self._elements.values()):
            for family, wanted in known.items():
                for name, each in wanted.items():
                    together.setdefault(family, {}).setdefault(name, []).extend(each)
        return self._texts(add_text, together)

    def _run(self, parts: Iterable[str]) -> None:
        if commands := "\n".join(filter(None, parts)):
            self._nftables.run(commands)
