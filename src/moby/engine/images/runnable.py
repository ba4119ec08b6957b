"""This file is about images that containers are made of: one manifest, its configuration, its snapshots."""

from __future__ import annotations

import msgspec

from moby.core.errors import MobyError
from moby.core.platform import parse_platform
from moby.core.types.containers import ContainerConfig
from moby.core.types.images import ImageConfig
from moby.engine.containers.create import RunnableImage
from moby.engine.images.service import ImageService
from moby.engine.images.transfers import ImageTransfers


class RunnableImages:
    """Finds what a container needs of an image, and unpacks it if need be."""

    def __init__(self, images: ImageService, transfers: ImageTransfers) -> None:
        self._images = images
        self._transfers = transfers

    async def runnable(self, name: str, platform: str | None) -> RunnableImage:
        """Raises NotFound (`No such image: NAME`), InvalidParameter."""
        image = await self._images.lookup.resolve(name)
        wanted = parse_platform(platform) if platform else None
        manifest, document = await self._images.chosen(image, wanted)
        chain = await self._transfers.unpack(manifest)
        return RunnableImage(
            id=image.target.digest,
            config=container_config(document.config),
            chain=chain,
            platform=document.os,
            manifest=msgspec.structs.replace(manifest, platform=manifest.platform or document.platform),
        )

    async def ids(self, name: str) -> frozenset[str]:
        """The IDs of the images that a name or ID means; empty if none."""
        try:
            return frozenset({(await self._images.lookup.resolve(name)).target.digest})
        except MobyError:
            return frozenset()


def container_config(image: ImageConfig) -> ContainerConfig:
    """An image's configuration as that of a container; what the image leaves open stays open."""
    return ContainerConfig(
        user=image.user,
        exposed_ports=dict(image.exposed_ports),
        env=list(image.env) or None,
        cmd=list(image.cmd) or None,
        entrypoint=list(image.entrypoint) or None,
        healthcheck=image.healthcheck,
        args_escaped=image.args_escaped,
        volumes=dict(image.volumes) or None,
        working_dir=image.working_dir,
        on_build=list(image.on_build) or None,
        labels=dict(image.labels) or None,
        stop_signal=image.stop_signal,
        shell=list(image.shell),
    )
