"""What software is in an image, by what it lists itself."""

from __future__ import annotations

from moby.machine.inventory import Software, software
from moby.machine.tree import Node, Tree


def tree(**files: str) -> Tree:
    found = Tree()
    for path, text in files.items():
        found.put(path.replace("__", "/").replace("_dot_", "."), Node(content=text.encode()))
    return found


def test_packages_of_debian_in_an_image_with_and_without_dpkg() -> None:
    listed = (
        "Package: b\nStatus: install ok installed\nVersion: 1:2+x\nArchitecture: amd64\nMaintainer: M <m@x>\n"
        "Description: d\n Version: no\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    found = software(
        tree(**{
            "var__lib__dpkg__status": listed, "var__lib__dpkg__status_dot_d__a": "Package: a\nVersion: 3\nArchitecture: all\n",
            "etc__os-release": 'NAME="x"\nID="ubuntu"\n',
        })
    )  # fmt: skip
    assert found == [
        Software("a", "3", "all", distribution="ubuntu"),
        Software("b", "1:2+x", "amd64", distribution="ubuntu", supplier="M <m@x>"),
    ]
    assert found[1].purl == "pkg:deb/ubuntu/b@1%3A2%2Bx?arch=amd64"


def test_packages_of_alpine() -> None:
    [found] = software(tree(lib__apk__db__installed="C:x\nP:musl\nV:1.2-r0\nA:x86_64\nL:MIT\n\n"))
    assert found == Software("musl", "1.2-r0", "x86_64", "apk", "alpine", licence="MIT")


def test_an_image_that_says_nothing_and_one_that_says_nonsense() -> None:
    assert software(Tree()) == []
    assert (
        software(tree(var__lib__dpkg__status="\x00\xff nonsense\n:\n\n\n", lib__apk__db__installed="x\n"))
        == []
    )
