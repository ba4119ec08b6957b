"""This file is about a containerd of our own: started, watched, started again, and found again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Self

from moby.core.errors import InvalidParameter, MobyError, Unavailable
from moby.host.containerd.own_process import ContainerdProcess
from moby.host.threads import blocking
from moby.host.watched import Watched

log = logging.getLogger(__name__)

_READY_LIMIT_S = 30.0
_ADOPT_LIMIT_S = 2.0
_STEADY_S = 10.0
_BACKOFF_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
_SOCKET_PATH_LIMIT = 107


class ManagedContainerd:
    """A containerd child with files of its own.

    Life: entering starts it, or takes back one that outlived an earlier daemon with the same directories and
    the same configuration; while `keep` runs it is started again whenever it ends, with growing pauses while
    it keeps ending at once, and `on_restart` is called each time. Leaving ends it (tasks go on: their shims
    are processes of their own), unless `leave_running` was set. Cancellation: a cancelled entry leaves no
    process.
    """

    def __init__(self, own: ContainerdProcess) -> None:
        self._own = own
        self.root = own.root
        self.address = own.address
        self._process: Watched | None = None
        self.leave_running = False
        self.restarts = 0
        self.on_restart: Callable[[], None] | None = None

    @property
    def pid(self) -> int:
        """Its process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    async def __aenter__(self) -> Self:
        """Raises NotFound without the program, Unavailable if it does not answer in time."""
        if len(os.fsencode(self.address)) + len(".ttrpc") > _SOCKET_PATH_LIMIT:
            raise InvalidParameter(f"the path of containerd's socket is too long: {self.address}")
        same = await blocking(self._own.prepare)
        if not await self._adopt(same=same):
            await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if not self.leave_running:
            await process.terminate()
            self._own.pidfile.unlink(missing_ok=True)
        process.close()

    async def _adopt(self, *, same: bool) -> bool:
        """Take back one that an earlier daemon started; end it if it does not answer or is not the `same`."""
        process = await blocking(self._own.survivor)
        if process is None:
            return False
        try:
            if same:
                await self._answers(process, _READY_LIMIT_S if self._own.begun(process) else _ADOPT_LIMIT_S)
                log.info("containerd taken back", extra={"pid": process.pid, "address": self.address})
                self._process, process = process, None
                return True
        except Unavailable:
            log.warning("containerd does not answer, starting another", extra={"address": self.address})
        finally:
            if process is not None:
                await process.terminate(_ADOPT_LIMIT_S)
                process.close()
        return False

    async def _start(self) -> None:
        process = self._own.spawn()
        try:
            await self._answers(process, _READY_LIMIT_S)
        except BaseException:
            self._own.pidfile.unlink(missing_ok=True)
            process.kill(signal.SIGKILL)
            await process.ended()
            process.close()
            raise
        self._process = process
        log.info("containerd started", extra={"pid": process.pid, "address": self.address})

    async def wait_ready(self, limit_s: float = _READY_LIMIT_S) -> None:
        """Returns when it answers, whichever start it takes. Raises Unavailable if not within `limit_s`."""
        from moby.host.containerd.client import Containerd

        async with Containerd(self.address) as client:
            await client.version(limit_s=limit_s)

    async def _answers(self, process: Watched, limit_s: float) -> None:
        """Returns when it answers. Raises Unavailable if it ends, or has not within `limit_s`."""
        # Only now: gRPC takes long to import, and containerd comes up meanwhile.
        from moby.host.containerd.client import Containerd
        from moby.host.containerd.introspection import METADATA, plugins

        deadline = time.monotonic() + limit_s
        while not await _connectable(self.address):
            if time.monotonic() > deadline:
                raise Unavailable(f"containerd at {self.address} does not answer")
            if not process.alive:
                raise Unavailable("containerd ended at once", hint=f"see {self._own.log}")
            await asyncio.sleep(0.004)
        async with Containerd(self.address) as client:
            try:
                await client.version(limit_s=max(0.5, deadline - time.monotonic()))
                # Without its database containerd answers, and can do nothing.
                broken = [plugin.failure for plugin in await plugins(client, METADATA) if plugin.failure]
            except MobyError as error:
                raise Unavailable(f"containerd at {self.address} does not answer: {error}") from error
        if broken:
            raise Unavailable(f"containerd cannot work: {broken[0]}", hint=f"see {self._own.log}")

    async def keep(self) -> None:
        """Watch it and start it again when it ends; runs until cancelled."""
        quick = 0
        while (process := self._process) is not None:
            began = time.monotonic()
            await process.ended()
            if self._process is not process:
                return  # it was ended on purpose
            self._process = None
            process.close()
            quick = 0 if time.monotonic() - began > _STEADY_S else min(quick + 1, len(_BACKOFF_S) - 1)
            log.error(
                "containerd ended, starting it again",
                extra={"pid": process.pid, "pause_s": _BACKOFF_S[quick]},
            )
            await asyncio.sleep(_BACKOFF_S[quick])
            await self._start_until_it_answers()
            self.restarts += 1
            if self.on_restart is not None:
                self.on_restart()

    async def _start_until_it_answers(self) -> None:
        while True:
            try:
                await self._start()
            except (MobyError, OSError):
                log.exception("cannot start containerd")
                await asyncio.sleep(_BACKOFF_S[-1])
            else:
                return


async def _connectable(address: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(address)
    except OSError:
        return False
    writer.close()
    return True
