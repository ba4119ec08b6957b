"""This file is about which containers use which images: what keeps an image from being removed."""

from __future__ import annotations

from moby.engine.containers.index import Index
from moby.engine.images.lookup import ImageUser


def image_users(index: Index) -> list[ImageUser]:
    """Every container, as far as images are concerned."""
    return [
        ImageUser(
            container.id,
            container.record.image,
            container.record.manifest.digest if container.record.manifest else "",
            container.record.config.image,
            container.record.state.running,
        )
        for container in index
    ]
