"""This file is about the machine's root file system: kernel, init, volumes, containers and files in one tree.

Later things replace earlier ones. The tree depends on the images and the assembly alone, so that the same
machine comes out anywhere, at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from moby.core.errors import MobyError, NotFound
from moby.framework.assembly import Assembly
from moby.framework.machine import Container, File, Kernel, Volume
from moby.host.files import translated
from moby.machine.bundles import Bundles, effective_runtime, prepare_script, pretty, volume_mounts
from moby.machine.cache import Image, ImageCache
from moby.machine.container_spec import container_spec, read_label, volume_place
from moby.machine.equal_files import link_equal
from moby.machine.image_roots import complete, image_tree
from moby.machine.layers import apply_nested
from moby.machine.layouts import layout_tree
from moby.machine.rules import identity, mode_of, numbered, place_of
from moby.machine.tree import Node, Slice, Tree

KERNEL, CMDLINE, UCODE = "boot/kernel", "boot/cmdline", "boot/ucode.cpio"
# What these hold is known when the machine runs.
_AT_RUN_TIME = ("containers", "dev", "mnt", "proc", "run", "sys", "tmp", "var")
_DEFAULT_FILE, _DEFAULT_DIRECTORY = 0o600, 0o700


@dataclass(frozen=True, slots=True)
class Parts:
    """What a machine is made of; `folder` is where the assembly's relative paths start."""

    assembly: Assembly
    images: Mapping[str, Image]
    cache: ImageCache
    folder: Path


def root_tree(parts: Parts) -> Tree:
    """The whole root. Raises a MobyError that names file, line and key. Reads images: takes seconds."""
    assembly, machine = parts.assembly, parts.assembly.machine
    tree = Tree()
    if machine.kernel is not None:
        with _At(assembly, "kernel"):
            tree.graft(_kernel(parts, machine.kernel))
    for index, name in enumerate(machine.init):
        with _At(assembly, f"init[{index}]"):
            tree.graft(complete(image_tree(parts.cache, parts.images[name]), resolv_link=True))
    for index, volume in enumerate(machine.volumes):
        with _At(assembly, f"volumes[{index}]"):
            _volume(tree, parts, volume)
    mounts = _containers(tree, parts)
    names = numbered(assembly)
    for index, file in enumerate(machine.files):
        with _At(assembly, f"files[{index}]"):
            _file(tree, parts, file, names)
    _check_binds(tree, parts, mounts)
    return tree


class _At:
    """Inside this block an error is about a key of the assembly."""

    def __init__(self, assembly: Assembly, key: str) -> None:
        self._assembly, self._key = assembly, key

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            error = translated(error)
        if isinstance(error, MobyError):
            below = error.fields.get("key")
            key = f"{self._key}.{below}" if below else self._key
            where = self._assembly.wrong(key, error.message, hint=error.hint)
            raise type(error)(where.message, hint=error.hint) from error


def _kernel(parts: Parts, kernel: Kernel) -> Tree:
    image = image_tree(parts.cache, parts.images[kernel.image])
    binary = image.lookup(kernel.binary)
    if binary is None or binary.kind != "file":
        raise NotFound(f"there is no {kernel.binary!r} in the image", key="binary")
    tree = Tree()
    tree.put(KERNEL, Node(mode=0o644, content=binary.content, origin=kernel.image))
    tree.put(CMDLINE, Node(content=kernel.cmdline.encode()))
    if kernel.ucode:
        ucode = image.lookup(kernel.ucode)
        if ucode is None or ucode.kind != "file":
            raise NotFound(f"there is no {kernel.ucode!r} in the image", key="ucode")
        tree.put(UCODE, Node(content=ucode.content, origin=kernel.image))
    if kernel.tar not in ("none", ""):
        modules = image.lookup(kernel.tar)
        if modules is None or not isinstance(modules.content, Slice):
            raise NotFound(
                f"there is no {kernel.tar!r} in the image", key="tar", hint="tar: none, if none is needed"
            )
        apply_nested(tree, modules.content, kernel.image)
    return tree


def _volume(tree: Tree, parts: Parts, volume: Volume) -> None:
    base = volume_place(volume.name).strip("/").rpartition("/")[0]
    for name in ("lower", "tmp", "merged"):
        tree.make_directories(f"{base}/{name}")
    tree.put(f"{base}/prepare", Node(mode=0o755, content=prepare_script(volume_mounts(volume))))
    if not volume.image:
        return
    image = parts.images[volume.image]
    if volume.format == "oci":
        tree.graft(layout_tree(parts.cache, image, volume.platforms), f"{base}/lower")
    else:
        tree.graft(complete(image_tree(parts.cache, image)), f"{base}/lower")


@dataclass(frozen=True, slots=True)
class _Mounts:
    """What a container is given of the machine's root, and what is made there for it."""

    key: str
    sources: Sequence[str]
    made: Sequence[str]


