"""This file is about a tree as a stream: a tar archive, or a cpio archive for kernels; always the same.

Order, times and numbers depend on the tree alone. Content is read while it is written out.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator

from moby.core.errors import InvalidParameter
from moby.machine.tree import Kind, Node, Tree

_TAR_KINDS: dict[Kind, bytes] = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
}
_CPIO_LIMIT = 2**32


def tar_stream(tree: Tree, moment: int = 0) -> Iterator[bytes]:
    """The tree as a pax archive dated `moment`, in seconds since 1970."""
    seen: dict[int, str] = {}
    for path, node in tree.sorted():
        first = seen.setdefault(id(node), path)
        info = _header(path, node, moment)
        if first != path:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first, 0
            info.pax_headers = {}
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if info.size:
            yield from node.chunks()
            yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def tar_entry(path: str, chunks: Iterable[bytes], size: int, moment: int = 0) -> Iterator[bytes]:
    """One plain file of an archive whose other parts come from elsewhere."""
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = size, 0o644, moment
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    yield from chunks
    yield bytes(-size % tarfile.BLOCKSIZE)


def _header(path: str, node: Node, moment: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type = _TAR_KINDS[node.kind]
    info.mode, info.uid, info.gid, info.mtime = node.mode, node.uid, node.gid, moment
    info.size, info.linkname = node.size, node.target
    info.devmajor, info.devminor = node.device
    info.pax_headers = {
        f"SCHILY.xattr.{key}": node.attributes[key].decode("utf-8", "surrogateescape")
        for key in sorted(node.attributes)
    }
    return info


def cpio_stream(tree: Tree, moment: int = 0) -> Iterator[bytes]:
    """The tree as a cpio archive (newc). Extended attributes have no place in it.

    Raises InvalidParameter for a file of 4 GiB or more.
    """
    links: dict[int, int] = {}
    for _path, node in tree.sorted():
        links[id(node)] = links.get(id(node), 0) + 1
    numbers: dict[int, int] = {}
    for path, node in tree.sorted():
        first = id(node) not in numbers
        number = numbers.setdefault(id(node), len(numbers) + 1)
        data = node.target.encode("utf-8", "surrogateescape") if node.kind == "symlink" else b""
        size = (len(data) or node.size) if first else 0
        if size >= _CPIO_LIMIT:
            raise InvalidParameter(f"/{path} is too large for an initial RAM disk")
        yield _cpio_header(path, node, number, links[id(node)], size, moment)
        if size:
            yield from [data] if data else node.chunks()
            yield bytes(-size % 4)
    yield _cpio_header("TRAILER!!!", Node(mode=0), 0, 1, 0, 0, mode=0)


def _cpio_header(
    path: str, node: Node, number: int, links: int, size: int, moment: int, mode: int | None = None
) -> bytes:
    name = path.encode("utf-8", "surrogateescape") + b"\0"
    fields = (
        number,
        node.full_mode if mode is None else mode,
        node.uid,
        node.gid,
        2 if node.kind == "directory" else links,
        moment,
        size,
        0,
        0,
        *node.device,
        len(name),
        0,
    )
    header = b"070701" + b"".join(b"%08X" % value for value in fields) + name
    return header + bytes(-len(header) % 4)
