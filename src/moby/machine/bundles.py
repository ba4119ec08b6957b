"""This file is about a container's place in the machine's root: its file system, and what starts it.

`containers/SECTION/[NNN-]NAME/` has LinuxKit's layout: `config.json` for the OCI runtime, `runtime.json` for
LinuxKit's init, and for ours the same as shell scripts: `prepare`, run before the container is made, and
`created`, run between its making and its start with its process's number in `$1`. A container that writes to
its root gets a layer in memory upon `lower`; the same image is there once.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from moby.core.errors import InvalidParameter
from moby.framework.machine import ContainerConfig, Interface, Mount, Namespaces, Runtime, Volume
from moby.machine.container_spec import volume_place
from moby.machine.tree import Node, Tree

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
# What is written lies there, in memory.
_UPPER = "tmp"
_FLAGS = {"rprivate": "--make-rprivate", "private": "--make-private", "rshared": "--make-rshared"}


def effective_runtime(said: ContainerConfig, label: ContainerConfig) -> Runtime:
    """What happens around the start: what the assembly says, or else the image's label."""
    mine, theirs = said.runtime or Runtime(), label.runtime or Runtime()
    spaces = {name: getattr(mine.bind_ns, name) or getattr(theirs.bind_ns, name) for name in _NAMESPACES}
    runtime = Runtime(
        cgroups=mine.cgroups if mine.cgroups is not None else theirs.cgroups,
        mounts=mine.mounts if mine.mounts is not None else theirs.mounts,
        mkdir=mine.mkdir if mine.mkdir is not None else theirs.mkdir,
        interfaces=mine.interfaces if mine.interfaces is not None else theirs.interfaces,
        bind_ns=Namespaces(**spaces),
        namespace=mine.namespace if mine.namespace is not None else theirs.namespace,
    )
    for interface in runtime.interfaces or []:
        if not interface.name:
            raise InvalidParameter("an interface needs a name")
        if interface.peer and interface.add not in ("", "veth"):
            raise InvalidParameter(f"interface {interface.name}: only a veth has a peer")
    return runtime


# What is made while the machine runs is taken for a directory, but for these.
_SOCKET = ".sock"


class Bundles:
    """Puts containers into a tree; remembers which images are there already.

    `files` are the places of files that come into the tree later.
    """

    def __init__(self, tree: Tree, files: Collection[str] = ()) -> None:
        self._tree = tree
        self._files = files
        self._roots: dict[str, str] = {}

    @property
    def roots(self) -> list[str]:
        """Where the images' file systems are."""
        return list(self._roots.values())

    def add(self, place: str, image: str, root: Tree, spec: dict[str, Any], runtime: Runtime) -> None:
        """Put a container at a place; `image` is its digest, `root` its file system."""
        readonly = bool(spec["root"]["readonly"])
        known = self._roots.get(image)
        if known is None:
            known = f"{place}/{'rootfs' if readonly else 'lower'}"
            self._tree.make_directories(known)
            self._tree.graft(root, known)
            self._roots[image] = known
        self._mount_points(known, spec.get("mounts", []), readonly=readonly)
        self._tree.make_directories(f"{place}/rootfs")
        mounts = _root_mounts(place, known, readonly)
        if not readonly:
            self._tree.make_directories(f"{place}/{_UPPER}")
        whole = msgspec.structs.replace(runtime, mounts=[*mounts, *(runtime.mounts or [])])
        for name, data, mode in (
            ("config.json", pretty(spec), 0o644),
            ("runtime.json", pretty(_go_runtime(whole)), 0o644),
            ("prepare", prepare_script(whole), 0o755),
            ("created", _created(whole), 0o755),
        ):
            if data:
                self._tree.put(f"{place}/{name}", Node("file", mode, content=data))

    def _mount_points(self, root: str, mounts: Sequence[dict[str, Any]], *, readonly: bool) -> None:
        """Make what is mounted upon where the image lacks it: on a read-only disk nobody can later."""
        for mount in mounts:
            below = mount["destination"].strip("/")
            above = below.partition("/")[0]
            # Below another mount the runtime makes it.
            if not below or above in ("dev", "proc", "sys") or self._in_root(root, below):
                continue
            kind = self._kind_below(mount)
            if not kind and not readonly:
                # The runtime sees by then whether it is a file, and can write there.
                continue
            if kind == "file" or (not kind and below.endswith(_SOCKET)):
                self._tree.put(f"{root}/{below}", Node())
            else:
                self._tree.make_directories(f"{root}/{below}")

    def _kind_below(self, mount: Mapping[str, Any]) -> str:
        """What has to be there to be mounted upon, if that is known: `file` or `directory`."""
        if mount["type"] != "bind":
            return "directory"
        path = mount["source"].strip("/")
        source = self._tree.lookup(path)
        if path in self._files:
            return "file"
        return "" if source is None else "file" if source.kind == "file" else "directory"

    def _in_root(self, root: str, path: str) -> bool:
        """Is there anything at a path of a root, or above it a link, which leads who knows where?"""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            node = self._tree.get(f"{root}/{'/'.join(parts[:depth])}")
            if node is None:
                return False
            if node.kind != "directory":
                return True
        return True


