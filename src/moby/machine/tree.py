"""This file is about file systems that are only described: paths, what stands there, where the content is.

A tree never touches the disk, so that owners, devices and capabilities need no rights. The same node under
two paths is a hard link.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from moby.core.errors import InvalidParameter

Kind = Literal["file", "directory", "symlink", "fifo", "char", "block"]

_CHUNK = 1 << 20
_LINKS_LIMIT = 40
_TYPES: dict[Kind, int] = {
    "file": stat.S_IFREG,
    "directory": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a file on disk."""

    path: Path
    offset: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """The content. Raises OSError, and InvalidParameter if the file is shorter than it was."""
        with self.path.open("rb") as source:
            source.seek(self.offset)
            left = self.size
            while left:
                chunk = source.read(min(left, _CHUNK))
                if not chunk:
                    raise InvalidParameter(f"{self.path} is shorter than it was")
                left -= len(chunk)
                yield chunk


@dataclass(slots=True)
class Node:
    """What stands at a path; `origin` is the image or the section that it came with."""

    kind: Kind = "file"
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    content: bytes | Slice = b""
    target: str = ""
    device: tuple[int, int] = (0, 0)
    attributes: dict[str, bytes] = field(default_factory=dict)
    origin: str = ""

    @property
    def size(self) -> int:
        """The content's length in bytes."""
        return self.content.size if isinstance(self.content, Slice) else len(self.content)

    @property
    def full_mode(self) -> int:
        """Kind and permissions, as stat gives them."""
        return _TYPES[self.kind] | self.mode

    def chunks(self) -> Iterator[bytes]:
        """The content."""
        if isinstance(self.content, Slice):
            yield from self.content.chunks()
        elif self.content:
            yield self.content

    def read(self) -> bytes:
        """The whole content."""
        return b"".join(self.chunks())


class Tree:
    """A file system by its paths, without a slash at either end; the root itself is not listed."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._nodes

    def get(self, path: str) -> Node | None:
        """What stands exactly there."""
        return self._nodes.get(path)

    def sorted(self) -> list[tuple[str, Node]]:
        """Everything, a directory before what is in it, in an order that depends on the names alone."""
        return sorted(self._nodes.items(), key=lambda item: item[0].split("/"))

    def below(self, path: str) -> list[str]:
        """All paths below one."""
        prefix = f"{path}/"
        return [found for found in self._nodes if found.startswith(prefix)]

    def children(self, path: str) -> list[str]:
        """The paths right below one, sorted."""
        prefix = f"{path}/" if path else ""
        return sorted(
            found for found in self._nodes if found.startswith(prefix) and "/" not in found[len(prefix) :]
        )

    def put(self, path: str, node: Node) -> str:
        """Set what stands at a path, replacing what was there; a directory on a directory keeps its content.

        Links on the way are followed inside the tree, missing directories are made. Returns where it went.
        Raises InvalidParameter if something on the way is no directory.
        """
        parent, _, name = path.rpartition("/")
        place = self._directory(parent) if parent else ""
        place = f"{place}/{name}" if place else name
        before = self._nodes.get(place)
        if before is not None and not (before.kind == node.kind == "directory"):
            self.remove(place)
        self._nodes[place] = node
        return place

    def make_directories(self, path: str, mode: int = 0o755) -> str:
        """The directory at a path, made with all above it where missing; links are followed."""
        return self._directory(path, mode) if path else ""

    def link(self, path: str, target: str) -> None:
        """A hard link. Raises InvalidParameter if there is no such file."""
        node = self._nodes.get(self.resolve(target)) or self._nodes.get(target)
        if node is None or node.kind == "directory":
            raise InvalidParameter(f"{path}: the hard link's target {target} is no file of the image")
        self.put(path, node)

    def remove(self, path: str) -> None:
        """Remove a path with all below it; no error if it is not there."""
        gone = self._nodes.pop(path, None)
        if gone is not None and gone.kind == "directory":
            self.clear(path)

    def clear(self, path: str) -> None:
        """Remove all below a path."""
        for found in self.below(path) if path else list(self._nodes):
            del self._nodes[found]

    def resolve(self, path: str) -> str:
        """Where a path leads when links above its last part are followed; missing parts stay."""
        parent, _, name = path.rpartition("/")
        if not parent:
            return path
        above = self._follow(parent)
        return f"{above}/{name}" if above else name

    def lookup(self, path: str) -> Node | None:
        """What a path leads to when all links are followed."""
        return self._nodes.get(self._follow(path))

    def graft(self, other: Tree, prefix: str = "") -> None:
        """Put another tree below a path. A link to a directory stays where a directory would come."""
        for path, node in other.sorted():
            whole = f"{prefix}/{path}" if prefix else path
            there = self._nodes.get(self.resolve(whole))
            if node.kind == "directory" and there is not None and there.kind == "symlink":
                led = self.lookup(whole)
                if led is not None and led.kind == "directory":
                    continue
            clash = node.kind != "directory" and there is not None and there.kind == "directory"
            if clash and self.below(self.resolve(whole)):
                raise InvalidParameter(
                    f"/{whole} is a directory in one image and none in {node.origin or 'another'}"
                )
            self.put(whole, node)

    def _directory(self, path: str, mode: int = 0o755) -> str:
        place = ""
        for part in self._follow(path).split("/"):
            place = f"{place}/{part}" if place else part
            node = self._nodes.get(place)
            if node is None:
                self._nodes[place] = Node("directory", mode)
            elif node.kind != "directory":
                raise InvalidParameter(f"/{place} is no directory")
        return place

    def _follow(self, path: str) -> str:
        """A path with every link in it followed; absolute links start at the tree's root, `..` ends there."""
        waiting = path.split("/")[::-1]
        place: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                place = place[:-1]
                continue
            node = self._nodes.get("/".join([*place, part]))
            if node is None or node.kind != "symlink":
                place.append(part)
                continue
            links += 1
            if links > _LINKS_LIMIT:
                raise InvalidParameter(f"/{path}: too many symbolic links")
            if node.target.startswith("/"):
                place = []
            waiting += node.target.split("/")[::-1]
        return "/".join(place)


class SliceFile:
    """A slice of a file, to read from and to seek in."""

    def __init__(self, source: BinaryIO, offset: int, size: int) -> None:
        self._source, self._offset, self._size, self._at = source, offset, size, 0

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        left = self._size - self._at
        self._source.seek(self._offset + self._at)
        found = self._source.read(left if size < 0 else min(size, left))
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """As a file's."""
        return self._at
