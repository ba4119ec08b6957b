"""Layers as upper directories: what is in them, and what is hostile touches nothing outside."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moby.core.errors import InvalidParameter, MobyError
from moby.host.archives import LayerTree, MemberReader

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="devices and trusted attributes are root's")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """An empty tree beside something that must not be touched."""
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("untouched")
    before = (tmp_path / "outside").stat()
    yield tmp_path / "root"
    assert (tmp_path / "outside/file").read_text() == "untouched"
    after = (tmp_path / "outside").stat()
    assert (before.st_mode, before.st_mtime_ns, before.st_uid) == (
        after.st_mode,
        after.st_mtime_ns,
        after.st_uid,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "root"]
    assert os.listdir(tmp_path / "outside") == ["file"]


def entry(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.uid, info.gid, info.mtime = len(content), os.getuid(), os.getgid(), 1_000_000
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def directory(name: str, mode: int = 0o755, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.DIRTYPE, mode=mode, **fields)


def soft(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hard(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def unpack(
    root: Path, *entries: tuple[tarfile.TarInfo, bytes], lowest: bool = False, step: int = 1000
) -> dict[int, str]:
    """Unpack; the implied directories."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    descriptor = os.open(root, os.O_RDONLY)
    tree = LayerTree(descriptor, lowest=lowest)
    os.close(descriptor)
    before = set(os.listdir("/proc/self/fd"))
    try:
        reader = MemberReader(tree)
        for begin in range(0, len(data.getvalue()), step):
            reader.feed(data.getvalue()[begin : begin + step])
        reader.finish()
        tree.finish()
        return tree.implied
    finally:
        tree.close()
        assert not set(os.listdir("/proc/self/fd")) - before


def test_files_are_as_they_are_described(root: Path) -> None:
    content = os.urandom(5000)
    unpack(
        root,
        directory("d", 0o1777, mtime=5),
        entry("d/f", content, mode=0o640, mtime=7),
        entry("d/s", b"x", mode=0o4755),
        soft("d/l", "/etc/passwd"),
        hard("d/h", "d/f"),
        entry("p", type=tarfile.FIFOTYPE),
    )  # fmt: skip
    assert (root / "d/f").read_bytes() == content
    found = (root / "d").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o1777, 5)
    assert (root / "d/f").stat().st_ino == (root / "d/h").stat().st_ino
    assert stat.S_IMODE((root / "d/s").stat().st_mode) == 0o4755
    assert os.readlink(root / "d/l") == "/etc/passwd"
    assert (root / "d/l").lstat().st_mtime == 1_000_000
    assert stat.S_ISFIFO((root / "p").stat().st_mode)


@root_only
def test_owners_attributes_and_devices(root: Path) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    program, _ = entry("ping", b"x", mode=0o4755, uid=7, gid=8)
    program.pax_headers = {
        "SCHILY.xattr.security.capability": capability.decode(errors="surrogateescape"),
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.user.overlay.metacopy": "y",
    }
    inner, _ = directory("dir")
    inner.pax_headers = {"SCHILY.xattr.trusted.note": "n"}
    unpack(
        root,
        (program, b"x"),
        (inner, b""),
        entry("dev", type=tarfile.BLKTYPE, devmajor=7, devminor=3, mode=0o660, gid=6),
    )
    found = (root / "ping").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (7, 8, 0o4755)
    assert os.getxattr(root / "ping", "security.capability") == capability
    assert os.listxattr(root / "ping") == ["security.capability"]
    assert os.getxattr(root / "dir", "trusted.note") == b"n"
    device = (root / "dev").stat()
    assert (stat.S_ISBLK(device.st_mode), device.st_rdev, device.st_gid) == (True, os.makedev(7, 3), 6)


@root_only
def test_owners_in_directories_that_pass_their_group_on(root: Path) -> None:
    mixed = [
        entry(f"d/{number}-{user}-{group}", content, uid=user, gid=group)
        for number in range(2)
        for user, group, content in ((0, 0, b"a"), (0, 50, b"b"), (7, 50, b"c"))
    ]
    later = [(entry(f"{info.name}-later", data, uid=info.uid, gid=info.gid)) for info, data in mixed]
    unpack(
        root,
        directory("d", uid=0, gid=0),
        *mixed,
        directory("d", 0o2755, uid=0, gid=50),
        *later,
        directory("d", uid=0, gid=50),
        entry("d/last", uid=0, gid=0),
    )
    for info, _ in (*mixed, *later, entry("d/last", uid=0, gid=0)):
        found = (root / info.name).stat()
        assert (found.st_uid, found.st_gid) == (info.uid, info.gid)


