"""This file is about the name servers of all sandboxes, and what they know of each other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from moby.core.errors import MobyError
from moby.core.networks import Endpoint, Sandbox
from moby.networks.names import HOST_RESOLV_CONF, name_servers
from moby.networks.resolver.server import ADDRESS, Names, Resolver
from moby.networks.resolver.upstream import Upstream

log = logging.getLogger(__name__)

PREDEFINED = frozenset({"bridge", "host", "none"})
_SERVERS = 3


def has_resolver(sandbox: Sandbox) -> bool:
    """Only on networks of a user's own do containers find each other by name."""
    return bool(sandbox.path) and any(_is_own(endpoint) for endpoint in sandbox.endpoints)


def _is_own(endpoint: Endpoint) -> bool:
    return endpoint.network_name not in PREDEFINED


class Resolvers(Names):
    """Starts and ends name servers as sandboxes come and go; `sandboxes` are those that are open."""

    def __init__(self, sandboxes: Mapping[str, Sandbox], host_file: Path = HOST_RESOLV_CONF) -> None:
        self._sandboxes = sandboxes
        self._host_file = host_file
        self._resolvers: dict[str, Resolver] = {}
        self.version = 0
        self._known: dict[str, tuple[dict[str, list[str]], dict[str, str]]] = {}

    async def settle(self, sandbox: Sandbox) -> None:
        """A sandbox was opened, or has changed its networks: it has a name server if it is to have one."""
        self._changed()
        if not has_resolver(sandbox):
            self.stop(sandbox.id)
        elif sandbox.id not in self._resolvers:
            resolver = self._resolvers[sandbox.id] = Resolver(sandbox.id, sandbox.path, self)
            try:
                await resolver.open()
            except (MobyError, OSError) as error:
                log.warning("no name server", extra={"sandbox": sandbox.id, "error": str(error)})
                self.stop(sandbox.id)

    def _changed(self) -> None:
        self._known.clear()
        self.version += 1

    def stop(self, sandbox: str) -> None:
        """A sandbox is about to go."""
        self._changed()
        if (resolver := self._resolvers.pop(sandbox, None)) is not None:
            resolver.close()

    def close(self) -> None:
        """We end; containers have no name server until we are back."""
        for sandbox in tuple(self._resolvers):
            self.stop(sandbox)

    def addresses(self, sandbox: str, name: str) -> Sequence[str] | None:
        """See `Names.addresses`."""
        found: list[str] = []
        for endpoint in self._own(sandbox):
            by_name, _ = self._network(endpoint.network_id)
            plain = name.removesuffix(f".{endpoint.network_name.lower()}")
            links = {alias.lower(): target.lower() for alias, target in endpoint.links.items()}
            names = (links.get(name, ""), name, links.get(plain, ""), plain)
            found += next((by_name[one] for one in names if one in by_name), ())
        return list(dict.fromkeys(found)) or None

    def name(self, sandbox: str, address: str) -> str:
        """See `Names.name`."""
        for endpoint in self._own(sandbox):
            _, by_address = self._network(endpoint.network_id)
            if found := by_address.get(address):
                return f"{found}.{endpoint.network_name}"
        return ""

    def servers(self, sandbox: str) -> Sequence[Upstream]:
        """See `Names.servers`: those of the user's, else the host's if there is a way out."""
        found = self._sandboxes.get(sandbox)
        if found is None:
            return ()
        if found.dns:
            return [Upstream(server) for server in found.dns if server != ADDRESS][:_SERVERS]
        if not any(end.gateway or end.gateway6 for end in found.endpoints):
            return ()
        try:
            servers = name_servers(self._host_file.read_text())
        except OSError:
            return ()
        return [Upstream(server, from_host=True) for server in servers[:_SERVERS]]

    def keeps_plain_names(self, sandbox: str) -> bool:
        """See `Names.keeps_plain_names`."""
        found = self._sandboxes.get(sandbox)
        return found is not None and found.ndots

    def _own(self, sandbox: str) -> Sequence[Endpoint]:
        found = self._sandboxes.get(sandbox)
        return [endpoint for endpoint in found.endpoints if _is_own(endpoint)] if found is not None else ()

    def _network(self, network: str) -> tuple[dict[str, list[str]], dict[str, str]]:
        """Who is on a network: addresses by name, the container's own name by address."""
        known = self._known.get(network)
        if known is None:
            by_name: dict[str, list[str]] = {}
            by_address: dict[str, str] = {}
            for sandbox in self._sandboxes.values():
                for endpoint in sandbox.endpoints:
                    if endpoint.network_id != network:
                        continue
                    for address in filter(None, (endpoint.ipv4, endpoint.ipv6)):
                        plain = address.partition("/")[0]
                        by_address[plain] = endpoint.name
                        for alias in endpoint.aliases:
                            by_name.setdefault(alias.lower(), []).append(plain)
            known = self._known[network] = by_name, by_address
        return known
