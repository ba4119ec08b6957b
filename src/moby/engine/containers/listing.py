"""This file is about `docker ps`: a line for each container, kept encoded until something changes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from moby.core.snapshots import Snapshotter
from moby.core.types.containers import (
    ContainerSummary,
    ContainerSummaryHostConfig,
    ContainerSummaryNetworkSettings,
    HealthSummary,
    PortSummary,
)
from moby.core.types.requests import ListRequest
from moby.engine.containers.container import Container
from moby.engine.containers.create import Images
from moby.engine.containers.links import link_names
from moby.engine.containers.matching import Matcher
from moby.engine.containers.record import NEVER, Record
from moby.engine.containers.shelf import Shelf


class Lister:
    """Lists containers, newest first."""

    def __init__(self, shelf: Shelf, images: Images, snapshotter: Snapshotter) -> None:
        self._shelf = shelf
        self._images = images
        self._snapshotter = snapshotter
        self._encoder = msgspec.json.Encoder()

    async def list(self, request: ListRequest) -> Sequence[ContainerSummary | msgspec.Raw]:
        """A summary each; the ones that have not changed come as encoded before."""
        filters = request.filters
        ancestors = {value: await self._images.ids(value) for value in filters.values("ancestor")}
        links = link_names(self._shelf.index)
        matcher = Matcher.for_list(filters, self._shelf.index, ancestors, links)
        every = request.all or request.limit > 0 or bool(filters.values("status") or filters.values("exited"))
        chosen = [
            container
            for container in self._shelf.index
            if (every or container.record.state.running) and matcher.matches(container)
        ]
        chosen.sort(key=lambda container: container.record.created, reverse=True)
        if request.limit > 0:
            chosen = chosen[: request.limit]
        if request.size:
            return [await self._sized(container, links.get(container.id, ())) for container in chosen]
        # What a link calls a container changes with another one.
        return [
            summary(container, links[container.id]) if container.id in links else self._encoded(container)
            for container in chosen
        ]

    def _encoded(self, container: Container) -> msgspec.Raw:
        """`Status` tells a time span, so what was encoded is good for a while only: see `_lasts`."""
        now = time.monotonic()
        if container.summary is None or now >= container.summary_until:
            container.summary = msgspec.Raw(self._encoder.encode(summary(container)))
            container.summary_until = now + _lasts(container.record)
        return container.summary

    async def _sized(self, container: Container, links: Sequence[str]) -> ContainerSummary:
        found = summary(container, links)
        found.size_rw = (await self._snapshotter.usage(container.id)).size
        total, chain = found.size_rw, container.record.chain
        while chain:
            total += (await self._snapshotter.usage(chain)).size
            chain = (await self._snapshotter.info(chain)).parent
        found.size_root_fs = total
        return found


def summary(container: Container, links: Sequence[str] = ()) -> ContainerSummary:
    """One line of `docker ps`; `links` are the names that a container has by others' links."""
    record = container.record
    return ContainerSummary(
        id=record.id,
        names=sorted(f"/{name}" for name in (record.name, *links)),
        image=record.config.image,
        image_id=record.image,
        image_manifest_descriptor=record.manifest,
        command=" ".join([record.path, *(f"'{word}'" if " " in word else word for word in record.args)]),
        created=int(datetime.fromisoformat(record.created).timestamp()),
        ports=_ports(record),
        labels=record.config.labels or {},
        state=container.status,
        status=status_text(container),
        host_config=ContainerSummaryHostConfig(
            record.host_config.network_mode, record.host_config.annotations or {}
        ),
        network_settings=ContainerSummaryNetworkSettings(networks=record.networks),
        mounts=[mount.point for mount in record.mounts],
        health=_health(container),
    )


def _health(container: Container) -> HealthSummary:
    health = container.health
    return HealthSummary("none") if health is None else HealthSummary(health.status, health.failing_streak)


def _ports(record: Record) -> list[PortSummary]:
    found = []
    # What has just ended may not have been written off yet.
    for key, bindings in record.ports.items() if record.state.running else ():
        port, _, protocol = key.partition("/")
        if "-" in port:
            continue
        if not bindings:
            found.append(PortSummary(private_port=int(port), type=protocol))
        found += [
            PortSummary(
                ip=binding.host_ip, private_port=int(port), public_port=int(binding.host_port), type=protocol
            )
            for binding in bindings or ()
        ]
    return found


def status_text(container: Container) -> str:
    """`Up 5 minutes (Paused)`, `Exited (0) 2 hours ago`, `Created`."""
    state = container.record.state
    if state.running:
        span = human_duration(_age_s(state.started_at))
        if state.restarting:
            return f"Restarting ({state.exit_code}) {human_duration(_age_s(state.finished_at))} ago"
        if state.paused:
            return f"Up {span} (Paused)"
        if (health := container.health) is not None:
            return f"Up {span} ({'health: ' if health.status == 'starting' else ''}{health.status})"
        return f"Up {span}"
    if container.removing:
        return "Removal In Progress"
    if state.dead:
        return "Dead"
    if state.started_at == NEVER:
        return "Created"
    return f"Exited ({state.exit_code}) {human_duration(_age_s(state.finished_at))} ago"


def human_duration(seconds: float) -> str:
    """A span of time in words, as docker's clients show it."""
    minutes, hours = int(seconds / 60), round(seconds / 3600)
    if seconds < 1:
        return "Less than a second"
    if seconds < 2:
        return "1 second"
    if seconds < 60:
        return f"{int(seconds)} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    for limit, size, word in ((48, 1, "hours"), (24 * 14, 24, "days"), (24 * 60, 24 * 7, "weeks"),
                              (24 * 365 * 2, 24 * 30, "months")):  # fmt: skip
        if hours < limit:
            return f"{hours // size} {word}"
    return f"{hours // (24 * 365)} years"


def _age_s(text: str) -> float:
    if text == NEVER:
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()


def _lasts(record: Record) -> float:
    """For how many seconds the words for a span of time stay true, at least."""
    state = record.state
    since = state.started_at if state.running else state.finished_at
    if since == NEVER:
        return 3600.0
    age = _age_s(since)
    if age < 60:
        return 1.0 - age % 1.0
    return 60.0 - age % 60.0