def pretty(value: Any) -> bytes:
    """JSON for people, its keys in order."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def _root_mounts(place: str, root: str, readonly: bool) -> list[Mount]:
    if readonly:
        return [Mount(source=f"/{root}", destination=f"/{place}/rootfs", options=["bind"])]
    upper = f"/{place}/{_UPPER}"
    layers = [f"lowerdir=/{root}", f"upperdir={upper}/upper", f"workdir={upper}/work"]
    return [
        Mount(source="tmpfs", type="tmpfs", destination=upper),
        Mount(destination=upper, options=["remount", "private"]),
        Mount(source="overlay", type="overlay", destination=f"/{place}/rootfs", options=layers),
    ]


def volume_mounts(volume: Volume) -> Runtime:
    """The mounts that make a volume: of what it holds as it is, or with a layer in memory upon it."""
    base = f"/{volume_place(volume.name).strip('/').rpartition('/')[0]}"
    if volume.readonly:
        return Runtime(mounts=[Mount(source=f"{base}/lower", destination=f"{base}/merged", options=["bind"])])
    layers = [f"lowerdir={base}/lower", f"upperdir={base}/{_UPPER}/upper", f"workdir={base}/{_UPPER}/work"]
    return Runtime(
        mounts=[
            Mount(source="tmpfs", type="tmpfs", destination=f"{base}/{_UPPER}"),
            Mount(source="overlay", type="overlay", destination=f"{base}/merged", options=layers),
        ]
    )


def _go_runtime(runtime: Runtime) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(runtime)
    return {key: value for key, value in found.items() if value} | {"mounts": found.get("mounts") or []}


def prepare_script(runtime: Runtime) -> bytes:
    """What makes ready for a container's start, as a shell script that is run where its bundle is.

    Directories are made last: they may be on what has been mounted.
    """
    lines = ["#!/bin/sh", "set -e"]
    for mount in runtime.mounts or []:
        lines += _mount(mount)
    lines += [_words("mkdir", "-p", _path(path)) for path in runtime.mkdir or []]
    groups = [group.strip("/") for group in runtime.cgroups or []]
    lines += [_words("mkdir", "-p", f"/sys/fs/cgroup/{group}") for group in groups]
    for interface in runtime.interfaces or []:
        lines += _before(interface)
    return ("\n".join(lines) + "\n").encode()


def _path(path: str) -> str:
    """One without a slash in front is inside the container's root, as it is for LinuxKit."""
    return path if path.startswith("/") else f"rootfs/{path}"


def _words(*words: str) -> str:
    return shlex.join(words)


def _mount(mount: Mount) -> list[str]:
    place = _path(mount.destination)
    if mount.options == ["remount", "private"]:
        return [_words("mount", "--make-private", place)]
    lines = [f"[ -e {shlex.quote(place)} ] || {_words('mkdir', '-p', place)}"]
    if mount.type == "overlay":
        own = [option.partition("=")[2] for option in mount.options if option.startswith(("upper", "work"))]
        lines += [_words("mkdir", "-p", *own)] if own else []
    spread = [flag for option in mount.options if (flag := _FLAGS.get(option))]
    options = [option for option in mount.options if option not in _FLAGS]
    words = ["mount"]
    if mount.type and mount.type not in ("bind", "none"):
        words += ["-t", mount.type]
    if mount.type == "bind" and not {"bind", "rbind"} & set(options):
        options = ["bind", *options]
    words += ["-o", ",".join(options)] if options else []
    lines.append(_words(*words, mount.source or mount.type or "none", place))
    return lines + [_words("mount", flag, place) for flag in spread]


def _before(interface: Interface) -> list[str]:
    """What makes an interface in the machine's own network, to be moved from there."""
    kind = interface.add or ("veth" if interface.peer else "")
    if not kind:
        return []
    if kind == "veth":
        peer = interface.peer or f"{interface.name}-peer"
        return [_words("ip", "link", "add", interface.name, "type", "veth", "peer", "name", peer)]
    return [_words("ip", "link", "add", interface.name, "type", kind)] if interface.create_in_root else []


def _created(runtime: Runtime) -> bytes:
    lines = []
    for interface in runtime.interfaces or []:
        name = shlex.quote(interface.name)
        kind = interface.add or ("veth" if interface.peer else "")
        if kind and kind != "veth" and not interface.create_in_root:
            lines.append(f'nsenter -t "$1" -n ip link add {name} type {shlex.quote(kind)}')
        else:
            lines.append(f'ip link set {name} netns "$1"')
    for space in _NAMESPACES:
        if path := getattr(runtime.bind_ns, space):
            quoted = shlex.quote(path)
            folder = shlex.quote(path.rpartition("/")[0] or "/")
            lines.append(f"mkdir -p {folder}; : > {quoted}")
            lines.append(f'mount --bind "/proc/$1/ns/{space}" {quoted}')
    return ("\n".join(["#!/bin/sh", "set -e", *lines]) + "\n").encode() if lines else b""
