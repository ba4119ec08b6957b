"""This file is about an engine in a program of one's own: its services as Python objects, without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from moby.core.config import ConfigSource
from moby.engine.assembled import assembled
from moby.engine.config import EngineConfig
from moby.engine.containerd_child import containerd_ahead
from moby.engine.early import monitors
from moby.engine.userns import remapped
from moby.engine.wiring import Engine
from moby.framework.assembly import named


@asynccontextmanager
async def embedded(config: EngineConfig, *, assembly: str = "") -> AsyncIterator[Engine]:
    """A running engine of the assembly of that name or path, or of the usual one. It needs root.

    What was stored below `data_root` is taken back in, as by a daemon; containers outlive the block unless
    `live_restore` is false. Raises Conflict if a daemon uses the same roots, InvalidParameter for settings
    that cannot be.
    """
    chosen = named(assembly)
    source = ConfigSource(remapped(config))
    with _bare(), containerd_ahead(source.current, chosen):
        async with monitors(source.current, chosen) as made:
            try:
                async with assembled(source, chosen, made) as engine:
                    yield engine
            finally:
                await made.stop()


@contextmanager
def _bare() -> Iterator[None]:
    """One error alone is raised as itself: that the engine's tasks run in groups is its own business."""
    try:
        yield
    except BaseExceptionGroup as group:
        alone: BaseException = group
        while isinstance(alone, BaseExceptionGroup) and len(alone.exceptions) == 1:
            alone = alone.exceptions[0]
        raise alone from alone.__cause__
