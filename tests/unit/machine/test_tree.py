"""Trees: links are followed inside them, nothing leads out."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.machine.tree import Node, Tree
from tests.unit.machine.made import shown


def file(text: str) -> Node:
    return Node(content=text.encode())


def test_links_on_the_way_are_followed_inside() -> None:
    tree = Tree()
    tree.make_directories("usr/lib")
    tree.put("lib", Node("symlink", target="usr/lib"))
    tree.put("abs", Node("symlink", target="/usr"))
    tree.put("up", Node("symlink", target="../../usr/lib"))
    for path in ("lib/a", "abs/lib/b", "up/c"):
        tree.put(path, file(path))
    assert [path for path in shown(tree) if path.startswith("usr/lib/")] == [
        "usr/lib/a",
        "usr/lib/b",
        "usr/lib/c",
    ]
    found = tree.lookup("lib/a")
    assert found is not None
    assert found.read() == b"lib/a"


def test_a_loop_of_links_is_an_error() -> None:
    tree = Tree()
    tree.put("a", Node("symlink", target="b"))
    tree.put("b", Node("symlink", target="a"))
    with pytest.raises(InvalidParameter, match="too many symbolic links"):
        tree.put("a/x", file(""))


def test_a_file_is_no_directory() -> None:
    tree = Tree()
    tree.put("a", file(""))
    with pytest.raises(InvalidParameter, match="/a is no directory"):
        tree.put("a/b", file(""))


def test_a_directory_keeps_its_content_and_gives_it_up_to_a_file() -> None:
    tree = Tree()
    tree.put("a/b", file("x"))
    tree.put("a", Node("directory", 0o700))
    assert shown(tree) == {"a": "directory", "a/b": "x"}
    tree.put("a", file("y"))
    assert shown(tree) == {"a": "y"}


def test_a_tree_is_put_into_another() -> None:
    tree, other = Tree(), Tree()
    tree.make_directories("usr/bin")
    tree.put("bin", Node("symlink", target="usr/bin"))
    other.put("bin/sh", file("sh"))
    tree.graft(other)
    tree.graft(other, "containers/a")
    assert shown(tree) == {
        "bin": "usr/bin", "containers": "directory", "containers/a": "directory", "containers/a/bin": "directory",
        "containers/a/bin/sh": "sh", "usr": "directory", "usr/bin": "directory", "usr/bin/sh": "sh",
    }  # fmt: skip


def test_a_file_does_not_silently_replace_a_full_directory_of_another_image() -> None:
    tree, other = Tree(), Tree()
    tree.put("a/b", file(""))
    other.put("a", Node(origin="moby/x"))
    with pytest.raises(InvalidParameter, match="/a is a directory in one image and none in moby/x"):
        tree.graft(other)


def test_order_is_that_of_directories() -> None:
    tree = Tree()
    for path in ("b", "a.b", "a/c", "a-b"):
        tree.put(path, file(""))
    assert [path for path, _node in tree.sorted()] == ["a", "a/c", "a-b", "a.b", "b"]
