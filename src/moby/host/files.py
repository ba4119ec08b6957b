"""This file is about files that must not be lost or torn, and locks that end with their process."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from moby.core.errors import Conflict, Forbidden, InvalidParameter, MobyError, NotFound, System, Unavailable

_TREE_TRIES = 100
_SYNC_FILE_RANGE_WRITE = 2

_serial = itertools.count()

_CLASSES: dict[int, type[MobyError]] = {
    errno.ENOENT: NotFound,
    errno.EACCES: Forbidden,
    errno.EPERM: Forbidden,
    errno.EEXIST: Conflict,
    errno.EBUSY: Conflict,
    errno.ENOTEMPTY: Conflict,
    errno.EINVAL: InvalidParameter,
    errno.ENAMETOOLONG: InvalidParameter,
    errno.EAGAIN: Unavailable,
    errno.EMFILE: Unavailable,
    errno.ENFILE: Unavailable,
}


def translated(error: OSError, what: str = "") -> MobyError:
    """The class for an errno; `what` was being tried."""
    words = error.strerror or str(error)
    path = str(error.filename or "")
    if path:
        # One word for a file, or for the directory that it is in, is enough.
        named = {path, *map(str, Path(path).parents)} & set(what.split())
        path = "" if named else f" {path}"
    return _CLASSES.get(error.errno or 0, System)(f"{what}{path}: {words.lower()}".lstrip(": "))


@contextmanager
def translation(what: str) -> Iterator[None]:
    """Inside this block OSError leaves as ours."""
    try:
        yield
    except OSError as error:
        raise translated(error, what) from error


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file whole: after a crash it has its old content or its new one. Synced on return.

    Raises OSError; the old content then stays. Of writers at the same time one wins.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_serial)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(descriptor, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(path.parent)


def make_mount_source(path: str, owner: tuple[int, int] = (0, 0)) -> None:
    """A directory for a bind mount whose source is missing; whatever is there already is what is wanted.

    Raises as `translation` does, in dockerd's words.
    """
    with (
        translation(f"error while creating mount source path '{path}'"),
        contextlib.suppress(FileExistsError),
    ):
        missing = [one for one in (Path(path), *Path(path).parents) if not one.exists()]
        os.makedirs(path, 0o755, exist_ok=True)
        for one in missing:
            os.chown(one, *owner)


def sync_directory(path: Path) -> None:
    """Put a directory's entries on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Put all of the file system that a directory is on on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def begin_writing(file: int, offset: int, size: int) -> None:
    """Have the kernel begin to put a part of a file on disk, without waiting (sync_file_range(2)).

    Where that cannot be it is left to who waits for all of it.
    """
    parts = ctypes.c_int64(offset), ctypes.c_int64(size)
    ctypes.CDLL(None).sync_file_range(file, *parts, _SYNC_FILE_RANGE_WRITE)


def boot_id() -> str:
    """What is another one each time that the machine starts."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


async def remove_tree(path: Path) -> None:
    """Remove a directory with all in it; no error if it is not there. Raises System."""
    # Files are used before there is an event loop, and asyncio takes a third of the time until then.
    from moby.host.threads import blocking

    try:
        await blocking(_remove_tree, path)
    except OSError as error:
        raise System(f"unable to remove filesystem: {error}") from error


def _remove_tree(path: Path) -> None:
    # Somebody may be removing or writing in it as well: what has gone, or has come, is no reason to leave
    # the others. A writer that never ends is one.
    for tries_left in reversed(range(_TREE_TRIES)):
        if not path.is_symlink() and not path.exists():
            return
        try:
            shutil.rmtree(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY) or not tries_left:
                raise


class LockFile:
    """A lock on a path that ends with its holder, however that ends; `what` is locked, for people."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._descriptor = -1

    def acquire(self) -> None:
        """Raises Conflict, naming who holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise Conflict(
                f"{self._what} is in use by another daemon (process {holder or 'unknown'})"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back; no error if it is not held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
