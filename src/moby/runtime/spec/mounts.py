"""This file is about mounts inside a container: the usual ones, binds, volumes, tmpfs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moby.core.types.containers import HostConfig
from moby.runtime.spec.defaults import default_mounts

_TMPFS = ("noexec", "nosuid", "nodev", "rprivate")
_OPPOSITES = {"exec": "noexec", "suid": "nosuid", "dev": "nodev", "rw": "ro"}
_KEPT_WRITABLE = frozenset({"/proc", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"})  # noqa: S108 - a mount point


@dataclass(frozen=True, slots=True)
class Bind:
    """A path of the host's inside the container."""

    source: str
    target: str
    writable: bool = True
    propagation: str = "rprivate"


def mounts(
    host: HostConfig, binds: Sequence[Bind], tmpfs: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Every mount, parents before children; the user's own take the place of the usual ones."""
    targets = {bind.target for bind in binds} | tmpfs.keys()
    usual = [
        mount
        for mount in default_mounts(
            shm_size=host.shm_size, cgroup_writable=host.privileged, sys_writable=host.privileged
        )
        if mount["destination"] not in targets
        and not ("/dev" in targets and mount["destination"].startswith("/dev/"))
        and not (host.ipc_mode == "none" and mount["destination"] == "/dev/shm")  # noqa: S108
    ]
    if host.readonly_rootfs:
        for mount in usual:
            if mount["destination"] not in _KEPT_WRITABLE and "ro" not in mount["options"]:
                mount["options"].append("ro")
    own = [_bind(bind) for bind in binds] + [_tmpfs(target, options) for target, options in tmpfs.items()]
    own.sort(key=lambda mount: mount["destination"].count("/"))
    return [*usual, *own]


def _bind(bind: Bind) -> dict[str, Any]:
    options = ["rbind", *(() if bind.writable else ("ro",)), bind.propagation]
    return {"destination": bind.target, "type": "bind", "source": bind.source, "options": options}


def _tmpfs(target: str, asked: Sequence[str]) -> dict[str, Any]:
    """docker's options, each replaced by its opposite or its new value if that was asked for."""
    options = list(_TMPFS)
    for option in asked:
        if not option:
            continue
        opposite = _OPPOSITES.get(option)
        if opposite in options:
            options.remove(opposite)
        key = option.partition("=")[0]
        options = [known for known in options if known.partition("=")[0] != key]
        options.append(option)
    return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}


def root_propagation(binds: Sequence[Bind]) -> str:
    """How the root has to be mounted for what the binds ask."""
    asked = {bind.propagation for bind in binds}
    if asked & {"shared", "rshared"}:
        return "shared"
    return "rslave" if asked & {"slave", "rslave"} else "rprivate"
