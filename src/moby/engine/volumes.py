"""This file is about volumes as the API shows them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from moby.core.errors import InvalidParameter, MobyError, NotImplemented
from moby.core.events import Bus
from moby.core.filters import Filters
from moby.core.types.volumes import Volume, VolumeCreateRequest, VolumeListResponse, VolumePruneResponse
from moby.engine.prunes import Prunes
from moby.volumes.records import StoredVolume
from moby.volumes.service import Volumes

log = logging.getLogger(__name__)

_LISTED = frozenset({"dangling", "driver", "label", "name"})
_PRUNED = frozenset({"all", "label", "label!"})
# As Go has them.
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


class VolumeService:
    """Shows, makes and removes volumes."""

    def __init__(self, volumes: Volumes, bus: Bus) -> None:
        self._volumes = volumes
        self._prunes = Prunes("volume", bus)

    async def create(self, request: VolumeCreateRequest) -> Volume:
        """A volume; the one that is there if driver and options are the same. Raises Conflict."""
        if request.cluster_volume_spec is not None:
            raise NotImplemented("ClusterVolumeSpec is not supported yet")
        volume = await self._volumes.create(
            request.name, driver=request.driver, options=request.driver_opts, labels=request.labels
        )
        return shown(volume)

    async def inspect(self, name: str) -> Volume:
        """Raises NotFound (`get NAME: no such volume`)."""
        return shown(await self._volumes.get(name))

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Raises Conflict while it is in use, and NotFound unless forced."""
        await self._volumes.remove(name, force=force)

    async def prune(self, filters: Filters) -> VolumePruneResponse:
        """Remove volumes that nothing uses: the ones without a name, or all with the filter `all=true`."""
        everything = _everything(filters)
        filters.check(_PRUNED)
        with self._prunes.one():
            report = await self._prune(filters, everything=everything)
        self._prunes.told(report.space_reclaimed)
        return report

    async def _prune(self, filters: Filters, *, everything: bool) -> VolumePruneResponse:
        removed: list[str] = []
        freed = 0
        for volume in await self._volumes.list():
            # Removing what lies elsewhere would free nothing here.
            if volume.driver != "local" or volume.options:
                continue
            chosen = filters.labels_match("label", volume.labels) and not (
                "label!" in filters and filters.labels_match("label!", volume.labels)
            )
            if not chosen or volume.users or not (everything or volume.anonymous):
                continue
            try:
                size = await self._volumes.size(volume.name)
                await self.remove(volume.name)
            except MobyError as error:
                log.warning("volume not pruned", extra={"volume": volume.name, "error": error.message})
                continue
            freed += size
            removed.append(volume.name)
        return VolumePruneResponse(volumes_deleted=removed, space_reclaimed=freed)

    async def list(self, filters: Filters) -> VolumeListResponse:
        """Every volume that the filters let through, by name."""
        filters.check(_LISTED)
        checks = [_check(key, filters) for key in filters]
        everything, warnings = await self._volumes.survey()
        found = [volume for volume in everything if all(check(volume) for check in checks)]
        return VolumeListResponse(
            volumes=[shown(volume) for volume in sorted(found, key=lambda v: v.name)],
            warnings=list(warnings) or None,
        )


def shown(volume: StoredVolume) -> Volume:
    """A volume as the API writes it."""
    return Volume(
        name=volume.name,
        driver=volume.driver,
        mountpoint=volume.place,
        scope=volume.scope,
        labels=dict(volume.labels) or None,
        options=dict(volume.options) or None,
        created_at=volume.created,
        status=dict(volume.status),
    )


def _everything(filters: Filters) -> bool:
    """Is a prune to remove volumes that have a name as well?"""
    values = filters.values("all")
    if len(values) > 1:
        shown = " ".join(values)
        raise InvalidParameter(f"invalid filter 'all=[{shown}]': only one value is expected")
    if values and values[0] not in (*_TRUE, *_FALSE):
        raise InvalidParameter(
            f"invalid filter 'all': strconv.ParseBool: parsing \"{values[0]}\": invalid syntax"
        )
    return bool(values) and values[0] in _TRUE


def _check(key: str, filters: Filters) -> Callable[[StoredVolume], bool]:
    values: Sequence[str] = filters.values(key)
    match key:
        case "name":
            return lambda volume: filters.text_matches("name", volume.name)
        case "driver":
            return lambda volume: not values or volume.driver in values
        case "label":
            return lambda volume: filters.labels_match("label", volume.labels)
        case "dangling":
            wanted = filters.flag("dangling", False)
            return lambda volume: bool(volume.users) != wanted
        case _:
            raise InvalidParameter(f"invalid filter '{key}'")
