"""This file is about mounts inside a container: the usual ones, binds, volumes, tmpfs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.types.containers import HostConfig
from moby.runtime.spec.defaults import default_mounts

_TMPFS = ("noexec", "nosuid", "nodev", "rprivate")
_TMPFS_VALUES = frozenset({"", "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"})
_LOCKED = {
    "ro": os.ST_RDONLY, "nosuid": os.ST_NOSUID, "nodev": os.ST_NODEV, "noexec": os.ST_NOEXEC,
    "noatime": os.ST_NOATIME, "nodiratime": os.ST_NODIRATIME, "relatime": os.ST_RELATIME,
}  # fmt: skip
# Words of which the last one counts; every other flag is a group by itself.
_GROUPS = (
    frozenset({"ro", "rw"}),
    frozenset({"suid", "nosuid"}),
    frozenset({"dev", "nodev"}),
    frozenset({"exec", "noexec"}),
    frozenset({"sync", "async"}),
    frozenset({"mand", "nomand"}),
    frozenset({"atime", "noatime"}),
    frozenset({"diratime", "nodiratime"}),
    frozenset({"relatime", "norelatime"}),
    frozenset({"strictatime", "nostrictatime"}),
    frozenset({"dirsync"}),
    frozenset({"remount"}),
    frozenset({"bind", "rbind", "unbindable", "runbindable", "private", "rprivate", "shared", "rshared",
               "slave", "rslave"}),
)  # fmt: skip
_KEPT_WRITABLE = frozenset({"/proc", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"})  # noqa: S108 - a mount point


class Bind(msgspec.Struct, frozen=True):
    """A path of the host's inside the container.

    `recursive` takes along what is mounted below the source; `deep`, for one that is not writable, makes that
    read-only too.
    """

    source: str
    target: str
    writable: bool = True
    propagation: str = "rprivate"
    recursive: bool = True
    deep: bool = False


def mounts(
    host: HostConfig,
    binds: Sequence[Bind],
    tmpfs: Mapping[str, Sequence[str]],
    *,
    writable_cgroups: bool | None = None,
    keep_flags: bool = False,
) -> list[dict[str, Any]]:
    """Every mount, parents before children; the user's own take the place of the usual ones.

    `keep_flags`: what the host has mounted with restrictions is bound with them, since in a user namespace
    nobody may lift them.
    """
    targets = {bind.target for bind in binds} | tmpfs.keys()
    usual = [
        mount
        for mount in default_mounts(
            shm_size=host.shm_size,
            cgroup_writable=host.privileged if writable_cgroups is None else writable_cgroups,
            sys_writable=host.privileged,
        )
        if mount["destination"] not in targets
        and not ("/dev" in targets and mount["destination"].startswith("/dev/"))
        and not (host.ipc_mode == "none" and mount["destination"] == "/dev/shm")  # noqa: S108
    ]
    if host.readonly_rootfs:
        for mount in usual:
            if mount["destination"] not in _KEPT_WRITABLE and "ro" not in mount["options"]:
                mount["options"].append("ro")
    own = [_bind(bind, keep_flags=keep_flags) for bind in binds] + [
        _tmpfs(target, options) for target, options in tmpfs.items()
    ]
    own.sort(key=lambda mount: mount["destination"].count("/"))
    return [*usual, *own]


def _bind(bind: Bind, *, keep_flags: bool = False) -> dict[str, Any]:
    options = ["rbind" if bind.recursive else "bind"]
    if not bind.writable:
        options.append("rro" if bind.deep else "ro")
    # Of one mount alone that is the same, and crun takes the other's `r` for the bind's.
    options.append(bind.propagation if bind.recursive else bind.propagation.removeprefix("r"))
    if keep_flags:
        flags = os.statvfs(bind.source).f_flag
        options += [word for word, flag in _LOCKED.items() if flags & flag and word not in options]
    return {"destination": bind.target, "type": "bind", "source": bind.source, "options": options}


def _tmpfs(target: str, asked: Sequence[str]) -> dict[str, Any]:
    """docker's options, each replaced by its opposite or its new value if that was asked for."""
    options = merged_tmpfs_options([*_TMPFS, *asked])
    return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}


def merged_tmpfs_options(options: Sequence[str]) -> list[str]:
    """Of options that contradict each other the last one. Raises InvalidParameter for an unknown one."""
    found: dict[str | frozenset[str], str] = {}
    for option in options:
        if option in ("", "defaults"):
            continue
        group: str | frozenset[str] | None = next((group for group in _GROUPS if option in group), None)
        if group is None:
            key, separator, _ = option.partition("=")
            if not separator or key not in _TMPFS_VALUES:
                raise InvalidParameter(f'invalid tmpfs option "{key}"')
            group = key
        found.pop(group, None)
        found[group] = option
    return list(found.values())


def root_propagation(binds: Sequence[Bind]) -> str:
    """How the root has to be mounted for what the binds ask."""
    asked = {bind.propagation for bind in binds}
    if asked & {"shared", "rshared"}:
        return "shared"
    return "rslave" if asked & {"slave", "rslave"} else "rprivate"
