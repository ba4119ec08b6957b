"""This file is about what a program needs to run, as its ELF file says: libraries, and which part of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from moby.core.errors import InvalidParameter, NotFound
from moby.machine.tree import Tree

_MAGIC = b"\x7fELF"
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRINGS = 1, 5
_FOLDERS = ("lib", "usr/lib", "lib64", "usr/lib64")


@dataclass(frozen=True, slots=True)
class Needs:
    """What one file names."""

    interpreter: str = ""
    libraries: tuple[str, ...] = ()


def needs(data: bytes) -> Needs:
    """What a file needs; nothing, if it is no ELF file. Raises InvalidParameter for one that is cut."""
    if not data.startswith(_MAGIC) or len(data) < 64:
        return Needs()
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError) as error:
        raise InvalidParameter(f"no whole ELF file: {error}") from error


def _read(data: bytes) -> Needs:
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    segments = list(_segments(data, order, wide=wide))
    interpreter = next(
        (_text(data, offset) for kind, offset, _at, _size in segments if kind == _INTERPRETER), ""
    )
    wanted: list[int] = []
    strings = 0
    entry = f"{order}{'qQ' if wide else 'iI'}"
    for kind, offset, _at, size in segments:
        if kind != _DYNAMIC:
            continue
        for place in range(offset, offset + size, struct.calcsize(entry)):
            tag, value = struct.unpack_from(entry, data, place)
            if tag == _NEEDED:
                wanted.append(value)
            elif tag == _STRINGS:
                strings = value
    # The table of names is told by its address in memory.
    loaded = [each for each in segments if each[0] == _LOAD and each[2] <= strings < each[2] + each[3]]
    if not wanted:
        return Needs(interpreter)
    if not loaded:
        raise ValueError("its names are nowhere")
    base = strings - loaded[0][2] + loaded[0][1]
    return Needs(interpreter, tuple(_text(data, base + value) for value in wanted))


def without_symbols(data: bytes) -> bytes:
    """A program or library without what debuggers alone read: as much of it as is loaded.

    Raises InvalidParameter for a file that is cut.
    """
    if not data.startswith(_MAGIC) or len(data) < 64:
        return data
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    try:
        ends = [offset + size for _kind, offset, _at, size in _segments(data, order, wide=wide)]
    except struct.error as error:
        raise InvalidParameter(f"no whole ELF file: {error}") from error
    if not ends:
        return data
    # The list of segments lies among what is loaded; that of sections, at the end, is for debuggers.
    kept = bytearray(data[: max(64, *ends)])
    sections, counts = (("Q", 40), 60) if wide else (("I", 32), 48)
    struct.pack_into(f"{order}{sections[0]}", kept, sections[1], 0)
    struct.pack_into(f"{order}HH", kept, counts, 0, 0)
    return bytes(kept)


def _segments(data: bytes, order: str, *, wide: bool) -> Iterator[tuple[int, int, int, int]]:
    """Each segment: kind, offset in the file, address in memory, length in the file."""
    if wide:
        (start,) = struct.unpack_from(f"{order}Q", data, 32)
        length, count = struct.unpack_from(f"{order}HH", data, 54)
    else:
        (start,) = struct.unpack_from(f"{order}I", data, 28)
        length, count = struct.unpack_from(f"{order}HH", data, 42)
    for index in range(count):
        at = start + index * length
        if wide:
            kind, _flags, offset, address, _physical, size = struct.unpack_from(f"{order}IIQQQQ", data, at)
        else:
            kind, offset, address, _physical, size = struct.unpack_from(f"{order}IIIII", data, at)
        yield kind, offset, address, size


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()


def with_needs(tree: Tree, paths: list[str]) -> set[str]:
    """These files, with every library and interpreter that they need, and the links that lead there.

    Raises NotFound for one that the tree has not.
    """
    libraries: dict[str, str] = {}
    for path, node in tree.sorted():
        folder, _, name = path.rpartition("/")
        top = folder if folder in _FOLDERS else folder.rpartition("/")[0]
        if node.kind in ("file", "symlink") and top in _FOLDERS:
            libraries.setdefault(name, path)
    found: set[str] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        there = tree.get(tree.resolve(path))
        if there is None:
            raise NotFound(f"there is no {path}")
        if path in found:
            continue
        found.add(path)
        if there.kind == "symlink":
            target = there.target.strip("/") if there.target.startswith("/") else ""
            waiting.append(target or _beside(path, there.target))
        elif there.kind == "file":
            wanted = needs(there.read())
            if wanted.interpreter:
                waiting.append(wanted.interpreter.strip("/"))
            for name in wanted.libraries:
                if name not in libraries:
                    raise NotFound(f"{path} needs {name}, which is in none of the packages")
                waiting.append(libraries[name])
    return found


def _beside(path: str, target: str) -> str:
    parts = path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
