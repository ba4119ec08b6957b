"""Files that several containers have are there once."""

from __future__ import annotations

from moby.machine.equal_files import link_equal
from moby.machine.tree import Node, Tree

LARGE, OTHER = b"busybox " * 1000, b"toolbox " * 1000


def same(tree: Tree, one: str, other: str) -> bool:
    return tree.get(one) is tree.get(other)


def test_equal_files_of_containers_become_one() -> None:
    tree = Tree()
    tree.put("bin/busybox", Node(mode=0o755, content=LARGE))
    for name in ("a/rootfs", "b/lower", "c/lower"):
        tree.put(f"containers/{name}/bin/busybox", Node(mode=0o755, content=bytes(LARGE)))
        tree.put(f"containers/{name}/etc/small", Node(content=b"small"))
    tree.put("containers/c/lower/bin/other", Node(mode=0o755, content=OTHER))
    tree.put("containers/c/lower/bin/mine", Node(mode=0o755, uid=5, content=LARGE))
    tree.put("containers/c/lower/bin/cap", Node(mode=0o755, content=LARGE, attributes={"user.a": b"b"}))
    link_equal(tree, ["containers/a/rootfs", "containers/b/lower", "containers/c/lower"])
    one = "containers/a/rootfs/bin/busybox"
    assert same(tree, one, "containers/b/lower/bin/busybox")
    assert same(tree, one, "containers/c/lower/bin/busybox")
    for path in ("bin/busybox", *(f"containers/c/lower/bin/{name}" for name in ("other", "mine", "cap"))):
        assert not same(tree, one, path), path
    assert not same(tree, "containers/a/rootfs/etc/small", "containers/b/lower/etc/small")
    other = tree.get("containers/c/lower/bin/other")
    assert other is not None
    assert other.read() == OTHER


def test_links_within_an_image_stay_links() -> None:
    tree = Tree()
    for name in ("a", "b"):
        node = Node(mode=0o755, content=bytes(LARGE))
        tree.put(f"{name}/one", node)
        tree.put(f"{name}/two", node)
    link_equal(tree, ["a", "b"])
    assert len({id(node) for _path, node in tree.sorted() if node.kind == "file"}) == 1
