"""Trees as archives: what other tools read from them is what was there, and it is always the same."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from moby.machine.streams import cpio_stream, tar_entry, tar_stream
from moby.machine.tree import Node, Slice, Tree


def tree(order: int = 1) -> Tree:
    found = Tree()
    ping = Node(
        mode=0o755, uid=7, content=b"ping", attributes={"security.capability": b"\1\xff", "user.a": b"b"}
    )
    entries = [
        ("bin/ping", ping), ("a", ping), ("long/" + "x" * 120, Node(content=b"y")), ("é", Node()),
        ("link", Node("symlink", 0o777, target="bin/ping")), ("dev/null", Node("char", 0o666, device=(1, 3))),
        ("owned", Node("directory", 0o1777, 5, 6)),
    ]  # fmt: skip
    for path, node in entries[::order]:
        found.put(path, node)
    return found


def test_a_tar_archive_holds_everything() -> None:
    data = b"".join(tar_stream(tree(), 86400))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {member.name: member for member in archive}
        first = archive.extractfile("a")
        assert first is not None
        assert first.read() == b"ping"
    assert list(members) == [
        "a",
        "bin",
        "bin/ping",
        "dev",
        "dev/null",
        "link",
        "long",
        "long/" + "x" * 120,
        "owned",
        "é",
    ]
    assert {member.mtime for member in members.values()} == {86400}
    assert members["bin/ping"].islnk()
    assert members["bin/ping"].linkname == "a"
    assert (
        members["a"].pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape")
        == b"\1\xff"
    )
    assert (members["owned"].mode, members["owned"].uid, members["owned"].gid) == (0o1777, 5, 6)
    assert (members["dev/null"].devmajor, members["dev/null"].devminor) == (1, 3)


@pytest.mark.parametrize("stream", [tar_stream, cpio_stream])
def test_archives_depend_on_the_content_alone(stream: object) -> None:
    assert callable(stream)
    assert b"".join(stream(tree())) == b"".join(stream(tree(-1)))


@pytest.mark.skipif(shutil.which("cpio") is None and shutil.which("busybox") is None, reason="no cpio")
def test_a_cpio_archive_is_read_by_cpio(tmp_path: Path) -> None:
    command = ["cpio"] if shutil.which("cpio") else ["busybox", "cpio"]
    data = b"".join(cpio_stream(tree()))
    listed = (
        subprocess.run([*command, "-t"], input=data, capture_output=True, check=True).stdout.decode().split()
    )
    assert {"a", "bin", "dev/null"} <= set(listed)
    subprocess.run(
        [*command, "-id", "a", "bin/ping", "link"], input=data, cwd=tmp_path, capture_output=True, check=True
    )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "bin" / "ping").read_bytes() == b"ping"
    assert (tmp_path / "a").stat().st_ino == (tmp_path / "bin" / "ping").stat().st_ino
    assert (tmp_path / "link").readlink() == Path("bin/ping")


def test_content_on_disk_is_passed_on_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"ab" * (1 << 20))
    found = Tree()
    found.put("big", Node(content=Slice(tmp_path / "x", 1, (2 << 20) - 2)))
    assert max(len(chunk) for chunk in tar_stream(found)) <= 1 << 20
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar_stream(found)))) as archive:
        file = archive.extractfile("big")
        assert file is not None
        assert file.read() == (b"ab" * (1 << 20))[1:-1]


def test_a_file_from_elsewhere_is_an_entry_as_well() -> None:
    data = b"".join([*tar_entry("initrd.img", [b"ab", b"c"], 3, 9), bytes(1024)])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(m.name, m.size, m.mtime) for m in archive] == [("initrd.img", 3, 9)]
