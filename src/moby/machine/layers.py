"""This file is about layers: tar archives that make a tree one upon the other, with their whiteouts."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import IO, cast

from moby.core.errors import InvalidParameter
from moby.machine.tree import Kind, Node, Slice, SliceFile, Tree

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
ENTRIES_LIMIT = 1_000_000
_XATTR = "SCHILY.xattr."
_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
}


def apply_layer(tree: Tree, layer: Path, origin: str = "") -> None:
    """Apply a plain tar archive that lies on disk; the tree's content then points into it.

    Raises InvalidParameter for what is no archive, leads out of the root, or cannot be told apart.
    """
    with layer.open("rb") as source:
        _apply(tree, source, layer, 0, origin)


def apply_nested(tree: Tree, part: Slice, origin: str = "") -> None:
    """As `apply_layer`, of an archive inside a file."""
    with part.path.open("rb") as source:
        nested = cast("IO[bytes]", SliceFile(source, part.offset, part.size))
        _apply(tree, nested, part.path, part.offset, origin)


def _apply(tree: Tree, source: IO[bytes], path: Path, base: int, origin: str) -> None:
    # What a whiteout hides are lower layers; what this layer itself brought stays.
    brought: set[str] = set()
    try:
        with tarfile.open(fileobj=source, mode="r:", errors="surrogateescape") as archive:
            for count, member in enumerate(archive):
                if count > ENTRIES_LIMIT:
                    raise InvalidParameter(f"layer has more than {ENTRIES_LIMIT} entries")
                _take(tree, member, path, base, origin, brought)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidParameter(f"layer cannot be read: {error}") from error


def _take(tree: Tree, member: tarfile.TarInfo, path: Path, base: int, origin: str, brought: set[str]) -> None:
    name = _place(member.name)
    if not name:
        return
    parent, _, last = name.rpartition("/")
    if last == OPAQUE:
        above = tree.resolve(f"{parent}/x").rpartition("/")[0] if parent else ""
        for found in tree.below(above) if above else [found for found, _node in tree.sorted()]:
            if found not in brought:
                tree.remove(found)
        return
    if last.startswith(WHITEOUT):
        hidden = tree.resolve(f"{parent}/{last[len(WHITEOUT) :]}" if parent else last[len(WHITEOUT) :])
        if hidden not in brought:
            tree.remove(hidden)
        return
    if member.islnk():
        tree.link(name, _place(member.linkname))
        brought.add(tree.resolve(name))
        return
    kind = _KINDS.get(member.type)
    if kind is None:
        raise InvalidParameter(f"layer: {name} is of an unknown kind")
    if member.issparse():
        raise InvalidParameter(f"layer: {name} is a sparse file, which is not supported")
    place = tree.put(name, _node(member, kind, path, base, origin))
    while place and place not in brought:
        brought.add(place)
        place = place.rpartition("/")[0]


def _node(member: tarfile.TarInfo, kind: Kind, path: Path, base: int, origin: str) -> Node:
    attributes = {
        key.removeprefix(_XATTR): value.encode("utf-8", "surrogateescape")
        for key, value in member.pax_headers.items()
        if key.startswith(_XATTR)
    }
    return Node(
        kind,
        member.mode & 0o7777,
        member.uid,
        member.gid,
        content=Slice(path, base + member.offset_data, member.size)
        if kind == "file" and member.size
        else b"",
        target=member.linkname if kind == "symlink" else "",
        device=(member.devmajor, member.devminor) if kind in ("char", "block") else (0, 0),
        attributes=attributes,
        origin=origin,
    )


def _place(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidParameter(f"layer: {name!r} leads out of the root")
    return "/".join(parts)
