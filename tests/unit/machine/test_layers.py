"""Layers one upon the other: whiteouts, hard links, attributes, and archives that lead out."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.machine.layers import apply_layer, apply_nested
from moby.machine.tree import Slice, Tree
from tests.unit.machine.made import Member, layer, member, shown

DIRECTORY, LINK, SYMLINK = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE


def applied(folder: Path, *layers: list[Member]) -> Tree:
    tree = Tree()
    for index, members in enumerate(layers):
        path = folder / f"{index}.tar"
        path.write_bytes(layer(*members))
        apply_layer(tree, path)
    return tree


def test_whiteouts_hide_what_is_below_and_not_what_came_along(tmp_path: Path) -> None:
    lower = [member("a/x", b"1"), member("a/y", b"2"), member("b/z", b"3"), member("c", b"4")]
    upper = [
        member("a/.wh.x"), member("b/new", b"5"), member("b/.wh..wh..opq"), member("c", b"6"), member(".wh.c"),
        member(".wh.nothing"),
    ]  # fmt: skip
    assert shown(applied(tmp_path, lower, upper)) == {
        "a": "directory", "a/y": "2", "b": "directory", "b/new": "5", "c": "6",
    }  # fmt: skip


def test_hard_links_owners_attributes_and_devices(tmp_path: Path) -> None:
    tree = applied(tmp_path, [
        member("bin/ping", b"ping", mode=0o4755, uid=7, gid=8, attributes={"security.capability": b"\1\0\0\2\xff"}),
        member("bin/pong", kind=LINK, link="./bin/ping"),
        member("dev/null", kind=tarfile.CHRTYPE, device=(1, 3), mode=0o666),
        member("pipe", kind=tarfile.FIFOTYPE),
    ])  # fmt: skip
    ping = tree.get("bin/ping")
    assert ping is not None
    assert (ping.mode, ping.uid, ping.gid) == (0o4755, 7, 8)
    assert ping.attributes == {"security.capability": b"\1\0\0\2\xff"}
    assert tree.get("bin/pong") is ping
    null = tree.get("dev/null")
    assert null is not None
    assert (null.kind, null.device) == ("char", (1, 3))


def test_a_link_in_a_lower_layer_is_followed_inside_the_root(tmp_path: Path) -> None:
    lower = [member("out", kind=SYMLINK, link="/../../etc"), member("etc", kind=DIRECTORY)]
    assert shown(applied(tmp_path, lower, [member("out/x", b"in")]))["etc/x"] == "in"


@pytest.mark.parametrize("members", [
    pytest.param([member("../x")], id="out of the root"),
    pytest.param([member("a", kind=LINK, link="b")], id="link to nothing"),
    pytest.param([member("a", kind=LINK, link="../../etc/passwd")], id="link out of the root"),
    pytest.param([member("a"), member("a/b")], id="below a file"),
])  # fmt: skip
def test_bad_layers_are_refused(members: list[Member], tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter):
        applied(tmp_path, members)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no archive" * 100)
    with pytest.raises(InvalidParameter, match="cannot be read"):
        apply_layer(Tree(), tmp_path / "x")


def test_an_archive_in_a_file(tmp_path: Path) -> None:
    inner = layer(member("lib/modules/a.ko", b"module"))
    (tmp_path / "outer").write_bytes(b"x" * 77 + inner)
    tree = Tree()
    apply_nested(tree, Slice(tmp_path / "outer", 77, len(inner)))
    assert shown(tree)["lib/modules/a.ko"] == "module"
