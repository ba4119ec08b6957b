"""This file is about running an engine behind the API: sockets, services and signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from moby import __version__
from moby.cli.listeners import open_listener, remove
from moby.cli.tls import server_context
from moby.core.config import ConfigSource
from moby.engine.addresses import addresses
from moby.engine.config import EngineConfig
from moby.engine.early import monitors
from moby.framework.assembly import Assembly
from moby.host.memory import trim
from moby.host.threads import blocking
from moby.monitor.client import Monitors

log = logging.getLogger(__name__)

_TRIM_EVERY_S = 30.0


async def serve(config: ConfigSource[EngineConfig], assembly: Assembly, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; then end in the order that loses nothing.

    The sockets are open from the first moment on, and are held by the fork server when this process dies:
    a client that calls meanwhile waits.
    """
    current = config.current
    async with (
        _importing() as imported,
        monitors(current, assembly) as made,
    ):
        listeners = await _listen(current, made)
        # Clients that come meanwhile wait instead of being refused.
        await imported
        from moby.api.server import Server
        from moby.cli.backends import backends
        from moby.engine.assembled import assembled

        tls = server_context(current)
        ended = False
        try:
            async with Server(__version__, experimental=current.experimental) as server:
                for address, listener in listeners.items():
                    await server.listen(listener, tls if address.startswith("tcp://") else None)
                async with assembled(config, assembly, made) as engine:
                    await engine.authorizer.check()
                    server.serve(backends(engine).routes(), engine.authorizer)
                    for address in listeners:
                        log.info(f"API listen on {_shown(address)}")  # noqa: G004 - the words that tools wait for
                    # What was made until now stays: it need not be looked through again and again.
                    gc.freeze()
                    gc.enable()
                    await _until(stop)
                    log.info("shutting down")
                    ended = True
        finally:
            if ended:
                await made.release()
                await made.stop()
            remove(listeners if ended else {})


async def _until(stop: asyncio.Event) -> None:
    """Wait, and give back what has become free, now and from time to time."""
    while not stop.is_set():
        await blocking(trim)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TRIM_EVERY_S):
                await stop.wait()


@asynccontextmanager
async def _importing() -> AsyncIterator[asyncio.Task[None]]:
    """Most of the program takes a while to import, in which containerd and the fork server come up."""
    async with asyncio.TaskGroup() as group:
        yield group.create_task(blocking(_import_the_rest))


def _import_the_rest() -> None:
    importlib.import_module("moby.api.server")
    importlib.import_module("moby.cli.backends")
    importlib.import_module("moby.engine.assembled")


async def _listen(config: EngineConfig, monitors: Monitors) -> Mapping[str, socket.socket]:
    """Take back the sockets that an earlier daemon left, and open the others."""
    wanted = addresses(config)
    left = dict(await monitors.held())
    found: dict[str, socket.socket] = {}
    named = config.group != EngineConfig().group
    for address in wanted:
        if address in left:
            found[address] = left.pop(address)
        else:
            found |= open_listener(address, config.group, named=named)
    for unused in left.values():
        unused.close()
    await monitors.hold(found)
    return found


def _shown(address: str) -> str:
    """dockerd writes a unix socket without its scheme."""
    return address.removeprefix("unix://").removeprefix("tcp://")
