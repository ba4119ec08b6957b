"""This file is about publishing other ports of a container while it runs."""

from __future__ import annotations

import msgspec

from moby.core.errors import Conflict
from moby.core.networks import Networks, PortMapping
from moby.core.types.containers import HostConfig
from moby.core.types.networks import PortBinding
from moby.core.undo import Undo
from moby.engine.containers.checks import check_ports
from moby.engine.containers.networking import ANY, connected, port_mappings
from moby.engine.containers.record import Record

_ANY = (ANY, "::")

Bindings = dict[str, list[PortBinding] | None]


def with_bindings(host: HostConfig, bindings: Bindings) -> HostConfig:
    """The settings with other published ports. Raises InvalidParameter, Conflict."""
    changed = msgspec.structs.replace(host, port_bindings=bindings)
    check_ports(changed)
    mode = changed.network_mode
    if bindings and (mode in ("host", "none") or mode.startswith("container:")):
        raise Conflict(f"ports cannot be published with network mode {mode}")
    return changed


class Republisher:
    """Has the networks publish what a running container's settings say."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def publish(self, record: Record, undo: Undo) -> None:
        """Publish; what stays published keeps its port of the host. Raises Conflict for a taken port."""
        before = {key: list(found or ()) for key, found in record.ports.items()}
        undo.push(self._publish, record, _granted(before))
        await self._publish(record, _kept(port_mappings(record.config, record.host_config), before))

    async def _publish(self, record: Record, ports: tuple[PortMapping, ...]) -> None:
        connected(record, await self._networks.publish(record.sandbox_id, ports))


def _kept(wanted: tuple[PortMapping, ...], before: dict[str, list[PortBinding]]) -> tuple[PortMapping, ...]:
    """Those that leave the choice keep the port that they were given, unless another asks for just that."""
    taken = {one.host_port for one in wanted if one.host_port and one.host_port_end <= one.host_port}
    found = []
    for one in wanted:
        low, high = one.host_port, one.host_port_end
        if not low or high > low:
            bindings = before.get(f"{one.container_port}/{one.protocol}", [])
            # Where none is named it is every address, unless the engine has another by its settings.
            for binding in sorted(bindings, key=lambda binding: binding.host_ip not in _ANY):
                port = int(binding.host_port or 0)
                fits = port and port not in taken and (not low or low <= port <= high)
                if fits and one.host_ip in ("", binding.host_ip):
                    taken.add(port)
                    one = msgspec.structs.replace(one, host_port=port, host_port_end=port)
                    break
        found.append(one)
    return tuple(found)


def _granted(before: dict[str, list[PortBinding]]) -> tuple[PortMapping, ...]:
    found = []
    for key, bindings in before.items():
        number, _, protocol = key.partition("/")
        for one in bindings:
            port = int(one.host_port or 0)
            found.append(PortMapping(protocol, int(number), one.host_ip, port, port))  # type: ignore[arg-type]
    return tuple(found)
