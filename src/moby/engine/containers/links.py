"""This file is about `--link` on the default bridge: another container under a name of one's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from moby.core.errors import InvalidParameter, NotFound, System
from moby.core.types.containers import HostConfig
from moby.engine.containers.container import Container
from moby.engine.containers.index import Index
from moby.engine.containers.record import Record

NETWORK = "bridge"
# Docker's engine has left them out by default since version 29; what was written for older ones reads them.
_ENVIRONMENT_WANTED = "DOCKER_KEEP_DEPRECATED_LEGACY_LINKS_ENV_VARS"
_CONFLICT = (
    "conflicting options: host type networking can't be used with links. "
    "This would result in undefined behavior"
)


class Link(NamedTuple):
    """`--link NAME[:ALIAS]`."""

    name: str
    alias: str


def parse_link(text: str) -> Link:
    """Also reads what `docker inspect` shows (`/NAME:/OWNER/ALIAS`). Raises InvalidParameter."""
    if not text:
        raise InvalidParameter("empty string specified for links")
    parts = text.split(":")
    if len(parts) > 2:
        raise InvalidParameter(f"bad format for links: {text}")
    if len(parts) == 1:
        return Link(text, text)
    if parts[0].startswith("/"):
        return Link(parts[0][1:], parts[1].rpartition("/")[2])
    return Link(parts[0], parts[1])


def link_names(index: Index) -> Mapping[str, Sequence[str]]:
    """The names that containers have by others' links, `OWNER/ALIAS`, by their IDs."""
    found: dict[str, list[str]] = {}
    for owner in index:
        for alias, container in owner.record.links.items():
            found.setdefault(container, []).append(f"{owner.record.name}/{alias}")
    return found


class Links:
    """Who is linked to whom; `directory` has a directory for each container, with its hosts file."""

    def __init__(self, index: Index, directory: Path) -> None:
        self._index = index
        self._directory = directory

    def resolve(self, host: HostConfig) -> dict[str, str]:
        """The IDs of the containers that are linked to, by alias. Raises InvalidParameter."""
        if host.network_mode not in ("default", NETWORK, "none", "host"):
            return {}
        found: dict[str, str] = {}
        for text in host.links or ():
            link = parse_link(text)
            other = self._find(link.name)
            while other.record.host_config.network_mode.startswith("container:"):
                other = self._find(other.record.host_config.network_mode.partition(":")[2])
            if other.record.host_config.network_mode == "host":
                raise InvalidParameter(_CONFLICT)
            found.setdefault(link.alias.strip("/"), other.id)
        return found

    def _find(self, name: str) -> Container:
        try:
            return self._index.find(name)
        except (NotFound, InvalidParameter) as error:
            raise InvalidParameter(f"could not get container for {name}: {error.message}") from error

    def shown(self, record: Record) -> list[str] | None:
        """The links as `docker inspect` shows them."""
        return sorted(
            f"/{other.record.name}:/{record.name}/{alias}"
            for alias, container in record.links.items()
            if (other := self._index.get(container)) is not None
        ) or None  # fmt: skip

    def _linked(self, record: Record) -> Mapping[str, Record]:
        """Every linked container by alias. Raises System unless each runs on the default bridge."""
        found = {}
        for alias, container in record.links.items():
            other = self._index.get(container)
            name = other.record.name if other else container[:12]
            if other is None or not other.record.state.running:
                raise System(f"Cannot link to a non running container: /{name} AS /{record.name}/{alias}")
            if NETWORK not in other.record.networks:
                raise System(f"Cannot link to /{name}, as it does not belong to the default network")
            found[alias] = other.record
        return found

    def hosts(self, record: Record) -> str:
        """Lines for the container's /etc/hosts. Raises System."""
        if NETWORK not in record.networks:
            return ""
        lines = []
        for alias, other in self._linked(record).items():
            names = [alias, other.config.hostname]
            if alias != other.name:
                names.append(other.name)
            settings = other.networks[NETWORK]
            lines += [
                f"{address}\t{' '.join(names)}\n"
                for address in (settings.ip_address, settings.global_ipv6_address)
                if address
            ]
        return "".join(lines)

    def environment(self, record: Record) -> list[str]:
        """Variables about the linked containers, unless the daemon's environment says no. Raises System."""
        if NETWORK not in record.networks or not record.links:
            return []
        linked = self._linked(record)
        if os.environ.get(_ENVIRONMENT_WANTED, "1") != "1":
            return []
        return [variable for alias, other in linked.items() for variable in _variables(record, alias, other)]

    def owners(self, record: Record) -> Mapping[str, Sequence[str]]:
        """Who runs and is linked to a container that has an address, with the aliases for it."""
        settings = record.networks.get(NETWORK)
        if settings is None or not settings.ip_address:
            return {}
        return {
            container.id: [alias for alias, other in container.record.links.items() if other == record.id]
            for container in self._index
            if record.id in container.record.links.values() and container.record.state.running
        }

    def moved(self, record: Record, owners: Mapping[str, Sequence[str]]) -> None:
        """Write the container's new addresses into the hosts files of the owners of links to it. Blocks."""
        settings = record.networks[NETWORK]
        for container, aliases in owners.items():
            _rewrite(
                self._directory / container / "hosts",
                aliases,
                settings.ip_address,
                settings.global_ipv6_address,
            )


