"""Two trees, and what has to change in one to make the other."""

from __future__ import annotations

from moby.machine.differences import Change, as_text, differences
from moby.machine.tree import Node, Tree

STATUS = "Package: tool\nStatus: install ok installed\nVersion: {}\nArchitecture: amd64\n"


def tree(version: str) -> Tree:
    found = Tree()
    found.put("same", Node(content=b"same"))
    found.put("var/lib/dpkg/status", Node(content=STATUS.format(version).encode()))
    return found


def test_the_same_is_the_same() -> None:
    assert not differences(tree("1"), tree("1")).changes


def test_every_kind_of_change_is_named() -> None:
    one, other = tree("1"), tree("2")
    one.put("gone", Node())
    other.put("new", Node())
    one.put("content", Node(content=b"aaa"))
    other.put("content", Node(content=b"bbb", mode=0o600, uid=5))
    one.put("kind", Node())
    other.put("kind", Node("symlink", target="x"))
    one.put("link", Node("symlink", target="x"))
    other.put("link", Node("symlink", target="y"))
    one.put("longer", Node(content=b"a"))
    other.put("longer", Node(content=b"ab", attributes={"user.x": b"1"}))
    found = differences(one, other)
    assert found.changes == (
        Change("content", "changed", ("mode 0644 -> 0600", "owner 0:0 -> 5:0", "content")),
        Change("gone", "removed"),
        Change("kind", "changed", ("file -> symlink",)),
        Change("link", "changed", ("target x -> y",)),
        Change("longer", "changed", ("attributes", "size 1 -> 2")),
        Change("new", "added"),
        Change("var/lib/dpkg/status", "changed", ("content",)),
    )
    text = as_text(found)
    assert text.startswith("~ /content: mode 0644 -> 0600, owner 0:0 -> 5:0, content\n- /gone\n")
    assert text.endswith("package tool: 1 -> 2")
