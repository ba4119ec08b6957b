"""This file is about containerd's content store: blobs by digest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from moby.core.content import ContentInfo, ContentStore
from moby.core.errors import Conflict, DataLoss, InvalidParameter, MobyError, NotFound
from moby.host.containerd.client import Containerd
from moby.host.containerd.errors import translated
from moby.host.containerd.protos import content_pb2

_SERVICE = "content.v1.Content"
_CHUNK = 1 << 20


class ContainerdContent(ContentStore):
    """Blobs that containerd keeps."""

    def __init__(self, client: Containerd) -> None:
        self._client = client

    async def info(self, digest: str) -> ContentInfo:
        """See `ContentStore.info`."""
        found = await self._client.call(
            f"{_SERVICE}/Info", content_pb2.InfoRequest(digest=digest), content_pb2.InfoResponse
        )
        return _info(found.info)

    async def read(self, digest: str, *, limit: int = 8 << 20) -> bytes:
        """See `ContentStore.read`."""
        data = bytearray()
        async for chunk in self.stream(digest):
            data += chunk
            if len(data) > limit:
                raise InvalidParameter(f"content {digest} is larger than {limit} bytes")
        return bytes(data)

    async def stream(self, digest: str, *, offset: int = 0) -> AsyncIterator[bytes]:
        """See `ContentStore.stream`."""
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
        """See `ContentStore.write`; a partial write under the same ref is begun anew."""
        call = self._client.exchange(f"{_SERVICE}/Write", content_pb2.WriteContentResponse)
        try:
            return await self._write(call, ref, chunks, size or 0, digest or "", labels or {})
        except grpc.aio.AioRpcError as error:
            found = translated(error)
            if isinstance(found, Conflict) and digest and error.code() is grpc.StatusCode.ALREADY_EXISTS:
                if labels:
                    await self.label(digest, labels)
                return await self.info(digest)
            if isinstance(found, Conflict | InvalidParameter) and error.code() is not grpc.StatusCode.ABORTED:
                await self._abort(ref)
                if "unexpected commit" in found.message:
                    raise DataLoss(found.message) from error
            raise found from error
        except BaseException:
            call.cancel()
            raise

    async def _write(
        self,
        call: grpc.aio.StreamStreamCall[content_pb2.WriteContentRequest, content_pb2.WriteContentResponse],
        ref: str,
        chunks: AsyncIterator[bytes],
        size: int,
        digest: str,
        labels: Mapping[str, str],
    ) -> ContentInfo:
        Request = content_pb2.WriteContentRequest  # noqa: N806 - a class
        await call.write(Request(action=content_pb2.STAT, ref=ref, total=size, expected=digest))
        await self._answer(call)
        offset = 0
        async for chunk in chunks:
            for start in range(0, len(chunk), _CHUNK):
                part = chunk[start : start + _CHUNK]
                await call.write(Request(action=content_pb2.WRITE, ref=ref, offset=offset, data=part))
                await self._answer(call)
                offset += len(part)
        if size and offset != size:
            raise DataLoss(f"content {digest or ref} has {offset} bytes instead of {size}")
        await call.write(
            Request(
                action=content_pb2.COMMIT, ref=ref, offset=offset, total=size, expected=digest, labels=labels
            )
        )
        committed = await self._answer(call)
        await call.done_writing()
        return ContentInfo(committed.digest or digest, offset, labels)

    async def _answer(self, call: object) -> content_pb2.WriteContentResponse:
        answer = await call.read()  # type: ignore[attr-defined]
        if answer is grpc.aio.EOF:
            await call.wait_for_connection()  # type: ignore[attr-defined]
            raise DataLoss("containerd ended a write before its time")
        return answer  # type: ignore[no-any-return]

    async def _abort(self, ref: str) -> None:
        try:
            await self._client.call(f"{_SERVICE}/Abort", content_pb2.AbortRequest(ref=ref))
        except MobyError:
            return

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


def _info(info: content_pb2.Info) -> ContentInfo:
    return ContentInfo(info.digest, info.size, dict(info.labels))
