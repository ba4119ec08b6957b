"""This file is about what a container finds names in: its /etc/hostname, hosts and resolv.conf. It blocks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from moby.core.config import ConfigSource
from moby.core.networks import Sandbox
from moby.core.types.containers import HostConfig
from moby.engine.config import EngineConfig
from moby.engine.containers.index import Index
from moby.engine.containers.links import Links
from moby.engine.containers.record import Record
from moby.engine.userns import container_ids
from moby.networks.names import (
    HOST_RESOLV_CONF,
    has_ndots,
    hosts_file,
    own_names,
    resolv_conf,
    resolv_conf_inside,
    resolv_conf_source,
)
from moby.networks.resolver.resolvers import has_resolver
from moby.runtime.spec import Bind

_NAMES = ("resolv.conf", "hostname", "hosts")


class NameFiles:
    """Writes the files, each ours, that the container may write too; `directory` has those of all."""

    def __init__(self, index: Index, config: ConfigSource[EngineConfig], directory: Path) -> None:
        self._index = index
        self._config = config
        self._links = Links(index, directory)
        self._directory = directory

    def write(self, record: Record, sandbox: Sandbox, gateways: Sequence[str] = ()) -> list[Bind]:
        """The files of a container that is about to start, and where it is to find them.

        `gateways` are the host's addresses on the default network, if there is one.
        """
        own, host = self._directory / record.id, record.host_config
        if host.network_mode.startswith("container:"):
            own = self._directory / self._index.find(host.network_mode.partition(":")[2]).id
        else:
            own.mkdir(mode=0o710, exist_ok=True)
            (own / "hostname").write_text(f"{record.config.hostname}\n")
            (own / "hosts").write_text(self._hosts(record, sandbox, gateways))
            (own / "resolv.conf").write_text(self._resolv_conf(host, sandbox))
            if ids := container_ids(self._config.current, host):
                for path in (own, *(own / name for name in _NAMES)):
                    os.chown(path, 0 if path == own else ids.root[0], ids.root[1])
        return [Bind(str(own / name), f"/etc/{name}") for name in _NAMES]

    def moved(self, record: Record, before: Sandbox, after: Sandbox) -> None:
        """A running container has changed its networks: its own addresses, and who answers its questions.

        Lines of others in its hosts file stay; a resolv.conf that was changed inside is left as it is. The
        files are rewritten in place, since what is mounted is the file.
        """
        own = self._directory / record.id
        with suppress(FileNotFoundError):
            resolv = own / "resolv.conf"
            wanted = self._resolv_conf(record.host_config, after)
            if resolv.read_text() == self._resolv_conf(record.host_config, before) != wanted:
                resolv.write_text(wanted)
        with suppress(FileNotFoundError):
            hosts = own / "hosts"
            names = own_names(record.config.hostname, record.config.domainname)
            gone, new = ([f"{address}\t{names}\n" for address in _addresses(one)] for one in (before, after))
            lines = hosts.read_text().splitlines(keepends=True)
            kept = [line for line in lines if line not in gone or line in new]
            changed = "".join([*kept, *(line for line in new if line not in kept)])
            if changed != "".join(lines):
                hosts.write_text(changed)

    def has_ndots(self, host: HostConfig) -> bool:
        """Does somebody say how many dots make a name complete: the container, the settings or the host?"""
        options = host.dns_options or self._config.current.dns_opts
        return has_ndots("" if options else _host_resolv_conf(), options)

    def _hosts(self, record: Record, sandbox: Sandbox, gateways: Sequence[str]) -> str:
        config, host = record.config, record.host_config
        if host.network_mode == "host" and not host.extra_hosts:
            return Path("/etc/hosts").read_text()
        own = hosts_file(
            config.hostname,
            config.domainname,
            _addresses(sandbox),
            host.extra_hosts or (),
            self._config.current.host_gateway_ips or gateways,
        )
        return own + self._links.hosts(record)

    def _resolv_conf(self, host: HostConfig, sandbox: Sandbox) -> str:
        settings = self._config.current
        search, options = host.dns_search or settings.dns_search, host.dns_options or settings.dns_opts
        if has_resolver(sandbox):
            return resolv_conf_inside(_host_resolv_conf(), search=search, options=options)
        return resolv_conf(
            _host_resolv_conf(),
            servers=host.dns or settings.dns,
            search=search,
            options=options,
            own_namespace=host.network_mode != "host",
            ipv6=any(endpoint.ipv6 for endpoint in sandbox.endpoints),
        )


def _addresses(sandbox: Sandbox) -> list[str]:
    found = [address for end in sandbox.endpoints for address in (end.ipv4, end.ipv6) if address]
    return [address.partition("/")[0] for address in found]


def _host_resolv_conf() -> str:
    try:
        text = HOST_RESOLV_CONF.read_text()
        source = resolv_conf_source(text)
        return text if source == HOST_RESOLV_CONF else source.read_text()
    except OSError:
        return ""
