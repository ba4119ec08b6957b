"""This file is about images on their way, over HTTP: pull, push, save, load, import, and registries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from moby.core.platform import Platform
from moby.core.types.images import DistributionInspect
from moby.core.types.jsonstream import JSONMessage
from moby.core.types.registries import AuthConfig, AuthResponse


class Transfers(Protocol):
    """What this module asks of an engine.

    Progress is an iterator of messages. An error raised before the first message becomes the response's
    status; a later one becomes its last line. The iterator is closed when the client goes away.
    """

    def pull(
        self,
        image: str,
        tag: str,
        *,
        platform: str | None = None,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JSONMessage]:
        """`tag` may be a digest; without a tag in either, every tag is meant. Raises NotFound."""
        ...

    def push(
        self,
        image: str,
        tag: str,
        *,
        platform: Platform | None = None,
        auth: AuthConfig | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JSONMessage]:
        """Without `tag`, every tag of the repository."""
        ...

    def load(
        self, archive: AsyncIterator[bytes], *, platforms: Sequence[Platform] = (), quiet: bool = False
    ) -> AsyncIterator[JSONMessage]:
        """Take the images of an archive."""
        ...

    def import_(
        self,
        archive: AsyncIterator[bytes],
        *,
        repository: str = "",
        tag: str = "",
        platform: str | None = None,
        message: str = "",
        changes: Sequence[str] = (),
    ) -> AsyncIterator[JSONMessage]:
        """Make an image of one layer from a tar."""
        ...

    def save(self, names: Sequence[str], *, platforms: Sequence[Platform] = ()) -> AsyncIterator[bytes]:
        """An archive of images, in chunks. Raises NotFound before the first chunk."""
        ...

    async def distribution(self, image: str, *, auth: AuthConfig | None = None) -> DistributionInspect:
        """What a registry tells of an image."""
        ...

    async def authenticate(self, auth: AuthConfig) -> AuthResponse:
        """Log in to a registry. Raises Unauthorized."""
        ...
