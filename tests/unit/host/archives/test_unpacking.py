"""Archives of trees: what goes in comes out, and what is hostile touches nothing outside."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.host.archives import Packer, PackOptions, UnpackOptions, fed, piped, unpack


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """An empty tree beside something that must not be touched."""
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").write_text("untouched")
    descriptor = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)
    assert (tmp_path / "outside").read_text() == "untouched"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "source") == ["outside", "root"]


def pack(directory: Path, name: str = ".", options: PackOptions = PackOptions()) -> bytes:  # noqa: B008
    """An archive of a directory."""
    target = io.BytesIO()
    packer = Packer(target, options)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        packer.tree(descriptor, name)
    finally:
        os.close(descriptor)
    packer.close()
    return bytes(target.getbuffer())


def archive(*members: tarfile.TarInfo | tuple[str, bytes]) -> io.BytesIO:
    """An archive as somebody might send it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
            else:
                tar.addfile(member)
    target.seek(0)
    return target


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def directory(name: str) -> tarfile.TarInfo:
    """A directory."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info


def test_what_goes_in_comes_out(tmp_path: Path, root: int) -> None:
    source = tmp_path / "source"
    (source / "dir" / "empty").mkdir(parents=True)
    (source / "dir" / "file").write_bytes(b"x" * 100_000)
    (source / "dir" / "file").chmod(0o4750)
    os.utime(source / "dir" / "file", (5, 1_000_000_000))
    os.link(source / "dir" / "file", source / "same")
    (source / "link").symlink_to("../nowhere")
    os.mkfifo(source / "fifo")
    (source / ("long" * 60)).write_text("long")
    (source / "\udce4\udcff").write_text("bytes")
    data = pack(source)
    unpack(io.BytesIO(data), root, "/", UnpackOptions(owner=(os.getuid(), os.getgid())))
    found = tmp_path / "root"
    assert (found / "dir" / "file").read_bytes() == b"x" * 100_000
    status = (found / "dir" / "file").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime, status.st_nlink) == (0o4750, 1_000_000_000, 2)
    assert os.readlink(found / "link") == "../nowhere"
    assert stat.S_ISFIFO((found / "fifo").stat().st_mode)
    assert (found / ("long" * 60)).read_text() == "long"
    assert (found / "\udce4\udcff").read_text() == "bytes"
    assert (found / "dir" / "empty").is_dir()
    # The directory that is unpacked into stays as it is.
    shutil.copystat(source, found)
    assert pack(found) == data


def test_an_upper_directory_becomes_a_layer(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    (upper / "dir").mkdir(parents=True)
    (upper / "dir" / "new").write_text("new")
    if os.getuid() == 0:
        os.mknod(upper / "dir" / "gone", stat.S_IFCHR, 0)
    data = pack(upper, "", PackOptions(layer=True, skip=lambda path: path == "dir/left out"))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
    assert "dir/new" in names
    assert ("dir/.wh.gone" in names) is (os.getuid() == 0)


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/../outside", "./../outside"])
def test_names_that_lead_out_are_refused(root: int, name: str) -> None:
    with pytest.raises(InvalidParameter, match="is outside of"):
        unpack(archive((name, b"gotcha")), root, "/", UnpackOptions())


@pytest.mark.parametrize("target", ["../..", "/", "/..", "../../outside", "/outside"])
def test_links_stay_inside(tmp_path: Path, root: int, target: str) -> None:
    members = (link("dir", target), ("dir/outside", b"inside"))
    try:
        unpack(archive(*members), root, "/", UnpackOptions(owner=(os.getuid(), os.getgid())))
    except OSError:
        return
    assert not (tmp_path / "outside").is_dir()


@pytest.mark.parametrize("target", ["../outside", "/../outside", "dir/../../outside"])
def test_hard_links_to_the_outside_are_refused(root: int, target: str) -> None:
    with pytest.raises((InvalidParameter, OSError)):
        unpack(archive(link("mine", target, tarfile.LNKTYPE)), root, "/", UnpackOptions())


def test_a_file_replaces_a_link_and_not_what_it_means(tmp_path: Path, root: int) -> None:
    (tmp_path / "root" / "file").symlink_to("../outside")
    unpack(archive(("file", b"mine")), root, "/", UnpackOptions(owner=(os.getuid(), os.getgid())))
    assert (tmp_path / "root" / "file").read_bytes() == b"mine"
    assert not (tmp_path / "root" / "file").is_symlink()


def test_directories_and_files_replace_each_other_only_if_they_may(tmp_path: Path, root: int) -> None:
    strict = UnpackOptions(overwrite_directories=False, owner=(os.getuid(), os.getgid()))
    (tmp_path / "root" / "dir").mkdir()
    (tmp_path / "root" / "file").write_text("file")
    with pytest.raises(InvalidParameter, match='cannot overwrite directory "dir" with non-directory'):
        unpack(archive(("dir", b"")), root, "/", strict)
    with pytest.raises(InvalidParameter, match='cannot overwrite non-directory "file" with directory'):
        unpack(archive(directory("file")), root, "/", strict)
    loose = UnpackOptions(owner=(os.getuid(), os.getgid()))
    unpack(archive(("dir", b""), directory("file")), root, "/", loose)
    assert (tmp_path / "root" / "dir").is_file()
    assert (tmp_path / "root" / "file").is_dir()


def test_missing_directories_are_made(tmp_path: Path, root: int) -> None:
    (tmp_path / "root" / "into").mkdir()
    unpack(archive(("a/b/a/b/file", b"deep")), root, "/into", UnpackOptions(owner=(os.getuid(), os.getgid())))
    assert (tmp_path / "root/into/a/b/a/b/file").read_bytes() == b"deep"


@pytest.mark.parametrize("data", [b"no archive at all" * 100, b"\0" * 100, os.urandom(2048)])
def test_garbage_is_refused(root: int, data: bytes) -> None:
    with pytest.raises(InvalidParameter):
        unpack(io.BytesIO(data), root, "/", UnpackOptions())


def test_a_cut_archive_is_refused(root: int) -> None:
    whole = archive(("file", b"x" * 5000)).getvalue()
    with pytest.raises(InvalidParameter, match=r"unexpected EOF|unexpected end"):
        unpack(io.BytesIO(whole[:2000]), root, "/", UnpackOptions(owner=(os.getuid(), os.getgid())))


async def test_pipes_carry_both_ways() -> None:
    got = bytearray()

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in piped(lambda file: [file.write(b"x" * 100_000) for _ in range(30)]):
            yield chunk

    await fed(lambda file: got.extend(file.read()), chunks())
    assert len(got) > 0

    def fail(_: object) -> None:
        raise OSError(5, "no")

    with pytest.raises(OSError, match="no"):
        await fed(fail, chunks())
    with pytest.raises(OSError, match="no"):
        [chunk async for chunk in piped(fail)]


async def test_a_reader_that_goes_ends_the_work() -> None:
    ended = []

    def work(file: io.RawIOBase) -> None:
        try:
            while True:
                file.write(b"x" * 100_000)
        except BrokenPipeError:
            ended.append(True)
            raise

    chunks = piped(work)  # type: ignore[arg-type]
    assert await anext(chunks)
    await chunks.aclose()
    assert ended == [True]
