"""Files that are compressed for a CD, as Linux reads them."""

from __future__ import annotations

import os
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from moby.machine.tree import Node, Tree
from moby.machine.zisofs import compressed_tree

# fs/isofs/compress.c
MAGIC = bytes([0x37, 0xE4, 0x53, 0x96, 0xC9, 0xDB, 0xD6, 0x07])


def plain(data: bytes) -> bytes:
    """What Linux makes of a compressed file."""
    size, header, bits = struct.unpack_from("<IBB", data, len(MAGIC))
    count = -(-size // (1 << bits))
    places = struct.unpack_from(f"<{count + 1}I", data, header * 4)
    found = b""
    for begin, end in pairwise(places):
        whole = min(1 << bits, size - len(found))
        found += zlib.decompress(data[begin:end]) if end > begin else bytes(whole)
    assert places[-1] == len(data)
    return found


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"word " * 20000, id="words"),
        pytest.param(bytes(1 << 20), id="zeros"),
        pytest.param(b"x" * 32768 + bytes(32768) + b"y" * 5, id="a hole"),
        pytest.param(b"x" * 65536, id="whole blocks"),
    ],
)
def test_what_is_compressed_is_read_as_it_was(data: bytes, tmp_path: Path) -> None:
    tree = Tree()
    tree.put("a", Node(mode=0o755, uid=1, gid=2, content=data))
    node = compressed_tree(tree, tmp_path / "compressed").get("a")
    assert node is not None
    assert node.read().startswith(MAGIC)
    assert plain(node.read()) == data
    assert (node.mode, node.uid, node.gid) == (0o755, 1, 2)


def test_what_takes_no_less_room_stays_as_it_is(tmp_path: Path) -> None:
    tree = Tree()
    noise, words = Node(content=os.urandom(100_000)), Node(content=b"word " * 20000)
    tree.put("noise", noise)
    tree.put("small", Node(content=b"small" * 400))
    tree.put("link", Node("symlink", 0o777, target="noise"))
    tree.put("words", words)
    tree.put("same", words)
    found = compressed_tree(tree, tmp_path / "compressed")
    assert found.get("noise") is noise
    assert found.get("small") is tree.get("small")
    assert found.get("link") is tree.get("link")
    same = found.get("same")
    assert same is found.get("words")
    assert same is not None
    # What was not compressed after all has left nothing in its way.
    assert plain(same.read()) == b"word " * 20000
