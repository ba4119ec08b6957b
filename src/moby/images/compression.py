"""This file is about compressed streams: which compression it is, and its plain content in bounded steps."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO, Any, Protocol, cast

from moby.core.errors import InvalidParameter
from moby.host.threads import blocking

STEP = 1 << 20
MAGIC = 10


class Decoder(Protocol):
    """Takes compressed bytes and gives plain ones, at most about a megabyte at a time.

    One is used by `feed` alone, or by `push` alone.
    """

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` decompresses to."""
        ...

    def push(self, data: bytes, take: Callable[[bytes], object]) -> None:
        """Give `take` what `data` decompresses to; what it raises goes through."""
        ...

    def finish(self) -> None:
        """There is no more. Raises InvalidParameter if there should be."""
        ...


def detect(start: bytes) -> str:
    """`gzip`, `zstd`, `xz`, `bzip2` or nothing, by how a stream begins."""
    if start.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    if start.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if start.startswith(b"BZh"):
        return "bzip2"
    return ""


def decoder(kind: str) -> Decoder:
    """A decoder of what `detect` named."""
    match kind:
        case "gzip":
            return _Members(lambda: zlib_decoder(), (zlib.error,))
        case "xz":
            return _Members(lambda: lzma.LZMADecompressor(memlimit=256 << 20), (lzma.LZMAError, MemoryError))
        case "bzip2":
            return _Members(lambda: bz2.BZ2Decompressor(), (OSError,))
        case "zstd":
            return _Zstd()
        case _:
            return _Plain()


def zlib_decoder() -> Any:
    """The fastest gzip decoder there is."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.decompressobj(31)
    return isal_zlib.decompressobj(31)


class _Pieces:
    """Pushes what it feeds."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        raise NotImplementedError

    def push(self, data: bytes, take: Callable[[bytes], object]) -> None:
        for piece in self.feed(data):
            take(piece)


class _Plain(_Pieces):
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return


class _Members(_Pieces):
    """Compressed members one after another, as gzip, xz and bzip2 allow; zeros between them are padding."""

    def __init__(self, make: Any, errors: tuple[type[Exception], ...]) -> None:
        self._make = make
        self._errors = errors
        self._current: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._current is None:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._current = self._make()
            current = self._current
            try:
                plain = current.decompress(data, STEP)
            except self._errors as error:
                raise InvalidParameter(f"cannot decompress archive: {error}") from error
            except Exception as error:
                if type(error).__name__ not in ("IsalError", "error"):
                    raise
                raise InvalidParameter(f"cannot decompress archive: {error}") from error
            if plain:
                yield plain
            if current.eof:
                data = current.unused_data
                self._current = None
            elif hasattr(current, "unconsumed_tail"):
                data = current.unconsumed_tail
                if not data and len(plain) < STEP:
                    return
            elif current.needs_input:
                return
            else:
                data = b""

    def finish(self) -> None:
        if self._current is not None:
            raise InvalidParameter("cannot decompress archive: unexpected EOF")


class _Sink:
    """What a decompressor writes to; that it ended in the middle of a frame is for the reader to see."""

    take: Callable[[bytes], object]

    def write(self, data: bytes) -> int:
        self.take(data)
        return len(data)


class _Zstd:
    _SLICE = 4096

    def __init__(self) -> None:
        self._current: Any = None
        self._writer: Any = None
        self._sink = _Sink()

    def push(self, data: bytes, take: Callable[[bytes], object]) -> None:
        import zstandard

        if self._writer is None:
            decompressor = zstandard.ZstdDecompressor(max_window_size=128 << 20)
            self._writer = decompressor.stream_writer(cast("IO[bytes]", self._sink), write_size=STEP // 4)
        self._sink.take = take
        try:
            self._writer.write(data)
        except zstandard.ZstdError as error:
            raise InvalidParameter(f"cannot decompress archive: {error}") from error

    def feed(self, data: bytes) -> Iterator[bytes]:
        import zstandard

        view = memoryview(data)
        position = 0
        while position < len(view):
            if self._current is None:
                self._current = zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj()
            # Small slices: a few bytes of zstd may stand for a hundred kilobytes.
            part = view[position : position + self._SLICE]
            position += len(part)
            try:
                plain = self._current.decompress(part)
            except zstandard.ZstdError as error:
                raise InvalidParameter(f"cannot decompress archive: {error}") from error
            if plain:
                yield plain
            if self._current.eof:
                position -= len(self._current.unused_data)
                self._current = None

    def finish(self) -> None:
        if self._current is not None:
            raise InvalidParameter("cannot decompress archive: unexpected EOF")


async def plain(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content of a stream, decompressed if it is compressed. Raises InvalidParameter."""
    start, rest = await peek(chunks)
    kind = detect(start)
    if not kind:
        async for chunk in rest:
            yield chunk
        return
    decode = decoder(kind)
    async for chunk in rest:
        for begin in range(0, len(chunk), STEP):
            steps = decode.feed(chunk[begin : begin + STEP])
            while (piece := await blocking(next, steps, None)) is not None:
                yield piece
    decode.finish()


async def peek(chunks: AsyncIterator[bytes], size: int = MAGIC) -> tuple[bytes, AsyncIterator[bytes]]:
    """How a stream begins, and the whole stream."""
    start = bytearray()
    async for chunk in chunks:
        start += chunk
        if len(start) >= size:
            break

    async def whole() -> AsyncIterator[bytes]:
        if start:
            yield bytes(start)
        async for chunk in chunks:
            yield chunk

    return bytes(start[:size]), whole()
