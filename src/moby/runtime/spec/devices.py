"""This file is about devices: the ones a container gets, and which it may use."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from typing import Any

from moby.core.errors import InvalidParameter
from moby.core.types.containers import DeviceMapping, HostConfig
from moby.runtime.spec.defaults import ALL_DEVICES, DEFAULT_DEVICE_RULES

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_SKIPPED = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})


def devices(host: HostConfig) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Device nodes, and cgroup rules. Raises InvalidParameter."""
    mappings = host.devices or []
    if host.privileged:
        own = [_node(mapping) for mapping in mappings if mapping.path_on_host != mapping.path_in_container]
        found = [*_every_device(), *(node for nodes in own for node in nodes)]
        return found, list(ALL_DEVICES)
    nodes, rules = [], list(DEFAULT_DEVICE_RULES)
    for mapping in mappings:
        for node in _node(mapping):
            nodes.append(node)
            rules.append(
                {
                    "allow": True,
                    "type": node["type"],
                    "major": node["major"],
                    "minor": node["minor"],
                    "access": mapping.cgroup_permissions or "rwm",
                }
            )
    rules += [_cgroup_rule(text) for text in host.device_cgroup_rules or ()]
    return nodes, rules


def _node(mapping: DeviceMapping) -> list[dict[str, Any]]:
    """A device, or every device below a directory; links are followed to `path_on_host` and not below it."""
    asked, target = mapping.path_on_host, mapping.path_in_container or mapping.path_on_host
    failure = f'error gathering device information while adding custom device "{asked}": '
    source = os.path.realpath(asked)
    try:
        found = os.lstat(source)
    except OSError as error:
        raise InvalidParameter(f"{failure}{(error.strerror or '').lower()}") from error
    if _is_device(found.st_mode):
        return [_described(target, found)]
    nodes = []
    for directory, _, names in os.walk(source):
        for name in sorted(names):
            with contextlib.suppress(OSError):
                found = os.lstat(f"{directory}/{name}")
                if _is_device(found.st_mode):
                    nodes.append(_described(f"{target}{directory[len(source) :]}/{name}", found))
    if not nodes:
        raise InvalidParameter(f"{failure}not a device node")
    return nodes


def _described(path: str, found: os.stat_result) -> dict[str, Any]:
    return {
        "path": path,
        "type": "c" if stat.S_ISCHR(found.st_mode) else "b",
        "major": os.major(found.st_rdev),
        "minor": os.minor(found.st_rdev),
        "fileMode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
    }


def _is_device(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _every_device(directory: str = "/dev") -> Iterator[dict[str, Any]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in _SKIPPED or entry.name == "console" or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _every_device(entry.path)
                continue
            found = entry.stat(follow_symlinks=False)
            if _is_device(found.st_mode):
                yield _described(entry.path, found)


def _cgroup_rule(text: str) -> dict[str, Any]:
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    if major != "*":
        rule["major"] = int(major)
    if minor != "*":
        rule["minor"] = int(minor)
    return rule
