"""Filling a new volume from an image: everything as it was, and nowhere else."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from moby.core.errors import System
from moby.volumes import copying
from moby.volumes.copying import copy_up, has_directory

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A root file system with something at /data."""
    path = tmp_path / "image" / "data"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume."""
    path = tmp_path / "volume"
    path.mkdir()
    return path


async def fill(image: Path, volume: Path, path: str = "/data") -> list[str]:
    """Copies; what is in the volume then, in order."""
    await copy_up(image.parent, path, volume)
    return sorted(str(found.relative_to(volume)) for found in volume.rglob("*"))


async def test_a_tree_is_copied_with_modes_and_times(image: Path, volume: Path) -> None:
    (image / "below" / "deep").mkdir(parents=True)
    (image / "below" / "deep" / "file").write_bytes(b"x" * 3_000_000)
    (image / "below" / "link").symlink_to("/etc/passwd")
    (image / "below" / "deep").chmod(0o1700)
    (image / "empty").touch(0o640)
    image.chmod(0o2750)
    os.utime(image / "empty", (5, 7))
    os.utime(image / "below", (11, 13))
    os.utime(image, (17, 19))
    assert await fill(image, volume) == ["below", "below/deep", "below/deep/file", "below/link", "empty"]
    assert (volume / "below" / "deep" / "file").read_bytes() == b"x" * 3_000_000
    assert os.readlink(volume / "below" / "link") == "/etc/passwd"
    assert stat.S_IMODE((volume / "below" / "deep").stat().st_mode) == 0o1700
    assert stat.S_IMODE((volume / "empty").stat().st_mode) == 0o640
    assert stat.S_IMODE(volume.stat().st_mode) == 0o2750
    assert [int((volume / name).stat().st_mtime) for name in ("empty", "below", ".")] == [7, 13, 19]


@root_only
async def test_owners_devices_and_set_uid_are_kept(image: Path, volume: Path) -> None:
    (image / "tool").write_text("x")
    os.chown(image / "tool", 12, 34)
    (image / "tool").chmod(0o4755)
    os.symlink("nowhere", image / "link")
    os.lchown(image / "link", 56, 78)
    os.mkfifo(image / "fifo", 0o622)
    (image / "fifo").chmod(0o622)
    os.mknod(image / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chown(image, 90, 91)
    await fill(image, volume)
    tool, link = (volume / "tool").stat(), (volume / "link").lstat()
    assert (tool.st_uid, tool.st_gid, stat.S_IMODE(tool.st_mode)) == (12, 34, 0o4755)
    assert (link.st_uid, link.st_gid) == (56, 78)
    assert stat.S_ISFIFO((volume / "fifo").stat().st_mode)
    assert stat.S_IMODE((volume / "fifo").stat().st_mode) == 0o622
    assert (volume / "null").stat().st_rdev == os.makedev(1, 3)
    assert (volume.stat().st_uid, volume.stat().st_gid) == (90, 91)


async def test_names_of_one_file_stay_names_of_one_file(image: Path, volume: Path) -> None:
    (image / "a").mkdir()
    (image / "b").mkdir()
    (image / "a" / "one").write_text("same")
    os.link(image / "a" / "one", image / "b" / "two")
    os.link(image / "a" / "one", image / "three")
    await fill(image, volume)
    found = {(volume / name).stat().st_ino for name in ("a/one", "b/two", "three")}
    assert len(found) == 1
    assert (volume / "three").stat().st_nlink == 3


async def test_holes_stay_holes(image: Path, volume: Path) -> None:
    with (image / "sparse").open("wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
        file.truncate(128 << 20)
    await fill(image, volume)
    found = (volume / "sparse").stat()
    assert found.st_size == 128 << 20
    assert found.st_blocks * 512 < 1 << 20
    with (volume / "sparse").open("rb") as file:
        file.seek(64 << 20)
        assert file.read(4) == b"end\0"


async def test_extended_attributes_are_kept(image: Path, volume: Path) -> None:
    (image / "file").touch()
    try:
        os.setxattr(image / "file", "user.note", b"kept")
    except OSError:
        pytest.skip("no such attributes here")
    await fill(image, volume)
    assert os.getxattr(volume / "file", "user.note") == b"kept"


async def test_a_volume_with_something_in_it_is_left_as_it_is(image: Path, volume: Path) -> None:
    (image / "file").touch()
    (volume / "own").touch()
    assert await fill(image, volume) == ["own"]


@pytest.mark.parametrize("path", ["/nothing", "/data/file", "/data/file/below"])
async def test_no_such_directory_is_nothing_to_copy(image: Path, volume: Path, path: str) -> None:
    (image / "file").touch()
    assert await has_directory(image.parent, "/data")
    assert not await has_directory(image.parent, path)
    assert await fill(image, volume, path) == []


async def test_links_of_the_image_lead_nowhere_outside(image: Path, volume: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").touch()
    (image / "file").touch()
    (image.parent / "out").symlink_to("../../../../../../../.." + str(tmp_path / "secret"))
    (image.parent / "inside").symlink_to("/data")
    assert await fill(image, volume, "/out") == []
    assert await fill(image, volume, "/inside") == ["file"]


async def test_sockets_are_left_out(image: Path, volume: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(image / "s"))
        (image / "file").touch()
        assert await fill(image, volume) == ["file"]


async def test_what_fails_half_way_leaves_the_volume_empty(
    image: Path, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (image / "a").mkdir()
    (image / "a" / "file").touch()
    (image / "z").touch()
    seen = []

    def full(*_: object) -> None:
        seen.append(1)
        if len(seen) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(copying, "_copy_data", full)
    with pytest.raises(System, match=r"failed to populate volume: .*No space left on device"):
        await copy_up(image.parent, "/data", volume)
    assert list(volume.iterdir()) == []
