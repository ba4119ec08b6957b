"""This file is about layers that are unpacked and whose files are not on disk yet.

To have them there takes longer than to unpack them, and nobody waits for it, for the blobs that they come
from are there. Each snapshot bears the number of the span in which it was unpacked; when all of a span is on
disk its number is written down. Where the machine lost power before, what bears a higher number is removed
at the next start: it may lack anything. It is unpacked again when it is wanted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from moby.core.errors import MobyError
from moby.core.snapshots import SnapshotInfo, Snapshotter
from moby.host.files import boot_id, sync_file_system, write_atomic
from moby.host.threads import Threads

log = logging.getLogger(__name__)

SPAN = "moby/unpacked-in"
# Writing is left until no layer has come for a while: it takes time from a pull. One that goes on and on is
# not waited for.
PAUSE_S, LONGEST_PAUSE_S = 4.0, 40.0
_THREADS = Threads("lasting", 1)


class _Record(msgspec.Struct):
    """What is written down: since when the machine runs, and the last span that is on disk."""

    boot: str = ""
    span: int = 0


class Lasting:
    """Knows what may be lost when the power is; `file` keeps it.

    Life: `at_start` before anything uses snapshots, then `run`; `labels` for each snapshot whose files are
    written. A daemon that is killed loses nothing, since the kernel does not forget what it has.
    """

    def __init__(self, snapshotter: Snapshotter, file: Path, *, boot: str = "") -> None:
        self._snapshotter = snapshotter
        self._file = file
        self._boot = boot or boot_id()
        self._span = 1
        self._directories: set[Path] = set()
        self._more = asyncio.Event()
        self._is_sure = True

    def labels(self, directory: Path) -> Mapping[str, str]:
        """What a snapshot bears whose files lie at `directory`, all of them written."""
        self._directories.add(directory)
        self._more.set()
        return {SPAN: str(self._span)}

    async def at_start(self) -> None:
        """Remove what the machine may have lost. Failures are logged: the next start meets them again."""
        recorded = self._read()
        self._span = recorded.span + 1
        if recorded.boot == self._boot:
            return
        try:
            found = [info async for info in self._snapshotter.walk() if _span(info)]
        except MobyError:
            log.exception("cannot look for layers that are not on disk")
            self._is_sure = False
            return
        lost = {info.name: info for info in found if _span(info) > recorded.span}
        kept = [name for name in _children_first(lost) if not await self._remove(name)]
        self._span = max([recorded.span, *map(_span, found)]) + 1
        if not kept:
            await _THREADS.finish(self._write, self._span - 1)

    async def run(self) -> None:
        """Have spans on disk, one after the other, for as long as there are any."""
        while True:
            await self._more.wait()
            for _ in range(int(LONGEST_PAUSE_S / PAUSE_S)):
                self._more.clear()
                await asyncio.sleep(PAUSE_S)
                if not self._more.is_set():
                    break
            await self.sync()

    async def sync(self) -> None:
        """All that was labelled so far is on disk, or it is logged that it is not."""
        self._more.clear()
        directories, self._directories = self._directories, set()
        span, self._span = self._span, self._span + 1
        try:
            await _THREADS.finish(self._sync, directories, span)
        except OSError:
            log.exception("layers cannot be written to disk")
            self._directories |= directories

    async def _remove(self, name: str) -> bool:
        try:
            await self._snapshotter.remove(name)
        except MobyError as error:
            extra = {"snapshot": name, "error": error.message}
            log.warning("a layer was not on disk when the machine stopped, and is in use", extra=extra)
            return False
        log.warning("a layer was not on disk when the machine stopped", extra={"snapshot": name})
        return True

    def _read(self) -> _Record:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Record)
        except (OSError, msgspec.MsgspecError):
            return _Record()

    def _sync(self, directories: set[Path], span: int) -> None:
        devices: set[int] = set()
        for directory in directories:
            try:
                device = directory.stat().st_dev
                if device not in devices:
                    sync_file_system(directory)
                    devices.add(device)
            except FileNotFoundError:
                continue  # removed meanwhile
        self._write(span)

    def _write(self, span: int) -> None:
        if self._is_sure:
            write_atomic(self._file, msgspec.json.encode(_Record(self._boot, span)))


def _span(info: SnapshotInfo) -> int:
    text = info.labels.get(SPAN, "") if info.kind == "committed" else ""
    return int(text) if text.isdigit() else 0


def _children_first(found: Mapping[str, SnapshotInfo]) -> list[str]:
    def depth(name: str) -> int:
        count = 0
        while (info := found.get(name)) is not None:
            name, count = info.parent, count + 1
        return count

    return sorted(found, key=depth, reverse=True)
