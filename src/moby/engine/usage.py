"""This file is about `docker system df`: the disk that each kind of thing takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from moby.core.filters import Filters
from moby.core.snapshots import Snapshotter
from moby.core.types.containers import ContainerSummary
from moby.core.types.images import ImageSummary
from moby.core.types.requests import ListRequest
from moby.core.types.system import BuildCacheUsage, ContainerUsage, DiskUsage, ImageUsage, VolumesUsage
from moby.core.types.volumes import VolumeUsage
from moby.engine.containers.listing import Lister
from moby.engine.images.service import ImageUsageTotals
from moby.engine.volumes import shown
from moby.volumes.service import Volumes


class CountsImages(Protocol):
    """Who knows what images take."""

    async def usage(self) -> ImageUsageTotals:
        """What all images take."""
        ...

    async def list(self, *, filters: Filters, shared_size: bool) -> Sequence[ImageSummary]:
        """Each."""
        ...


class DiskUsageService:
    """Counts what is on disk; slow, since it has to be looked at."""

    def __init__(
        self, lister: Lister, images: CountsImages, volumes: Volumes, snapshotter: Snapshotter
    ) -> None:
        self._lister = lister
        self._images = images
        self._volumes = volumes
        self._snapshotter = snapshotter

    async def disk_usage(self, kinds: Collection[str], *, verbose: bool) -> DiskUsage:
        """Of `kinds`; with `verbose`, item by item."""
        found = DiskUsage()
        if "container" in kinds:
            found.container_usage = await self._containers(verbose=verbose)
        if "image" in kinds:
            found.image_usage = await self._image_usage(verbose=verbose)
        if "volume" in kinds:
            found.volume_usage = await self._volume_usage(verbose=verbose)
        if "build-cache" in kinds:
            found.build_cache_usage = BuildCacheUsage()
        return found

    async def _containers(self, *, verbose: bool) -> ContainerUsage:
        listed = await self._lister.list(ListRequest(all=True, size=True, filters=Filters()))
        found = [entry for entry in listed if isinstance(entry, ContainerSummary)]
        for entry in found:
            # Told by lists of containers alone.
            entry.image_manifest_descriptor = None
        running = [entry for entry in found if entry.state in ("running", "paused", "restarting")]
        total = sum(entry.size_rw for entry in found)
        return ContainerUsage(
            active_count=len(running),
            items=found if verbose else [],
            reclaimable=total - sum(entry.size_rw for entry in running),
            total_count=len(found),
            total_size=total,
        )

    async def _image_usage(self, *, verbose: bool) -> ImageUsage:
        totals = await self._images.usage()
        items = await self._images.list(filters=Filters(), shared_size=True) if verbose else ()
        return ImageUsage(
            active_count=totals.active,
            items=list(items),
            reclaimable=totals.reclaimable,
            total_count=totals.images,
            total_size=totals.size,
        )

    async def _volume_usage(self, *, verbose: bool) -> VolumesUsage:
        items = []
        reclaimable = total = 0
        for volume in await self._volumes.list():
            # What lies elsewhere takes no room here.
            if volume.driver != "local" or volume.options:
                continue
            size = await self._volumes.size(volume.name)
            total += size
            reclaimable += 0 if volume.users else size
            usage = VolumeUsage(ref_count=len(volume.users), size=size)
            items.append(msgspec.structs.replace(shown(volume), usage_data=usage))
        return VolumesUsage(
            active_count=sum(bool(item.usage_data and item.usage_data.ref_count) for item in items),
            items=items if verbose else [],
            reclaimable=reclaimable,
            total_count=len(items),
            total_size=total,
        )