def _rewrite(path: Path, aliases: Sequence[str], ipv4: str, ipv6: str) -> None:
    """Change the addresses of the lines that begin with one of the aliases, in the file as it is mounted."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return
    lines = []
    for line in text.splitlines(keepends=True):
        before, separator, names = line.partition("\t")
        address = ipv6 if ":" in before else ipv4
        is_ours = separator and (names.split() or [""])[0] in aliases and address
        lines.append(f"{address}\t{names}" if is_ours else line)
    path.write_text("".join(lines))


def _variables(record: Record, alias: str, other: Record) -> list[str]:
    prefix, address = alias.upper().replace("-", "_"), other.networks[NETWORK].ip_address
    ports = sorted(_ports(other.config.exposed_ports), key=lambda port: (port[1] != "tcp", port[1], port[0]))
    found = []
    for position, (number, protocol) in enumerate(ports):
        url = f"{protocol}://{address}:{number}"
        if position == 0:
            found.append(f"{prefix}_PORT={url}")
        port = f"{prefix}_PORT_{number}_{protocol.upper()}"
        found += [
            f"{port}={url}",
            f"{port}_ADDR={address}",
            f"{port}_PORT={number}",
            f"{port}_PROTO={protocol}",
        ]
    found += _ranges(prefix, address, ports)
    found.append(f"{prefix}_NAME=/{record.name}/{alias}")
    for variable in other.config.env or ():
        name, separator, value = variable.partition("=")
        if separator and name not in ("HOME", "PATH"):
            found.append(f"{prefix}_ENV_{name}={value}")
    return found


def _ranges(prefix: str, address: str, ports: Sequence[tuple[int, str]]) -> list[str]:
    """Variables for ports that follow each other."""
    groups: list[list[tuple[int, str]]] = []
    for number, protocol in ports:
        if groups and groups[-1][-1] == (number - 1, protocol):
            groups[-1].append((number, protocol))
        else:
            groups.append([(number, protocol)])
    found = []
    for group in groups:
        (first, protocol), (last, _) = group[0], group[-1]
        if first == last:
            continue
        port = f"{prefix}_PORT_{first}_{protocol.upper()}"
        found += [
            f"{port}_START={protocol}://{address}:{first}",
            f"{port}_PORT_START={first}",
            f"{port}_END={protocol}://{address}:{last}",
            f"{port}_PORT_END={last}",
        ]
    return found


def _ports(exposed: Mapping[str, object]) -> list[tuple[int, str]]:
    found = []
    for text in exposed:
        numbers, _, protocol = text.partition("/")
        low, _, high = numbers.partition("-")
        found += [(number, protocol or "tcp") for number in range(int(low), int(high or low) + 1)]
    return found
