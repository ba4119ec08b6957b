"""This file is about what a device's description changes in a container's runtime spec."""

from __future__ import annotations

import os
import stat
from typing import Any

from moby.core.errors import InvalidParameter, NotImplemented
from moby.runtime.cdi.files import DeviceNode, Edits, Hook, HostMount

_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def apply_edits(spec: dict[str, Any], edits: Edits) -> None:
    """Change the spec in place. Raises InvalidParameter; NotImplemented for what runtimes cannot do."""
    if edits.net_devices:
        raise NotImplemented("CDI netDevices are not supported yet")
    for variable in edits.env:
        set_variable(spec, variable)
    for node in edits.device_nodes:
        _add_device(spec, node)
    for mount in edits.mounts:
        _add_mount(spec, mount)
    for hook in edits.hooks:
        add_hook(spec, hook)
    if edits.intel_rdt is not None:
        spec["linux"]["intelRdt"] = edits.intel_rdt
    groups = spec["process"]["user"].setdefault("additionalGids", [])
    groups += [gid for gid in edits.additional_gids if gid and gid not in groups]


def set_variable(spec: dict[str, Any], variable: str) -> None:
    """Set a variable of the container's environment."""
    name = variable.partition("=")[0]
    environment = [known for known in spec["process"].get("env", ()) if known.partition("=")[0] != name]
    spec["process"]["env"] = [*environment, variable]


def add_hook(spec: dict[str, Any], hook: Hook) -> None:
    """Have the runtime call a program. Raises InvalidParameter."""
    if hook.hook_name not in _HOOKS:
        raise InvalidParameter(f'CDI device injection failed: unknown hook name "{hook.hook_name}"')
    entry: dict[str, Any] = {"path": hook.path, "args": list(hook.args), "env": list(hook.env)}
    if hook.timeout is not None:
        entry["timeout"] = hook.timeout
    spec.setdefault("hooks", {}).setdefault(hook.hook_name, []).append(entry)


def _add_mount(spec: dict[str, Any], mount: HostMount) -> None:
    target = mount.container_path
    mounts = [known for known in spec["mounts"] if known["destination"] != target]
    mounts.append(
        {
            "destination": target,
            "type": mount.type or "bind",
            "source": mount.host_path,
            "options": list(mount.options) or ["rbind"],
        }
    )
    spec["mounts"] = sorted(mounts, key=lambda known: known["destination"].rstrip("/").count("/"))


def _add_device(spec: dict[str, Any], node: DeviceNode) -> None:
    kind, major, minor = _numbers(node)
    user, linux = spec["process"]["user"], spec["linux"]
    entry: dict[str, Any] = {"path": node.path, "type": kind}
    if kind != "p":
        entry |= {"major": major, "minor": minor}
    if node.file_mode is not None:
        entry["fileMode"] = node.file_mode
    for key, given in (("uid", node.uid), ("gid", node.gid)):
        if given is not None or user[key]:
            entry[key] = given if given is not None else user[key]
    linux["devices"] = [known for known in linux.get("devices", ()) if known["path"] != node.path]
    linux["devices"].append(entry)
    if kind in ("b", "c"):
        rule = {"allow": True, "type": kind, "major": major, "minor": minor}
        linux["resources"]["devices"].append({**rule, "access": node.permissions or "rwm"})


def _numbers(node: DeviceNode) -> tuple[str, int, int]:
    """Type and numbers, from the device itself where the file leaves them open. Raises InvalidParameter."""
    if node.type and (node.major or node.type == "p"):
        return "c" if node.type == "u" else node.type, node.major, node.minor
    source = node.host_path or node.path
    try:
        found = os.stat(source)
    except OSError as error:
        raise InvalidParameter(
            f'CDI device injection failed: failed to stat CDI host device "{source}": '
            f"{(error.strerror or '').lower()}"
        ) from error
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}
    kind = kinds.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        raise InvalidParameter(f'CDI device injection failed: "{source}" is not a device')
    return kind, os.major(found.st_rdev), os.minor(found.st_rdev)
