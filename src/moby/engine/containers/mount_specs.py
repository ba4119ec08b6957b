"""This file is about what a user may write for a mount: `-v` strings, `--mount` objects, `--volumes-from`.

Pure parsing with dockerd's checks and words; nothing is created here.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.types.containers import Mount, MountPoint
from moby.engine.containers.record import Mounted

PROPAGATIONS = frozenset({"private", "rprivate", "slave", "rslave", "shared", "rshared"})
DEFAULT_PROPAGATION = "rprivate"
_MODES = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    PROPAGATIONS,
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated"}),
)


class VolumesFrom(NamedTuple):
    """`--volumes-from CONTAINER[:ro]`."""

    container: str
    read_only: bool


def valid_mode(mode: str) -> bool:
    """Is `mode` a comma-separated list with at most one word of each kind?"""
    words = mode.split(",") if mode else []
    counts = [sum(word in kind for word in words) for kind in _MODES]
    return sum(counts) == len(words) and max(counts, default=0) <= 1


def parse_bind(raw: str, driver: str = "") -> Mounted:
    """One `-v` string: `[SOURCE:]TARGET[:MODE]`. Raises InvalidParameter."""
    parts = raw.split(":")
    invalid = InvalidParameter(f"invalid volume specification: '{raw}'")
    if not parts[0] or len(parts) > 3:
        raise invalid
    source, target, mode = "", parts[0], ""
    if len(parts) >= 2:
        source, target = parts[0], parts[1]
        if len(parts) == 2 and valid_mode(parts[1]):
            raise invalid
        mode = parts[2] if len(parts) == 3 else ""
    if not valid_mode(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    words = mode.split(",")
    kind = "bind" if source.startswith("/") else "volume"
    try:
        check_target(target)
    except ValueError as error:
        raise InvalidParameter(
            f'{invalid.message}: invalid mount config for type "{kind}": {error}'
        ) from error
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    if kind == "volume" and propagation:
        raise InvalidParameter(
            f'{invalid.message}: invalid mount config for type "volume": '
            "field BindOptions must not be specified"
        )
    point = MountPoint(
        type=kind,
        name=source if kind == "volume" else "",
        source=posixpath.normpath(source) if kind == "bind" else "",
        destination=posixpath.normpath(target),
        driver=driver if kind == "volume" else "",
        mode=mode,
        rw="ro" not in words,
        propagation=(propagation or DEFAULT_PROPAGATION) if kind == "bind" else "",
    )
    if kind == "volume" and not mode:
        point.mode = "z"
    return Mounted(
        point=point,
        volume=point.name,
        anonymous=not source,
        no_copy="nocopy" in words,
        create_source=kind == "bind",
    )


def parse_anonymous(target: str, driver: str = "") -> Mounted:
    """A volume of a container's own, as an image's VOLUME has it: a path and nothing else.

    Raises InvalidParameter.
    """
    try:
        check_target(target)
    except ValueError as error:
        raise InvalidParameter(f"invalid volume specification: '{target}': {error}") from error
    point = MountPoint(
        type="volume", destination=posixpath.normpath(target), driver=driver or "local", rw=True
    )
    return Mounted(point=point, anonymous=True)


def parse_mount(mount: Mount) -> Mounted:
    """One `--mount` object. Raises InvalidParameter."""
    try:
        _check_mount(mount)
    except ValueError as error:
        raise InvalidParameter(f'invalid mount config for type "{mount.type}": {error}') from error
    point = MountPoint(
        type=mount.type,
        source="",
        destination=posixpath.normpath(mount.target),
        mode="",
        rw=not mount.read_only,
        propagation="",
    )
    match mount.type:
        case "bind":
            return _bind(mount, point)
        case "volume":
            return _volume(mount, point)
        case "image":
            return _image(mount, point)
        case _:
            return Mounted(point=point, tmpfs_options=_tmpfs_options(mount))


def _bind(mount: Mount, point: MountPoint) -> Mounted:
    options = mount.bind_options or None
    point.source = posixpath.normpath(mount.source)
    point.propagation = (options.propagation if options else "") or DEFAULT_PROPAGATION
    return Mounted(
        point=point,
        create_source=bool(options and options.create_mountpoint),
        non_recursive=bool(options and options.non_recursive),
        shallow_read_only=bool(options and options.read_only_non_recursive),
        recursive_read_only=bool(options and options.read_only_force_recursive),
    )


def shallow(mounts: Sequence[Mounted]) -> list[Mounted]:
    """The same, but a read-only bind leaves what is mounted below it as it is, unless it asks for more."""
    return [
        msgspec.structs.replace(mount, shallow_read_only=True)
        if mount.point.type == "bind" and not mount.recursive_read_only
        else mount
        for mount in mounts
    ]


def _volume(mount: Mount, point: MountPoint) -> Mounted:
    options = mount.volume_options or None
    point.name = mount.source
    point.driver = options.driver_config.name if options and options.driver_config else ""
    point.mode = "z"
    return Mounted(
        point=point,
        volume=mount.source,
        anonymous=not mount.source,
        no_copy=bool(options and options.no_copy),
        subpath=(options.subpath if options else "") or "",
    )


def _image(mount: Mount, point: MountPoint) -> Mounted:
    point.name, point.rw, point.propagation = mount.source, False, DEFAULT_PROPAGATION
    return Mounted(point=point, subpath=(mount.image_options.subpath if mount.image_options else "") or "")


def in_daemon_root(written: Mount | None, mount: Mounted, root: str) -> None:
    """A bind of the daemon's own mounts, or of what they are in, receives what is unmounted there.

    Otherwise the container would hold mounts that the daemon cannot remove. Raises InvalidParameter for a
    propagation that would.
    """
    point = mount.point
    source = written.source if written else point.source
    if point.type != "bind" or not (source.startswith(root) or root.startswith(source)):
        return
    if written is not None:
        asked = written.bind_options.propagation if written.bind_options else ""
    else:
        asked = next((word for word in point.mode.split(",") if word in PROPAGATIONS), "")
    if not asked:
        point.propagation, mount.in_root = "rslave", True
    elif asked not in ("rslave", "rshared"):
        raise InvalidParameter(
            'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source '
            f'is within the daemon root, daemon root: "{root}", bind mount source: "{source}", '
            f'propagation: "{asked}"'
        )


def _tmpfs_options(mount: Mount) -> tuple[str, ...]:
    options = mount.tmpfs_options
    words = ["ro"] if mount.read_only else []
    if options and options.mode:
        words.append(f"mode={options.mode:o}")
    if options and options.size_bytes:
        words.append(f"size={_with_unit(options.size_bytes)}")
    words += ["=".join(option) for option in (options.options if options else None) or []]
    return tuple(words)


def _with_unit(size: int) -> str:
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def check_target(target: str) -> None:
    """Raises ValueError in dockerd's words for a target that nothing can be mounted on."""
    if not target:
        raise ValueError("field Target must not be empty")
    if posixpath.normpath(target) in ("/", "//"):
        raise ValueError("invalid specification: destination can't be '/'")
    if not target.startswith("/"):
        raise ValueError(f"invalid mount path: '{target}' mount path must be absolute")


