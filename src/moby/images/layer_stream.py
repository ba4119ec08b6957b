"""This file is about one layer's stream in one process: decompressed, hashed and unpacked in one pass.

Whoever has the pieces calls: a thread of the daemon (`moby.images.extraction`), or a process that is there
for one layer (`moby.images.extractor`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from moby.core.errors import InvalidParameter, MobyError, System
from moby.host.archives import LayerTree, MemberReader
from moby.images.compression import MAGIC, Decoder, decoder, detect
from moby.images.relay import Relay, Spare, turn_of_many

# So much stays in a processor's cache while it is decompressed, hashed and written.
_SLICE = 1 << 15


class Unpacked(msgspec.Struct, frozen=True):
    """What a stream was: its diff ID, or nothing if it was not compressed and so is its own content.

    `implied` are directories that the layer needs and does not describe, paths by inode; `hides` says that
    there is something that hides what lies below.
    """

    diff_id: str
    implied: dict[int, str]
    hides: bool


class Unpacking(Protocol):
    """Takes one layer's stream.

    Life: `take` in order, `end` after the last, one call at a time; `close` when no call is under way. `stop`
    at any moment: what is under way ends soon then, and what follows does nothing. Raises InvalidParameter
    for what is no layer, System for what the host cannot do.
    """

    def take(self, pieces: Sequence[bytes | memoryview]) -> None:
        """What comes next; none of it is kept but what is copied."""
        ...

    def end(self) -> Unpacked:
        """There is no more: all of it is unpacked."""
        ...

    def stop(self) -> None:
        """Nobody wants the rest."""
        ...

    def close(self) -> None:
        """Returns when nothing works on it any more."""
        ...


class _Stopped(Exception):
    """Nobody wants the rest."""


class LayerStream(Unpacking):
    """Unpacks the layer `digest` (empty if that is not known) into the empty directory `root`.

    `umask` is as `LayerTree` wants it, `spare` as `Relay` does.
    """

    def __init__(
        self, digest: str, root: int, *, lowest: bool, umask: int = 0o777, spare: Spare = turn_of_many
    ) -> None:
        self._digest = digest
        self._tree = LayerTree(root, lowest=lowest, umask=umask)
        self._members = MemberReader(self._tree)
        self._hash = hashlib.sha256()
        self._is_plain = False
        self._start = bytearray()
        self._decoder: Decoder | None = None
        self._relay = Relay(self._unpack, spare)
        self._stopped = False

    def take(self, pieces: Sequence[bytes | memoryview]) -> None:
        """See `Unpacking.take`."""
        try:
            with self._relay.turn(), suppress(_Stopped):
                for data in pieces:
                    if self._decoder is not None:
                        self._decode(data)
                        continue
                    self._start += data
                    if len(self._start) >= MAGIC:
                        self._decode(self._begun())
        except OSError as error:
            raise self._failed(error) from error

    def end(self) -> Unpacked:
        """See `Unpacking.end`."""
        try:
            with suppress(_Stopped):
                if self._decoder is None:
                    self._decode(self._begun())
                assert self._decoder is not None
                self._decoder.finish()
                self._relay.join()
                self._members.finish()
                self._tree.finish()
        except OSError as error:
            raise self._failed(error) from error
        diff_id = "" if self._is_plain else f"sha256:{self._hash.hexdigest()}"
        return Unpacked(diff_id, self._tree.implied, self._tree.hides)

    def stop(self) -> None:
        """See `Unpacking.stop`."""
        self._stopped = True

    def close(self) -> None:
        """See `Unpacking.close`."""
        self._stopped = True
        self._relay.close()
        self._tree.close()

    def _begun(self) -> bytes:
        """The stream's kind is known by how it begins."""
        kind = detect(bytes(self._start[:MAGIC]))
        if kind in ("xz", "bzip2"):
            raise InvalidParameter(f"layers compressed with {kind} are not supported")
        # What is not compressed is its own content, and verified as such.
        self._is_plain = not kind and self._digest.partition(":")[0] in ("sha256", "")
        self._decoder = decoder(kind)
        data = bytes(self._start)
        self._start.clear()
        return data

    def _decode(self, data: bytes | memoryview) -> None:
        assert self._decoder is not None
        if self._is_plain:
            self._unpack(data)
            return
        for begin in range(0, len(data), _SLICE):
            self._decoder.push(bytes(data[begin : begin + _SLICE]), self._plain)

    def _plain(self, piece: bytes) -> None:
        if self._stopped:
            raise _Stopped
        self._hash.update(piece)
        self._relay.put(piece)

    def _unpack(self, piece: bytes | memoryview) -> None:
        if not self._stopped:
            self._members.feed(piece)

    def _failed(self, error: OSError) -> MobyError:
        words = (error.strerror or str(error)).lower()
        return System(f"failed to extract layer {self._digest}: /{error.filename or ''}: {words}")
