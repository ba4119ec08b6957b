"""This file is about zisofs, Linux's compression of files on a CD: a header, where each block is, the blocks.

xorriso can do it too, but compresses every file twice: once to know its size, and once to write it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from moby.machine.tree import Node, Slice, Tree

MAGIC = bytes.fromhex("37e45396c9dbd607")
# With a higher level it takes longer than all else.
_LEVEL = 3
_BLOCK_BITS = 15
_BLOCK = 1 << _BLOCK_BITS
_HEADER = struct.Struct("<8sIBBxx")
_SECTOR = 2048
# Sizes in the header have 32 bits.
_LARGEST = 2**32 - 1


def compressed_tree(tree: Tree, scratch: Path) -> Tree:
    """The tree with each file compressed that takes fewer sectors then; their content lies in `scratch`."""
    found = Tree()
    done: dict[int, Node] = {}
    with scratch.open("w+b") as file:
        for path, node in tree.sorted():
            if id(node) not in done:
                done[id(node)] = _compressed(node, scratch, file)
            found.put(path, done[id(node)])
    return found


def _compressed(node: Node, scratch: Path, file: BinaryIO) -> Node:
    if node.kind != "file" or not _SECTOR < node.size <= _LARGEST:
        return node
    begin = file.tell()
    size = write_zisofs(file, node.chunks(), node.size)
    if _sectors(size) >= _sectors(node.size):
        file.seek(begin)
        return node
    content = Slice(scratch, begin, size)
    return Node(
        node.kind, node.mode, node.uid, node.gid, content, attributes=node.attributes, origin=node.origin
    )


def write_zisofs(file: BinaryIO, chunks: Iterator[bytes], size: int) -> int:
    """Write a content of `size` bytes compressed to where the file stands; how much that is."""
    begin = file.tell()
    place = _HEADER.size + 4 * (-(-size // _BLOCK) + 1)
    pointers = [place]
    file.seek(begin + place)
    for block in _blocks(chunks):
        packed = _packed(block)
        file.write(packed)
        place += len(packed)
        pointers.append(place)
    file.seek(begin)
    file.write(_HEADER.pack(MAGIC, size, _HEADER.size // 4, _BLOCK_BITS))
    file.write(struct.pack(f"<{len(pointers)}I", *pointers))
    file.seek(begin + place)
    return place


def _packed(block: bytes) -> bytes:
    # A block of zeros is one of no length.
    return zlib.compress(block, _LEVEL) if block.count(0) != len(block) else b""


def _blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    waiting = b""
    for chunk in chunks:
        waiting += chunk
        whole = len(waiting) // _BLOCK * _BLOCK
        for offset in range(0, whole, _BLOCK):
            yield waiting[offset : offset + _BLOCK]
        waiting = waiting[whole:]
    if waiting:
        yield waiting


def _sectors(size: int) -> int:
    return -(-size // _SECTOR)
