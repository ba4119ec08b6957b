"""This file is about health checks: a command that is run in a container again and again.

A container with a check is `starting` until the check succeeds once; it is `unhealthy` after so many failures
in a row, of which those in the start period do not count while it is starting (dockerd's rules).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from moby.core.durations import format_duration
from moby.core.errors import MobyError
from moby.core.types.containers import ContainerConfig, Health, HealthcheckResult
from moby.engine.containers.container import Container
from moby.engine.containers.record import timestamp
from moby.engine.containers.shelf import Shelf
from moby.engine.execs.probe import Probes

log = logging.getLogger(__name__)

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
_INTERVAL_S, _TIMEOUT_S, _START_INTERVAL_S, _RETRIES = 30.0, 30.0, 5.0, 3
_KEPT = 5
_FAILED = -1


def check_command(config: ContainerConfig) -> Sequence[str] | None:
    """What is run to find out how a container is; None if nothing is to be."""
    words = config.healthcheck.test if config.healthcheck is not None else []
    match words:
        case ["CMD", *command] if command:
            return command
        case ["CMD-SHELL", *command]:
            return [*(config.shell or ["/bin/sh", "-c"]), *command]
        case _:
            return None


class HealthChecks:
    """Runs the checks of every container that runs; told of changes by the shelf."""

    def __init__(self, shelf: Shelf, probes: Probes) -> None:
        self._shelf = shelf
        self._probes = probes
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[str, tuple[str, asyncio.Task[None]]] = {}
        shelf.watchers.append(self.changed)

    async def run(self) -> None:
        """Check until cancelled, beginning with the containers that run already."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for container in self._shelf.index:
                self._update(container)
            await asyncio.Event().wait()

    def changed(self, container: Container, action: str) -> None:
        """Something has happened to a container."""
        if action in ("start", "unpause", "pause", "die", "destroy"):
            self._update(container)

    def _update(self, container: Container) -> None:
        state, known = container.record.state, self._tasks.get(container.id)
        wanted = state.running and not (state.paused or state.restarting)
        wanted = wanted and check_command(container.record.config) is not None
        if known is not None and not (wanted and known[0] == state.started_at and not known[1].done()):
            known[1].cancel()
            del self._tasks[container.id]
            known = None
        if wanted and known is None:
            if container.health is None:
                container.health = Health(log=[])
            container.health.status, container.health.failing_streak = STARTING, 0
            container.changed()
            if self._group is not None:
                task = self._group.create_task(self._check(container))
                self._tasks[container.id] = (state.started_at, task)

    async def _check(self, container: Container) -> None:
        try:
            await self._check_again_and_again(container)
        except Exception:
            # One container's check must not end everybody's.
            log.exception("health check ended", extra={"container": container.id})

    async def _check_again_and_again(self, container: Container) -> None:
        began = datetime.fromisoformat(container.record.state.started_at)
        while True:
            await asyncio.sleep(self._pause_s(container, began))
            result = await self._probe(container)
            self._judge(container, result, began)

    def _pause_s(self, container: Container, began: datetime) -> float:
        settings, health = container.record.config.healthcheck, container.health
        assert settings is not None
        assert health is not None
        if health.status == STARTING and _age_s(began) < settings.start_period / 1e9:
            return settings.start_interval / 1e9 or _START_INTERVAL_S
        return settings.interval / 1e9 or _INTERVAL_S

    async def _probe(self, container: Container) -> HealthcheckResult:
        settings, command = container.record.config.healthcheck, check_command(container.record.config)
        assert settings is not None
        assert command is not None
        limit_s = settings.timeout / 1e9 or _TIMEOUT_S
        result = HealthcheckResult(start=timestamp())
        try:
            found = await self._probes.run(container, command, limit_s)
        except MobyError as error:
            log.debug("cannot check health", extra={"container": container.id, "error": error.message})
            result.exit_code, result.output = _FAILED, error.message
        else:
            result.exit_code, result.output = found.exit_code or 0, found.output
            if found.exit_code is None:
                words = f"Health check exceeded timeout ({format_duration(int(limit_s * 1e9))})"
                result.exit_code = _FAILED
                result.output = f"{words}: {found.output}" if found.output else words
        result.end = timestamp()
        return result

    def _judge(self, container: Container, result: HealthcheckResult, began: datetime) -> None:
        settings, health = container.record.config.healthcheck, container.health
        assert settings is not None
        assert health is not None
        before = health.status
        health.log = [*(health.log or ()), result][-_KEPT:]
        if result.exit_code == 0:
            health.status, health.failing_streak = HEALTHY, 0
        else:
            age_s = (datetime.fromisoformat(result.start) - began).total_seconds()
            if health.status != STARTING or age_s >= settings.start_period / 1e9:
                health.failing_streak += 1
                if health.failing_streak >= (settings.retries or _RETRIES):
                    health.status = UNHEALTHY
        if health.status != before:
            container.changed()
            self._shelf.publish(container, f"health_status: {health.status}")


def _age_s(began: datetime) -> float:
    return (datetime.now(UTC) - began).total_seconds()