def _check_mount(mount: Mount) -> None:
    for kind, field in (
        ("bind", "BindOptions"),
        ("volume", "VolumeOptions"),
        ("image", "ImageOptions"),
        ("tmpfs", "TmpfsOptions"),
        ("cluster", "ClusterOptions"),
    ):
        attribute = {"BindOptions": mount.bind_options, "VolumeOptions": mount.volume_options,
                     "ImageOptions": mount.image_options, "TmpfsOptions": mount.tmpfs_options,
                     "ClusterOptions": mount.cluster_options}[field]  # fmt: skip
        if mount.type != kind and attribute:
            raise ValueError(f"field {field} must not be specified")
    check_target(mount.target)
    match mount.type:
        case "bind":
            _check_bind(mount)
        case "volume":
            subpath = mount.volume_options.subpath if mount.volume_options else ""
            if subpath and not mount.source:
                raise ValueError("must not set Subpath when using anonymous volumes")
            _check_subpath(subpath)
        case "tmpfs":
            _check_tmpfs(mount)
        case "image":
            if not mount.source:
                raise ValueError("field Source must not be empty")
            _check_subpath(mount.image_options.subpath if mount.image_options else "")
        case _:
            raise ValueError("mount type unknown")


def _check_subpath(path: str) -> None:
    if path and (path.startswith("/") or posixpath.normpath(path).split("/")[0] == ".."):
        raise ValueError("subpath must be a relative path within the volume")


def _check_tmpfs(mount: Mount) -> None:
    if mount.source:
        raise ValueError("field Source must not be specified")
    for option in (mount.tmpfs_options.options if mount.tmpfs_options else None) or []:
        if not 1 <= len(option) <= 2:
            raise ValueError("invalid option array length")
        if option[0] not in ("exec", "noexec"):
            raise ValueError(f"invalid option: {option[0]}")


def _check_bind(mount: Mount) -> None:
    if not mount.source:
        raise ValueError("field Source must not be empty")
    propagation = mount.bind_options.propagation if mount.bind_options else ""
    if propagation and propagation not in PROPAGATIONS:
        raise ValueError(f"invalid propagation mode: {propagation}")
    if not mount.source.startswith("/"):
        raise ValueError(f"invalid mount path: '{mount.source}' mount path must be absolute")
    create = bool(mount.bind_options and mount.bind_options.create_mountpoint)
    if not create and not os.path.exists(mount.source):
        raise ValueError(f"bind source path does not exist: {mount.source}")


def parse_volumes_from(text: str) -> VolumesFrom:
    """Raises InvalidParameter."""
    if not text:
        raise InvalidParameter("volumes-from specification cannot be an empty string")
    container, _, mode = text.partition(":")
    if not valid_mode(mode) or any(word in PROPAGATIONS or word == "nocopy" for word in mode.split(",")):
        raise InvalidParameter(f"invalid mode: {mode}")
    return VolumesFrom(container, "ro" in mode.split(","))
