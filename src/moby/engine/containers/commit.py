"""This file is about `docker commit`: an image of what a container has made of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO, Protocol

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound
from moby.core.idmaps import IdMap
from moby.core.reference import Reference, parse_reference
from moby.core.types.commits import CommitOptions
from moby.core.types.containers import ContainerConfig
from moby.core.types.images import ImageConfig
from moby.engine.containers.change import Changer
from moby.engine.containers.changes import not_its_own
from moby.engine.containers.merging import merge_image
from moby.engine.containers.roots import Roots
from moby.engine.containers.shelf import Shelf
from moby.engine.containers.tree import Trees
from moby.host.archives import Packer, PackOptions, piped
from moby.images.archive_commit import CommitRequest
from moby.images.changes import apply_changes


class Images(Protocol):
    """What this module asks of the image service."""

    async def commit(
        self, layer: AsyncIterator[bytes], request: CommitRequest, reference: Reference | None
    ) -> str:
        """The new image's ID."""
        ...


class CommitService:
    """Makes images of containers."""

    def __init__(self, shelf: Shelf, trees: Trees, roots: Roots, changer: Changer, images: Images) -> None:
        self._shelf = shelf
        self._trees = trees
        self._roots = roots
        self._changer = changer
        self._images = images

    async def commit(self, name: str, options: CommitOptions) -> str:
        """The ID of a new image. Raises NotFound, Conflict, InvalidParameter."""
        container = self._shelf.find(name)
        record = container.record
        if record.state.dead:
            raise Conflict(f"You cannot commit container {container.id} which is Dead")
        if container.removing:
            raise Conflict(f"You cannot commit container {container.id} which is being removed")
        reference = _reference(options)
        config = apply_changes(image_config(options.config or record.config), options.changes)
        merged = _merged(config, record.config)
        if record.manifest is None:
            raise NotFound(f"the image of container {container.id} is not here")
        request = CommitRequest(
            record.manifest,
            merged,
            " ".join(record.config.cmd or ()),
            options.author,
            options.comment,
            record.image,
        )
        pause = options.pause and record.state.running
        async with self._paused(container.id, wanted=pause), self._trees.upper(container) as upper:
            pack = _packing(upper, not_its_own, self._roots.ids(record.host_config))
            made = await self._images.commit(piped(pack), request, reference)
        shown = reference.familiar if reference is not None else ""
        told = {"comment": options.comment, "imageID": made, "imageRef": shown}
        self._shelf.publish(container, "commit", told)
        return made

    @contextlib.asynccontextmanager
    async def _paused(self, container: str, *, wanted: bool) -> AsyncIterator[None]:
        """Nothing is written while it is read; one that cannot be paused, or is, is left as it is."""
        paused = False
        if wanted:
            with contextlib.suppress(MobyError):
                await self._changer.pause(container)
                paused = True
        try:
            yield
        finally:
            if paused:
                with contextlib.suppress(MobyError):
                    await asyncio.shield(self._changer.unpause(container))


def _reference(options: CommitOptions) -> Reference | None:
    if not options.repository:
        return None
    reference = parse_reference(options.repository)
    if reference.digest:
        raise InvalidParameter("cannot commit to a digest reference")
    return (reference.with_tag(options.tag) if options.tag else reference).with_default_tag()


def image_config(config: ContainerConfig) -> ImageConfig:
    """A container's configuration as that of an image."""
    return ImageConfig(
        user=config.user,
        exposed_ports=dict(config.exposed_ports),
        env=list(config.env or ()),
        entrypoint=list(config.entrypoint or ()),
        cmd=list(config.cmd or ()),
        volumes=dict(config.volumes or {}),
        working_dir=config.working_dir,
        labels=dict(config.labels or {}),
        stop_signal=config.stop_signal,
        args_escaped=config.args_escaped,
        healthcheck=config.healthcheck,
        on_build=list(config.on_build or ()),
        shell=list(config.shell or ()),
    )


def _merged(config: ImageConfig, container: ContainerConfig) -> ImageConfig:
    """What the new configuration leaves open is as in the container."""
    filled = ContainerConfig(
        user=config.user,
        exposed_ports=config.exposed_ports,
        env=config.env or None,
        cmd=config.cmd or None,
        entrypoint=config.entrypoint or None,
        volumes=config.volumes or None,
        working_dir=config.working_dir,
        labels=config.labels or None,
        stop_signal=config.stop_signal,
        healthcheck=config.healthcheck,
        on_build=config.on_build or None,
        shell=config.shell or container.shell,
    )
    merge_image(filled, container)
    return image_config(filled)


def _packing(upper: int, skip: Callable[[str], bool], ids: IdMap) -> Callable[[BinaryIO], None]:
    options = PackOptions(layer=True, skip=skip, owner=ids.to_container if ids else None)

    def pack(target: BinaryIO) -> None:
        packer = Packer(target, options)
        packer.tree(upper, "", itself=False)
        packer.close()

    return pack