@root_only
def test_whiteouts_become_those_of_overlayfs(root: Path) -> None:
    unpack(
        root,
        directory("d"), entry("d/.wh..wh..opq"), entry("d/.wh.gone"), entry("d/new", b"1"),
        entry(".wh.away"), entry(".wh..wh.plnk"), entry("implied/.wh.x"),
    )  # fmt: skip
    assert os.getxattr(root / "d", "trusted.overlay.opaque") == b"y"
    for name in ("d/gone", "away", "implied/x"):
        found = (root / name).lstat()
        assert (stat.S_ISCHR(found.st_mode), found.st_rdev) == (True, 0)
    assert sorted(os.listdir(root)) == ["away", "d", "implied"]


@root_only
def test_a_whiteout_hides_what_is_below_and_nothing_beside_it(root: Path) -> None:
    unpack(
        root,
        entry("a", b"kept"), entry(".wh.a"),
        directory("b"), entry("b/f", b"kept"), entry(".wh.b"),
        entry(".wh.c"), directory("c"), entry("c/f"),
        entry(".wh.e"), entry("e", b"new"),
    )  # fmt: skip
    assert (root / "a").read_bytes() == (root / "b/f").read_bytes() == b"kept"
    for name in ("b", "c"):
        assert os.getxattr(root / name, "trusted.overlay.opaque") == b"y"
    assert (root / "e").read_bytes() == b"new"


