"""This file is about an image's file system as a part of a machine: with what every system needs."""

from __future__ import annotations

from moby.machine.cache import Image, ImageCache
from moby.machine.layers import apply_layer
from moby.machine.tree import Node, Tree

_DROPPED = (".dockerenv", "dev/console", "dev/pts", "dev/shm")
_HOSTS = b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_DIRECTORIES = ("dev", "etc", "proc", "sys")
RESOLV_CONF = "/run/resolvconf/resolv.conf"


def image_tree(cache: ImageCache, image: Image) -> Tree:
    """The image's layers, one upon the other. Raises MobyError."""
    tree = Tree()
    for layer in cache.plain_layers(image):
        apply_layer(tree, layer, image.name)
    return tree


def complete(tree: Tree, *, resolv_link: bool = False) -> Tree:
    """Add what is missing in a root: mount points, `/etc/hosts`, `/etc/resolv.conf`, `/etc/mtab`.

    With `resolv_link` the name servers are what is found out at run time.
    """
    for path in _DROPPED:
        tree.remove(path)
    for path in _DIRECTORIES:
        if tree.lookup(path) is None:
            tree.make_directories(path)
    for path in ("dev/pts", "dev/shm"):
        tree.make_directories(path)
    if tree.lookup("etc/hosts") is None:
        tree.put("etc/hosts", Node(content=_HOSTS))
    if tree.get("etc/mtab") is None:
        tree.put("etc/mtab", Node("symlink", 0o777, target="/proc/mounts"))
    if resolv_link:
        tree.put("etc/resolv.conf", Node("symlink", 0o777, target=RESOLV_CONF))
    elif tree.get("etc/resolv.conf") is None:
        tree.put("etc/resolv.conf", Node())
    return tree
