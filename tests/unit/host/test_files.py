"""Files that are not torn, errors in our classes, locks."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from moby.core.errors import Conflict, Forbidden, InvalidParameter, MobyError, NotFound, System
from moby.host import files
from moby.host.files import LockFile, begin_writing, remove_tree, translated, translation, write_atomic


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomic(path, b"old", 0o644)
    write_atomic(path, b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_failed_write_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "x"
    write_atomic(path, b"old")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, step, full)  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="No space"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_of_many_writers_one_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    threads = [threading.Thread(target=write_atomic, args=(path, bytes([n]) * 100_000)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = path.read_bytes()
    assert data == data[:1] * 100_000
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, NotFound),
        (errno.EACCES, Forbidden),
        (errno.EPERM, Forbidden),
        (errno.EEXIST, Conflict),
        (errno.EBUSY, Conflict),
        (errno.EINVAL, InvalidParameter),
        (errno.ENOSPC, System),
        (errno.EIO, System),
    ],
)
def test_an_errno_has_its_class(number: int, kind: type[MobyError]) -> None:
    error = translated(OSError(number, os.strerror(number), "/some/file"), "reading it")
    assert type(error) is kind
    assert error.message == f"reading it /some/file: {os.strerror(number).lower()}"


def test_a_file_is_named_once() -> None:
    missing = OSError(errno.ENOENT, "No such file or directory", "/proc/.new")
    assert (
        translated(missing, "cannot write to /proc").message
        == "cannot write to /proc: no such file or directory"
    )
    assert (
        translated(missing, "cannot read /proc/.new").message
        == "cannot read /proc/.new: no such file or directory"
    )
    assert translated(missing, "cannot mount").message == "cannot mount /proc/.new: no such file or directory"


def test_translation_keeps_the_cause(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="looking") as caught, translation("looking"):
        (tmp_path / "absent").read_bytes()
    assert isinstance(caught.value.__cause__, FileNotFoundError)


async def test_a_tree_is_removed_and_removing_it_again_is_no_error(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/link").symlink_to(tmp_path)
    await remove_tree(tree)
    await remove_tree(tree)
    assert not tree.exists()
    assert tmp_path.exists()


async def test_a_tree_is_removed_while_somebody_writes_in_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    written = threading.Event()

    def write() -> None:
        with contextlib.suppress(FileNotFoundError):
            # Each makes one removal fail at most, and those are fewer than the tries.
            for number in range(90):
                (tree / str(number)).touch()
                written.set()

    writer = threading.Thread(target=write)
    writer.start()
    written.wait()
    await remove_tree(tree)
    writer.join()
    assert not tree.exists()


async def test_a_link_in_the_place_of_a_tree_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "tree").symlink_to(tmp_path / "kept")
    with pytest.raises(System, match="unable to remove filesystem"):
        await remove_tree(tmp_path / "tree")
    assert (tmp_path / "kept").is_dir()


def test_a_lock_has_one_holder_and_says_who(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with LockFile(path, "data root"), pytest.raises(Conflict) as caught:
        LockFile(path, "data root").acquire()
    assert caught.value.message == f"data root is in use by another daemon (process {os.getpid()})"
    with LockFile(path, "data root") as lock:
        lock.release()
        lock.release()


def test_writing_can_begin_before_it_is_waited_for(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(bytes(1 << 20))
        begin_writing(file.fileno(), 0, 1 << 20)
    assert (tmp_path / "file").stat().st_size == 1 << 20
    begin_writing(-1, 0, 1)  # and where it cannot be nothing happens
