"""This file is about containerd's content store: blobs by digest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import msgspec
from google.protobuf.field_mask_pb2 import FieldMask

from moby.core.content import ContentInfo, ContentStore
from moby.core.errors import DataLoss, InvalidParameter, MobyError, NotFound, System
from moby.host.containerd.blob_files import BlobFile, BlobFiles
from moby.host.containerd.client import CALL_LIMIT_S, Containerd
from moby.host.containerd.errors import is_held, translated, translation
from moby.host.containerd.protos import content_pb2

log = logging.getLogger(__name__)

_SERVICE = "content.v1.Content"
_ENOUGH, _CHUNK = 1 << 20, 2 << 20
_RESUMED = "resumed-"
_TRIES = 5
_LAST_S = 2.0
_EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_Write = content_pb2.WriteContentRequest


class _Wanted(msgspec.Struct, frozen=True):
    """What a write is to become; `size` and `digest` as far as they are known."""

    ref: str
    size: int
    digest: str
    labels: Mapping[str, str]


class ContainerdContent(ContentStore):
    """Blobs that containerd keeps."""

    def __init__(self, client: Containerd, files: BlobFiles | None = None) -> None:
        self._client = client
        self._files = files
        self._resumed: dict[str, int] = {}
        self._abandoning = asyncio.Lock()

    async def info(self, digest: str) -> ContentInfo:
        """See `ContentStore.info`."""
        found = await self._client.look(
            f"{_SERVICE}/Info", content_pb2.InfoRequest(digest=digest), content_pb2.InfoResponse
        )
        return _info(found.info)

    async def read(self, digest: str, *, limit: int = 8 << 20) -> bytes:
        """See `ContentStore.read`."""
        data = bytearray()
        async for chunk in self._received(digest):
            data += chunk
            if len(data) > limit:
                raise InvalidParameter(f"content {digest} is larger than {limit} bytes")
        return bytes(data)

    async def stream(self, digest: str, *, offset: int = 0) -> AsyncIterator[bytes]:
        """See `ContentStore.stream`."""
        if self._files is not None:
            await self.info(digest)
            try:
                async for chunk in self._files.read(digest, offset):
                    yield chunk
            except NotFound:
                log.warning("content is not where it is kept", extra={"digest": digest})
            else:
                return
        async for chunk in self._received(digest, offset):
            yield chunk

    async def _received(self, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
        request = content_pb2.ReadContentRequest(digest=digest, offset=offset)
        answers = self._client.read_stream(f"{_SERVICE}/Read", request, content_pb2.ReadContentResponse)
        async for answer in answers:
            yield answer.data

    async def write(
        self,
        ref: str,
        chunks: AsyncIterator[bytes],
        *,
        size: int | None = None,
        digest: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> ContentInfo:
        """See `ContentStore.write`; a partial write under the same ref is begun anew.

        Whoever else writes under `ref` at this moment is waited for. When the blob is there already, nothing
        is taken from `chunks`.
        """
        wanted = _Wanted(ref, size or 0, digest or "", labels or {})
        if self._files is not None and self._files.takes(wanted.size, wanted.digest):
            return await self._filed(wanted, lambda _: chunks, self._files.blob())
        return await self._written(wanted, lambda _: chunks, resumed=False)

    async def resume(
        self,
        ref: str,
        source: Callable[[int], AsyncIterator[bytes]],
        *,
        size: int,
        digest: str,
        labels: Mapping[str, str] | None = None,
    ) -> ContentInfo:
        """See `ContentStore.resume`."""
        ref = f"{_RESUMED}{ref}"
        async with self._abandoning:
            self._resumed[ref] = self._resumed.get(ref, 0) + 1
        wanted = _Wanted(ref, size, digest, labels or {})
        try:
            if self._files is not None and self._files.takes(size, digest):
                return await self._filed(wanted, source, self._files.blob(ref))
            return await self._written(wanted, source, resumed=True)
        finally:
            self._resumed[ref] -= 1
            if not self._resumed[ref]:
                del self._resumed[ref]

    async def _filed(
        self, wanted: _Wanted, source: Callable[[int], AsyncIterator[bytes]], blob: BlobFile
    ) -> ContentInfo:
        """Write a file, and have containerd take it in."""
        if wanted.digest and await self._is_here(wanted):
            return await self._present(wanted.digest, wanted.labels)
        try:
            await blob.open()
            if wanted.size and blob.size > wanted.size:
                await blob.restart()
            async for chunk in source(blob.size):
                await blob.write(chunk)
            digest = await blob.finish()
            if wanted.size and blob.size != wanted.size:
                await blob.done()
                raise DataLoss(
                    f"content {wanted.digest or wanted.ref} has {blob.size} bytes instead of {wanted.size}"
                )
            if wanted.digest not in ("", digest):
                await blob.done()
                raise DataLoss(f"unexpected commit digest {digest}, expected {wanted.digest}")
            found = await self._taken_in(msgspec.structs.replace(wanted, digest=digest, size=blob.size), blob)
            await blob.done()
            return found
        finally:
            await blob.close()

    async def _is_here(self, wanted: _Wanted) -> bool:
        """Is a blob here, and under this lease from now on?"""
        try:
            await self.info(wanted.digest)
        except NotFound:
            return False
        call, _ = await self._begin(wanted, leased=True)
        if call is not None:  # it has gone meanwhile
            await self._abandon(call, wanted.ref)
        return call is None

    async def _taken_in(self, wanted: _Wanted, blob: BlobFile) -> ContentInfo:
        for _ in range(_TRIES):
            await blob.place(wanted.digest)
            call, offset = await self._begin(wanted, leased=True)
            if call is None:
                return await self._present(wanted.digest, wanted.labels)
            try:
                if offset == wanted.size:
                    return await self._commit(call, wanted, offset, wanted.digest)
            finally:
                call.cancel()
            # Between the two containerd has collected what nobody refers to.
            await self._abort(wanted.ref)
        raise System(f"containerd does not take in {wanted.digest}")

    async def _written(
        self, wanted: _Wanted, source: Callable[[int], AsyncIterator[bytes]], *, resumed: bool
    ) -> ContentInfo:
        writing = None
        try:
            writing, offset = await self._begin(wanted, leased=not resumed)
            if writing is None:
                return await self._present(wanted.digest, wanted.labels)
            if not resumed or offset > wanted.size:
                offset = 0
            return await self._transfer(writing, wanted, source(offset), offset)
        finally:
            if writing is not None:
                writing.cancel()

    async def _begin(self, wanted: _Wanted, *, leased: bool) -> tuple[Any, int]:
        """The open exchange, and how much an earlier one left; no exchange if the blob is there already.

        A broken write that was leased is collected with the lease, another one after a day.
        """
        deadline, pause = time.monotonic() + CALL_LIMIT_S, 0.005
        request = _Write(action=content_pb2.STAT, ref=wanted.ref, total=wanted.size, expected=wanted.digest)
        while True:
            call = await self._client.exchange(
                f"{_SERVICE}/Write", content_pb2.WriteContentResponse, leased=leased
            )
            try:
                answer = await _exchange(call, request)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.ALREADY_EXISTS and wanted.digest:
                    return None, 0
                if not is_held(error) or time.monotonic() > deadline:
                    raise translated(error) from error
                # A writer that was cancelled holds its ref for a moment longer.
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.2)
            except BaseException:
                call.cancel()
                raise
            else:
                return call, answer.offset

    async def _transfer(
        self, call: Any, wanted: _Wanted, chunks: AsyncIterator[bytes], offset: int
    ) -> ContentInfo:
        """Send every chunk, small ones together since each message costs a round trip, and commit."""
        ref, size, digest = wanted.ref, wanted.size, wanted.digest
        sending = _Sending(call, ref, offset, digest)
        try:
            async for chunk in chunks:
                await sending.add(chunk)
        except BaseException:
            # Whoever goes on need not fetch again what has come.
            with contextlib.suppress(MobyError, TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await sending.flush()
            raise
        await sending.flush()
        if size and sending.offset != size:
            await self._abandon(call, ref)
            raise DataLoss(f"content {digest or ref} has {sending.offset} bytes instead of {size}")
        return await self._commit(call, wanted, sending.offset, sending.found)

    async def _commit(self, call: Any, wanted: _Wanted, offset: int, found: str) -> ContentInfo:
        """Make a blob of what was written, which is `found` so far."""
        request = _Write(
            action=content_pb2.COMMIT,
            ref=wanted.ref,
            offset=offset,
            total=wanted.size,
            expected=wanted.digest,
            labels=wanted.labels,
        )
        try:
            committed = await _exchange(call, request)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                return await self._present(wanted.digest or found or _EMPTY, wanted.labels)
            told = translated(error)
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION and "unexpected commit" in told.message:
                await self._abandon(call, wanted.ref)
                raise DataLoss(told.message) from error
            raise told from error
        return ContentInfo(committed.digest or wanted.digest, offset, dict(wanted.labels))

    async def _present(self, digest: str, labels: Mapping[str, str]) -> ContentInfo:
        if labels:
            await self.label(digest, labels)
        return await self.info(digest)

    async def _abandon(self, call: Any, ref: str) -> None:
        call.cancel()
        await self._abort(ref)

    async def abandon(self, ref: str) -> None:
        """See `ContentStore.abandon`."""
        ref = f"{_RESUMED}{ref}"
        if self._files is not None:
            await self._files.forget(ref)
        await self._abort(ref)

    async def _abort(self, ref: str) -> None:
        try:
            await self._client.call(f"{_SERVICE}/Abort", content_pb2.AbortRequest(ref=ref))
        except MobyError:
            return

    async def abandon_all(self) -> None:
        """See `ContentStore.abandon_all`."""
        async with self._abandoning:
            if self._files is not None:
                await self._files.forget(but=frozenset(self._resumed))
            found = await self._client.look(
                f"{_SERVICE}/ListStatuses",
                content_pb2.ListStatusesRequest(),
                content_pb2.ListStatusesResponse,
            )
            for status in found.statuses:
                # Whatever else is being written is leased, and goes with its lease.
                if status.ref.startswith(_RESUMED) and status.ref not in self._resumed:
                    await self._abort(status.ref)

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """See `ContentStore.label`."""
        request = content_pb2.UpdateRequest(
            info=content_pb2.Info(digest=digest, labels=labels),
            update_mask=FieldMask(paths=[f"labels.{key}" for key in labels]),
        )
        await self._client.call(f"{_SERVICE}/Update", request, content_pb2.InfoResponse)

    async def delete(self, digest: str) -> None:
        """See `ContentStore.delete`."""
        try:
            await self._client.call(f"{_SERVICE}/Delete", content_pb2.DeleteContentRequest(digest=digest))
        except NotFound:
            return

    async def walk(self) -> AsyncIterator[ContentInfo]:
        """See `ContentStore.walk`."""
        request = content_pb2.ListContentRequest()
        async for answer in self._client.read_stream(
            f"{_SERVICE}/List", request, content_pb2.ListContentResponse
        ):
            for info in answer.info:
                yield _info(info)


class _Sending:
    """Chunks on their way into an open exchange; `offset` is where the next byte goes."""

    def __init__(self, call: Any, ref: str, offset: int, found: str) -> None:
        self._call = call
        self._ref = ref
        self.offset = offset
        self.found = found
        self._waiting: list[bytes] = []
        self._size = 0

    async def add(self, chunk: bytes) -> None:
        """Take a chunk; sent is what is enough for a message."""
        self._waiting.append(chunk)
        self._size += len(chunk)
        if self._size >= _ENOUGH:
            await self.flush()

    async def flush(self) -> None:
        """Send what is waiting, divided if it is large."""
        data, self._size = b"".join(self._waiting), 0
        self._waiting.clear()
        for start in range(0, len(data), _CHUNK):
            part = data[start : start + _CHUNK]
            request = _Write(action=content_pb2.WRITE, ref=self._ref, offset=self.offset, data=part)
            with translation():
                answer = await _exchange(self._call, request)
            self.offset += len(part)
            self.found = answer.digest


def _info(info: content_pb2.Info) -> ContentInfo:
    return ContentInfo(info.digest, info.size, dict(info.labels))


async def _exchange(call: Any, request: _Write) -> content_pb2.WriteContentResponse:
    """One message there and one back. Raises AioRpcError when the other side has ended the exchange."""
    try:
        await call.write(request)
        answer = await call.read()
    except asyncio.InvalidStateError:
        answer = grpc.aio.EOF
    if answer is grpc.aio.EOF:
        code = await call.code()
        if code is grpc.StatusCode.OK:
            raise DataLoss("containerd ended a write before its time")
        raise grpc.aio.AioRpcError(
            code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
        )
    found: content_pb2.WriteContentResponse = answer
    return found
