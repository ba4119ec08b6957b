"""This file is about what several containers have, the same busybox and libraries: a machine has it once.

Nothing ever writes to a container's root itself, but to a layer in memory upon it: so one file can have all
names. Files of init's own are left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from moby.machine.tree import Node, Tree

# In what is smaller there is nothing to win.
_SMALLEST = 4096


def link_equal(tree: Tree, roots: Iterable[str]) -> None:
    """Make equal files below these paths one file. Reads what could be equal; raises OSError."""
    prefixes = tuple(f"{root}/" for root in roots)
    alike: dict[tuple[object, ...], list[tuple[str, Node]]] = {}
    for path, node in tree.sorted():
        if node.kind == "file" and node.size >= _SMALLEST and path.startswith(prefixes):
            shape = (node.size, node.mode, node.uid, node.gid, *sorted(node.attributes.items()))
            alike.setdefault(shape, []).append((path, node))
    for found in alike.values():
        first: dict[bytes, Node] = {}
        known: dict[int, bytes] = {}
        if len({id(node) for _path, node in found}) == 1:
            continue
        for path, node in found:
            if id(node) not in known:
                known[id(node)] = _digest(node)
            tree.put(path, first.setdefault(known[id(node)], node))


def _digest(node: Node) -> bytes:
    whole = hashlib.sha256()
    for chunk in node.chunks():
        whole.update(chunk)
    return whole.digest()
