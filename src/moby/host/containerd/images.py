"""This file is about containerd's image names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from moby.core.descriptor import Descriptor
from moby.core.errors import Conflict, NotFound
from moby.core.images import StoredImage
from moby.host.containerd.client import Containerd
from moby.host.containerd.protos import images_pb2, types_pb2

_TURNS = 10
_SERVICE = "images.v1.Images"


class ContainerdImageNames:
    """Names and what they point to."""

    def __init__(self, client: Containerd) -> None:
        self._client = client

    async def get(self, name: str) -> StoredImage:
        """Raises NotFound."""
        request = images_pb2.GetImageRequest(name=name)
        return _image((await self._client.look(f"{_SERVICE}/Get", request, images_pb2.ImageResponse)).image)

    async def put(self, image: StoredImage) -> None:
        """Create the name, or move it to a new target."""
        target = types_pb2.Descriptor(
            media_type=image.target.media_type,
            digest=image.target.digest,
            size=image.target.size,
            annotations=dict(image.target.annotations),
        )
        wire = images_pb2.Image(name=image.name, labels=dict(image.labels), target=target)
        create = images_pb2.CreateImageRequest(image=wire)
        update = images_pb2.UpdateImageRequest(image=wire)
        for last in [False] * _TURNS + [True]:
            try:
                await self._client.call(f"{_SERVICE}/Create", create, images_pb2.ImageResponse)
            except Conflict:
                try:
                    await self._client.call(f"{_SERVICE}/Update", update, images_pb2.ImageResponse)
                except NotFound:
                    if last:
                        raise
                    continue  # removed by somebody in between
            return

    async def delete(self, name: str, *, sync: bool = False) -> None:
        """Remove the name; with `sync`, wait for the garbage collector. Raises NotFound."""
        request = images_pb2.DeleteImageRequest(name=name, sync=sync)
        await self._client.call(f"{_SERVICE}/Delete", request, limit_s=None)

    async def list(self) -> Sequence[StoredImage]:
        """Every image."""
        request = images_pb2.ListImagesRequest()
        found = await self._client.look(f"{_SERVICE}/List", request, images_pb2.ListImagesResponse)
        return [_image(image) for image in found.images]


def _image(image: images_pb2.Image) -> StoredImage:
    target = image.target
    return StoredImage(
        image.name,
        Descriptor(target.media_type, target.digest, target.size, annotations=dict(target.annotations)),
        dict(image.labels),
        moment(image.created_at),
        moment(image.updated_at),
    )


def moment(stamp: Timestamp) -> datetime | None:
    """A time stamp from the wire; None if it was not set, or is the year 1 that Go means by that."""
    if stamp.seconds <= 0:
        return None
    return stamp.ToDatetime(UTC)
