"""This file is about a containerd of our own: started, watched, started again, and found again."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from moby.core.errors import MobyError, NotFound, Unavailable
from moby.host.containerd.client import Containerd
from moby.host.files import write_atomic
from moby.host.process import Watched, start_detached
from moby.host.threads import blocking

log = logging.getLogger(__name__)

_READY_LIMIT_S = 30.0
_STEADY_S = 10.0
_BACKOFF_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)

_CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
oom_score = -500
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{socket}"

[ttrpc]
  address = "{socket}.ttrpc"

[debug]
  level = "{level}"

[plugins."io.containerd.gc.v1.scheduler"]
  startup_delay = "10s"
"""


class ManagedContainerd:
    """A containerd child with files of its own.

    Life: entering starts it, or takes back one that outlived an earlier daemon with the same directories;
    while entered it is started again whenever it ends, with growing pauses while it keeps ending at once.
    Leaving ends it (tasks go on: their shims are processes of their own), unless `leave_running` was set.
    """

    def __init__(self, root: Path, state: Path, *, level: str = "warn", program: str = "containerd") -> None:
        self._root = root
        self._state = state
        self._level = level
        self._program = program
        self._process: Watched | None = None
        self.leave_running = False
        self.restarts = 0
        self.on_restart: Callable[[], None] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self._state / "containerd.sock")

    @property
    def pid(self) -> int:
        """Its process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    async def __aenter__(self) -> Self:
        """Raises NotFound without the program, Unavailable if it does not answer in time."""
        await blocking(self._prepare)
        if not await self._adopt():
            await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if not self.leave_running:
            await process.terminate()
            self._pidfile.unlink(missing_ok=True)
        process.close()

    @property
    def _pidfile(self) -> Path:
        return self._state / "containerd.pid"

    def _prepare(self) -> None:
        for directory in (self._root, self._state):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o711)
        config = _CONFIG.format(
            root=self._root, state=self._state / "state", socket=self.address, level=self._level
        )
        write_atomic(self._state / "containerd.toml", config.encode(), 0o600)

    async def _adopt(self) -> bool:
        """One that an earlier daemon started, if it still answers."""
        try:
            pid = int(self._pidfile.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            process = Watched(pid)
        except (OSError, ValueError, NotFound):
            return False
        if str(self._state / "containerd.toml").encode() not in command:
            process.close()
            return False
        try:
            await self._answers(2.0)
        except Unavailable:
            await process.terminate()
            process.close()
            return False
        log.info("containerd taken back", extra={"pid": pid, "address": self.address})
        self._process = process
        return True

    async def _start(self) -> None:
        program = shutil.which(self._program)
        if program is None:
            raise NotFound(
                f"{self._program}: no such program", hint="install containerd, or name one with --containerd"
            )
        argv = [
            program,
            "--config", str(self._state / "containerd.toml"),
        ]  # fmt: skip
        pid = start_detached(argv, log=self._state / "containerd.log")
        self._process = Watched(pid)
        self._pidfile.write_text(f"{pid}\n")
        await self._answers(_READY_LIMIT_S)
        log.info("containerd started", extra={"pid": pid, "address": self.address})

    async def _answers(self, limit_s: float) -> None:
        """Returns when it answers. Raises Unavailable if it has not within `limit_s`."""
        deadline = time.monotonic() + limit_s
        while not await _connectable(self.address):
            if time.monotonic() > deadline:
                raise Unavailable(f"containerd at {self.address} does not answer")
            if self._process is not None and not Path(f"/proc/{self._process.pid}").exists():
                raise Unavailable("containerd ended at once", hint=f"see {self._state / 'containerd.log'}")
            await asyncio.sleep(0.004)
        async with Containerd(self.address) as client:
            try:
                await client.version(limit_s=max(0.5, deadline - time.monotonic()))
            except MobyError as error:
                raise Unavailable(f"containerd at {self.address} does not answer: {error}") from error

    async def keep(self) -> None:
        """Watch it and start it again when it ends; runs until cancelled."""
        quick = 0
        while True:
            process, began = self._process, time.monotonic()
            if process is None:
                return
            await process.ended()
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
