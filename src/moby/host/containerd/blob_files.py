"""This file is about blobs as files where a containerd of our own keeps its content.

To send a blob costs several times what it costs to write it: it is copied through a stream, and hashed by a
slower hash. So it is written and hashed here and linked to its place, and containerd is asked to take it in,
as it does with every blob that another namespace has already. What is unfinished lies beside its content:
without a name, gone with its writer, or under one, for somebody to go on with.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import ParamSpec

from moby.core.errors import NotFound, Unavailable
from moby.host.files import begin_writing, translation
from moby.host.pieces import Pieces
from moby.host.threads import Threads

P = ParamSpec("P")

_CHUNK = 1 << 20
# Less is sent: it takes no longer, and needs no file of its own before it is complete.
_WORTH_IT = 1 << 18
# So much is written before the kernel is told to have it on disk.
_BEGUN_AT = 8 << 20
_KEPT_S = 24 * 3600
_MODE = 0o444
_THREADS = Threads("content", 16)


class BlobFiles:
    """Where containerd, with its files below `root`, has its blobs, and we have unfinished ones."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "io.containerd.content.v1.content/blobs/sha256"
        self._incoming = root / "incoming"

    def takes(self, size: int, digest: str) -> bool:
        """Is a blob to be written as a file? `size` and `digest` as far as they are known."""
        return (not size or size > _WORTH_IT) and (not digest or digest.startswith("sha256:"))

    def blob(self, partial: str = "") -> BlobFile:
        """A blob to write, from its beginning or, under a name, from where it was left."""
        name = partial.replace("/", "_")
        return BlobFile(self._blobs, self._incoming, self._incoming / name if name else None)

    async def read(self, digest: str, offset: int) -> AsyncIterator[bytes]:
        """A blob that containerd has, in chunks. Raises NotFound if it is no file here."""
        if not digest.startswith("sha256:"):
            raise NotFound(f"content {digest}: not found")
        with translation(f"content {digest}"):
            file = os.open(self._blobs / digest.removeprefix("sha256:"), os.O_RDONLY | os.O_CLOEXEC)
            try:
                while data := await _THREADS.finish(os.pread, file, _CHUNK, offset):
                    offset += len(data)
                    yield data
            finally:
                os.close(file)

    async def forget(self, partial: str = "", *, but: frozenset[str] = frozenset()) -> None:
        """Forget one unfinished blob, or all."""
        await _THREADS.finish(self._forget, partial, but)

    def _forget(self, partial: str, but: frozenset[str]) -> None:
        kept = {name.replace("/", "_") for name in but}
        with contextlib.suppress(FileNotFoundError):
            for name in [partial.replace("/", "_")] if partial else os.listdir(self._incoming):
                if name not in kept:
                    (self._incoming / name).unlink(missing_ok=True)


class BlobFile:
    """One blob that is being written.

    Life: `open`, `write` in order, `finish`, `place` (again if it was lost before containerd took it in),
    `done`; `close` in any case, after which no thread works on it, and what has a name stays unless it is
    `done`. While a piece is being written the next one can be fetched: `write` waits for the one before.
    Raises what `translation` makes of OSError.
    """

    def __init__(self, blobs: Path, incoming: Path, partial: Path | None) -> None:
        self._blobs = blobs
        self._incoming = incoming
        self._partial = partial
        self._file = -1
        self._hash = hashlib.sha256()
        self._pieces = Pieces(_THREADS, self._write)
        self._placed = False
        self._written = self._begun = 0
        self.size = 0

    async def open(self) -> None:
        """Begin, or go on. Raises Unavailable if somebody else writes it."""
        await self._run(self._open)

    async def write(self, data: bytes) -> None:
        """The next piece; `size` counts it."""
        self.size += len(data)
        with translation("cannot write content"):
            await self._pieces.add(data)

    async def restart(self) -> None:
        """From the beginning after all."""
        await self._run(self._empty)

    async def finish(self) -> str:
        """All of it is on disk; its digest."""
        await self._run(self._sync)
        return f"sha256:{self._hash.hexdigest()}"

    async def place(self, digest: str) -> None:
        """Link it to where containerd looks for it."""
        await self._run(self._place, digest)

    async def done(self) -> None:
        """Containerd has it, or nobody shall go on with it."""
        if self._partial is not None:
            await self._run(self._partial.unlink, True)

    async def close(self) -> None:
        """Returns when no thread works on it any more."""
        try:
            if self._partial is not None and self._file >= 0:
                with contextlib.suppress(OSError):
                    await self._pieces.flush()
        finally:
            try:
                await self._pieces.close()
            finally:
                file, self._file = self._file, -1
                if file >= 0:
                    os.close(file)

    async def _run(self, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        with translation("cannot write content"):
            await self._pieces.run(function, *args, **kwargs)

    def _open(self) -> None:
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        if self._partial is None:
            try:
                self._file = self._nameless()
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
                    raise
            else:
                return
            # Not every file system has files without names.
            self._partial = self._incoming / f"write-{os.urandom(8).hex()}"
        self._forget_old()
        self._file = self._locked(self._partial)
        while data := os.read(self._file, _CHUNK):
            self._hash.update(data)
            self.size += len(data)
        self._written = self._begun = self.size

    def _nameless(self) -> int:
        return os.open(self._incoming, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE)

    def _locked(self, partial: Path) -> int:
        while True:
            file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.exists(partial) and os.path.samestat(os.fstat(file), os.stat(partial)):
                    return file
            except BlockingIOError as error:
                os.close(file)
                raise Unavailable(f"{partial.name} is being written by somebody else") from error
            os.close(file)  # whoever had it before is done with it

    def _forget_old(self) -> None:
        for entry in os.scandir(self._incoming):
            with contextlib.suppress(FileNotFoundError):
                if entry.stat().st_mtime < time.time() - _KEPT_S:
                    os.unlink(entry)

    def _write(self, pieces: Sequence[bytes]) -> None:
        for data in pieces:
            self._hash.update(data)
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
            self._written += len(data)
        if (size := self._written - self._begun) >= _BEGUN_AT:
            begin_writing(self._file, self._begun, size)  # all that is left for the end is waited for
            self._begun = self._written

    def _empty(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._hash, self.size = hashlib.sha256(), 0
        self._written = self._begun = 0

    def _sync(self) -> None:
        os.fchmod(self._file, _MODE)
        os.fsync(self._file)

    def _copy(self) -> None:
        left, copy = self._file, self._nameless()
        self._file = copy
        try:
            position = 0
            while copied := os.sendfile(copy, left, position, self.size):
                position += copied
        finally:
            os.close(left)
        self._sync()

    def _place(self, digest: str) -> None:
        self._blobs.mkdir(parents=True, exist_ok=True)
        if self._partial is None and self._placed:
            self._copy()  # what has lost its last name gets none again
        self._placed = True
        place = os.open(self._blobs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(FileExistsError):
                # Only with a directory's descriptor Python follows the link.
                os.link(f"/proc/self/fd/{self._file}", digest.removeprefix("sha256:"), dst_dir_fd=place)
            os.fsync(place)
        finally:
            os.close(place)
