"""This file is about what a containerd consists of: its plugins."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moby.core.errors import InvalidParameter
from moby.host.containerd.client import Containerd
from moby.host.containerd.protos import introspection_pb2

METADATA = "io.containerd.metadata.v1"
SNAPSHOTTER = "io.containerd.snapshotter.v1"


class Plugin(msgspec.Struct, frozen=True):
    """A plugin, and why it does not work; `directory` is where it keeps its files, if it says so."""

    kind: str
    name: str
    failure: str = ""
    directory: str = ""


async def plugins(client: Containerd, kind: str = "") -> Sequence[Plugin]:
    """The plugins of a kind (`io.containerd.snapshotter.v1`), or all."""
    request = introspection_pb2.PluginsRequest(filters=[f"type=={kind}"] if kind else [])
    found = await client.look(
        "introspection.v1.Introspection/Plugins", request, introspection_pb2.PluginsResponse
    )
    return [
        Plugin(plugin.type, plugin.id, plugin.init_err.message, plugin.exports.get("root", ""))
        for plugin in found.plugins
    ]


async def check_snapshotter(client: Containerd, name: str) -> None:
    """Raises InvalidParameter if there is no snapshotter of that name, or it does not work here."""
    found = next((plugin for plugin in await plugins(client, SNAPSHOTTER) if plugin.name == name), None)
    if found is None or found.failure:
        why = found.failure if found is not None else "containerd has no such snapshotter"
        raise InvalidParameter(f"storage driver {name} is not available: {why}")


async def snapshotters(client: Containerd) -> Sequence[str]:
    """The names of the snapshotters that work."""
    return sorted(plugin.name for plugin in await plugins(client, SNAPSHOTTER) if not plugin.failure)