def _containers(tree: Tree, parts: Parts) -> list[_Mounts]:
    files = parts.assembly.machine.files
    bundles = Bundles(tree, {place_of(file.path) for file in files if not (file.directory or file.symlink)})
    found: list[_Mounts] = []
    trees: dict[str, Tree] = {}
    for section in ("onboot", "onshutdown", "services"):
        containers: list[Container] = getattr(parts.assembly.machine, section)
        for index, container in enumerate(containers):
            with _At(parts.assembly, f"{section}[{index}]"):
                image = parts.images[container.image]
                digest = image.manifest.digest
                if digest not in trees:
                    trees[digest] = complete(image_tree(parts.cache, image))
                number = "" if section == "services" else f"{index:03d}-"
                place = f"containers/{section}/{number}{container.name}"
                sources, made = _container(tree, bundles, place, parts, container, trees[digest])
                found.append(_Mounts(f"{section}[{index}].binds", sources, made))
    link_equal(tree, bundles.roots)
    return found


def _container(
    tree: Tree, bundles: Bundles, place: str, parts: Parts, container: Container, root: Tree
) -> tuple[list[str], list[str]]:
    """Put a container into the tree; the sources of its binds, and the paths that its start makes."""
    image = parts.images[container.image]
    config = image.config.config
    label = read_label(config)
    volumes = {volume.name: volume.readonly for volume in parts.assembly.machine.volumes}
    spec = container_spec(container, label, config, numbered(parts.assembly), volumes)
    runtime = effective_runtime(container, label)
    bundles.add(place, image.manifest.digest, root, spec, runtime)
    for path in runtime.mkdir or []:
        # On a read-only disk nobody can make them later.
        if path.strip("/").partition("/")[0] not in ("", *_AT_RUN_TIME):
            tree.make_directories(path.strip("/"))
    sources = [mount["source"] for mount in spec["mounts"] if mount["type"] == "bind"]
    return sources, [*(runtime.mkdir or []), *(mount.destination for mount in runtime.mounts or [])]


def _check_binds(tree: Tree, parts: Parts, every: Sequence[_Mounts]) -> None:
    """Raises NotFound for a bind of what is neither in the root nor made at the start."""
    made = [path.strip("/") for mounts in every for path in mounts.made]
    for mounts in every:
        for source in mounts.sources:
            path = source.strip("/")
            if not path or path.partition("/")[0] in _AT_RUN_TIME:
                continue
            # Where a link leads may be made later.
            if tree.get(tree.resolve(path)) is not None:
                continue
            if not any(
                f"{path}/".startswith(f"{each}/") or f"{each}/".startswith(f"{path}/") for each in made
            ):
                with _At(parts.assembly, mounts.key):
                    raise NotFound(
                        f"there is no {source} in the machine", hint="runtime: {mkdir: […]} makes it"
                    )


def _file(tree: Tree, parts: Parts, file: File, names: dict[str, int]) -> None:
    place = place_of(file.path)
    mode = mode_of(file.mode, _DEFAULT_DIRECTORY if file.directory else _DEFAULT_FILE)
    uid, gid = identity(file.uid, names, "uid"), identity(file.gid, names, "gid")
    content: bytes | Slice = b""
    if file.source:
        path = Path(file.source).expanduser()
        path = path if path.is_absolute() else parts.folder / path
        if file.optional and not path.exists():
            return
        content = path.read_bytes()
    elif file.metadata:
        content = metadata(parts, file.metadata)
    elif file.contents is not None:
        content = file.contents.encode()
    _directories(tree, place, mode, uid, gid)
    if file.directory:
        tree.put(place, Node("directory", mode, uid, gid, origin="files"))
    elif file.symlink:
        tree.put(place, Node("symlink", 0o777, uid, gid, target=file.symlink, origin="files"))
    else:
        tree.put(place, Node("file", mode, uid, gid, content, origin="files"))


def _directories(tree: Tree, place: str, mode: int, uid: int, gid: int) -> None:
    """Make the directories above a file where they are missing: they can be read by whom the file can."""
    parents = place.split("/")[:-1]
    searched = mode | ((mode & 0o444) >> 2)
    for depth in range(1, len(parents) + 1):
        path = "/".join(parents[:depth])
        if tree.lookup(path) is None:
            tree.put(path, Node("directory", searched, uid, gid, origin="files"))


def metadata(parts: Parts, form: str) -> bytes:
    """The assembly's machine as it was understood, each image by its digest."""
    machine = msgspec.to_builtins(parts.assembly.machine)
    machine.pop("engine", None)
    pins = {name: f"{name.partition('@')[0]}@{image.target.digest}" for name, image in parts.images.items()}
    found = _pinned({key: value for key, value in machine.items() if value}, pins)
    if form == "json":
        return pretty(found)
    return yaml.safe_dump(found, sort_keys=True, default_flow_style=False).encode()


def _pinned(value: object, pins: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        if isinstance(value.get("init"), list):
            value = {**value, "init": [pins.get(name, name) for name in value["init"]]}
        return {
            key: pins.get(item, item) if key == "image" and isinstance(item, str) else _pinned(item, pins)
            for key, item in value.items()
        }
    return [_pinned(item, pins) for item in value] if isinstance(value, list) else value
