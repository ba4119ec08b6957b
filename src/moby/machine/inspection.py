"""This file is about what a file system is made of and how large each part is: as data, and as text."""

from __future__ import annotations

import heapq

import msgspec

from moby.machine.image_roots import image_tree
from moby.machine.inventory import software
from moby.machine.opening import Opened
from moby.machine.tree import Tree

OWN = "the assembly"
_LARGEST = 15


class Part(msgspec.Struct, frozen=True):
    """What one image brought, or the assembly itself, or what lies below a directory."""

    name: str
    size: int
    files: int
    digest: str = ""
    packages: tuple[str, ...] = ()


class Large(msgspec.Struct, frozen=True):
    """A large file, and which part it is of."""

    path: str
    size: int
    part: str


class Inspection(msgspec.Struct, frozen=True):
    """The whole: sizes are of contents, in bytes, a file with several names counted once."""

    name: str
    size: int
    files: int
    parts: tuple[Part, ...]
    largest: tuple[Large, ...]


def sizes(opened: Opened) -> dict[str, dict[str, int]]:
    """Part, path, size: of every file. Parts are images where there are several, else directories."""
    found: dict[str, dict[str, int]] = {}
    seen: set[int] = set()
    for path, node in opened.tree.sorted():
        if node.kind != "file" or id(node) in seen:
            continue
        seen.add(id(node))
        part = (node.origin or OWN) if len(opened.images) > 1 else _folder(path)
        found.setdefault(OWN if part == "files" else part, {})[path] = node.size
    return found


def _folder(path: str) -> str:
    parts = path.split("/")[:-1]
    deep = 3 if parts[:1] == ["containers"] else 2
    return "/" + "/".join(parts[:deep])


def inspect(opened: Opened) -> Inspection:
    """Look into it. Reads images: takes seconds."""
    every = sizes(opened)
    parts = [_part(opened, name, files) for name, files in every.items()]
    parts.sort(key=lambda part: (-part.size, part.name))
    largest = heapq.nlargest(
        _LARGEST,
        (Large(path, size, part) for part, files in every.items() for path, size in files.items()),
        key=lambda file: (file.size, file.path),
    )
    return Inspection(
        opened.name,
        sum(part.size for part in parts),
        sum(part.files for part in parts),
        tuple(parts),
        tuple(largest),
    )


def _part(opened: Opened, name: str, files: dict[str, int]) -> Part:
    image = opened.images.get(name)
    tree: Tree | None = None
    if image is not None and opened.cache is not None:
        tree = image_tree(opened.cache, image)
    packages = tuple(f"{each.name}={each.version}" for each in software(tree)) if tree is not None else ()
    digest = image.target.digest if image is not None else ""
    return Part(name, sum(files.values()), len(files), digest, packages)


def human(size: int) -> str:
    """A size as people read it: `1.2 MiB`."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            break
        number /= 1024
    return f"{int(number)} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def as_text(found: Inspection) -> str:
    """A table of the parts, and the largest files."""
    lines = [f"{found.name}: {human(found.size)} in {found.files} files", ""]
    lines += [f"{human(part.size):>10}  {part.files:>6}  {part.name}" for part in found.parts]
    lines += ["", "largest:"]
    lines += [f"{human(file.size):>10}  /{file.path}" for file in found.largest]
    return "\n".join(lines)
