"""This file is about moby.lock: which digest each image of an assembly stood for when it was locked.

A list of images, sorted, so that a change reads well in a diff. It lies beside the assembly; a name that is
in it always means that digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from moby.core.digest import is_digest
from moby.core.errors import InvalidParameter
from moby.host.files import translation, write_atomic

NAME = "moby.lock"
_VERSION = 1


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An image as it was; of a component also the packages that it is made of."""

    digest: str
    packages: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    images: dict[str, Locked]


def read_lock(path: Path) -> dict[str, Locked]:
    """The images of a lock; none if there is no such file. Raises InvalidParameter."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidParameter(f"cannot read {path}: {(error.strerror or '').lower()}") from error
    try:
        found = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"{path}: {error}") from error
    if found.version != _VERSION:
        raise InvalidParameter(f"{path}: version {found.version} is not known")
    for name, locked in found.images.items():
        if not is_digest(locked.digest):
            raise InvalidParameter(f"{path}: {name}: {locked.digest!r} is no digest")
    return found.images


def write_lock(path: Path, images: Mapping[str, Locked]) -> None:
    """Write the lock anew, whole or not at all."""
    ordered = {name: images[name] for name in sorted(images)}
    data = msgspec.json.format(msgspec.json.encode(_File(_VERSION, ordered)), indent=1) + b"\n"
    with translation("cannot write the lock"):
        write_atomic(path, data, 0o644)