def test_in_the_lowest_layer_there_is_nothing_to_hide(root: Path) -> None:
    unpack(root, entry("a", b"kept"), entry(".wh.a"), entry("d/.wh..wh..opq"), entry(".wh.b"), lowest=True)
    assert sorted(os.listdir(root)) == ["a", "d"]
    assert os.listdir(root / "d") == os.listxattr(root / "d") == []


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh..."])
def test_whiteouts_of_nothing_are_refused(root: Path, name: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid whiteout name"):
        unpack(root, entry(name))


def test_what_comes_twice_replaces_what_came_first(root: Path) -> None:
    unpack(
        root,
        entry("a", b"1"), entry("a", b"2"),
        directory("b"), entry("b/x", b"1"), entry("b", b"file"),
        entry("c", b"file"), directory("c", 0o700), entry("c/x"),
        soft("d", "a"), entry("d", b"no link"),
        directory("e", 0o700), entry("e/x"), directory("e", 0o711),
        directory("f/g"), entry("f/g/x"), soft("f", "c"), entry("f/y"),
        entry("h", b"1"), soft("h", "a"), hard("a2", "a"), hard("a2", "c/x"),
    )  # fmt: skip
    assert (root / "a").read_bytes() == b"2"
    assert (root / "b").read_bytes() == b"file"
    assert sorted(os.listdir(root / "c")) == ["x", "y"]
    assert (root / "d").read_bytes() == b"no link"
    assert (os.listdir(root / "e"), stat.S_IMODE((root / "e").stat().st_mode)) == (["x"], 0o711)
    assert os.readlink(root / "h") == "a"
    assert (root / "a2").samefile(root / "c/x")


@pytest.mark.parametrize("name", ["../outside/x", "a/../../outside/x", "..", "/../x", "a/b/../../../x"])
def test_names_that_lead_out_are_refused(root: Path, name: str) -> None:
    with pytest.raises(InvalidParameter, match="is outside of the layer"):
        unpack(root, entry(name, b"x"))
    with pytest.raises(InvalidParameter, match="is outside of the layer"):
        unpack(root, entry("ok"), hard("h", name))


def test_absolute_names_mean_the_tree(root: Path) -> None:
    unpack(
        root, entry("/etc/x", b"1"), hard("/h", "/etc/x"), entry("./././y"), directory("./"), directory("/")
    )
    assert (root / "etc/x").samefile(root / "h")
    assert (root / "y").exists()


@pytest.mark.parametrize(
    "target", ["../outside", "../../../../../{outside}", "{outside}", "/proc/self/cwd/../{outside}"]
)
def test_links_lead_nowhere_outside(root: Path, target: str) -> None:
    target = target.format(outside=root.parent / "outside")
    unpack(
        root,
        soft("l", target), entry("l/new", b"x"), directory("l/sub", 0o777), entry("l/.wh.file"),
        soft("l/deep", target), entry("l/deep/new"), entry("l/file", b"inside"),
    )  # fmt: skip
    assert [path for path in root.rglob("new") if path.is_file()]


@pytest.mark.parametrize("target", ["l/file", "l/../l/file"])
def test_hard_links_lead_nowhere_outside(root: Path, target: str) -> None:
    with pytest.raises((OSError, InvalidParameter)):
        unpack(root, soft("l", str(root.parent / "outside")), hard("h", target))
    assert not (root / "h").exists()


def test_a_link_to_a_link_is_no_way_out(root: Path) -> None:
    outside = str(root.parent / "outside/file")
    unpack(root, soft("l", outside), hard("h", "l"), entry("h", b"x", mode=0o777), entry("l", b"y"))
    assert (root / "l").read_bytes() == b"y"


def test_members_of_described_links_do_not_change_what_they_lead_to(root: Path) -> None:
    """Owner, mode and times are the link's, never those of its target."""
    (root.parent / "outside").chmod(0o755)
    unpack(root, soft("l", str(root.parent / "outside")), directory("l", 0o777), entry("l/x"))
    assert not (root / "l").is_symlink()


def test_links_in_the_way_are_followed_inside_also_to_what_is_missing(root: Path) -> None:
    implied = unpack(
        root,
        directory("run"),
        directory("var"),
        soft("var/run", "/run"),
        soft("lib", "usr/lib"),
        entry("var/run/pid"),
        entry("lib/so"),
    )
    assert (root / "run/pid").exists()
    assert (root / "usr/lib/so").exists()
    assert set(implied.values()) == {"usr", "usr/lib"}


def test_circles_of_links_end(root: Path) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        unpack(root, soft("a", "b"), soft("b", "a"), entry("a/x"))


def test_files_are_no_directories(root: Path) -> None:
    with pytest.raises(NotADirectoryError) as caught:
        unpack(root, entry("a"), entry("a/b"))
    assert caught.value.filename == "a/b"


def test_names_too_long_and_trees_too_deep(root: Path) -> None:
    for name in ("x" * 300, "/".join("d" * 5000)):
        with pytest.raises(OSError, match="name too long"):
            unpack(root, entry(name))


def test_implied_directories_are_told_until_they_are_described(root: Path) -> None:
    assert set(unpack(root, entry("a/b/c/f")).values()) == {"a", "a/b", "a/b/c"}
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o755
    assert set(unpack(root, entry("x/y/f"), directory("x", 0o700)).values()) == {"x/y"}
    assert stat.S_IMODE((root / "x").stat().st_mode) == 0o700


def test_a_disk_is_not_filled_to_its_last_byte(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moby.host.archives.layers._SPARE_BYTES", 1 << 62)
    with pytest.raises(OSError, match="No space left"):
        unpack(root, entry("a", bytes(17 << 20)), step=1 << 20)
    monkeypatch.undo()
    monkeypatch.setattr("moby.host.archives.layers._SPARE_INODES", 1 << 62)
    with pytest.raises(OSError, match="No space left"):
        unpack(root, *[entry(str(number)) for number in range(1001)], step=1 << 20)


def test_many_directories_do_not_keep_many_descriptors_open(root: Path) -> None:
    unpack(root, *[entry(f"d{number}/f", b"x") for number in range(400)], step=1 << 20)
    assert len(os.listdir(root)) == 400


def test_a_sparse_bomb_takes_no_room(root: Path) -> None:
    info, content = entry("bomb", b"end")
    size = 1 << 40
    info.pax_headers = {"GNU.sparse.map": f"{size - 3},3", "GNU.sparse.size": str(size)}
    unpack(root, (info, content))
    found = (root / "bomb").stat()
    assert (found.st_size, found.st_blocks < 64) == (size, True)


STEPS = st.sampled_from(["a", "b", "c", "..", ".", "", ".wh.a", ".wh..wh..opq", "outside", "/", "x" * 250])
NAMES = st.lists(STEPS, min_size=1, max_size=5).map("/".join)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
)
TARGETS = NAMES | st.sampled_from(
    ["../outside", "/../../outside/file", "/", "..", "../outside/file", "a/../../outside"]
)
MEMBERS = st.lists(st.tuples(NAMES, KINDS, TARGETS, st.sampled_from([0o755, 0o4755, 0])), max_size=12)


@root_only
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MEMBERS, st.booleans())
def test_no_archive_touches_what_is_outside(
    root: Path, members: list[tuple[str, bytes, str, int]], lowest: bool
) -> None:
    """`root` looks at the end whether anything beside it has been touched.

    CVE-2025-47290: between looking at a path and using it, something else had come to be there.
    """
    shutil.rmtree(root)
    root.mkdir()
    entries = [entry(name, type=kind, linkname=target, mode=mode) for name, kind, target, mode in members]
    with contextlib.suppress(MobyError, OSError):
        unpack(root, *entries, lowest=lowest)
    outside = root.parent / "outside"
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").stat().st_nlink == 1
