"""This file is about a containerd of our own: started, watched, started again, and found again."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from moby.core.errors import InvalidParameter, MobyError, NotFound, Unavailable
from moby.host.files import write_atomic
from moby.host.process import Watched, start_detached
from moby.host.threads import blocking

log = logging.getLogger(__name__)

_READY_LIMIT_S = 30.0
_ADOPT_LIMIT_S = 2.0
_STEADY_S = 10.0
_BACKOFF_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
# What a service manager tells us is not for containerd: it would say in our name that it is ready.
_OURS_ALONE = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC")
_SOCKET_PATH_LIMIT = 107

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
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",{left_out}
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

    Life: entering starts it, or takes back one that outlived an earlier daemon with the same directories and
    the same configuration; while `keep` runs it is started again whenever it ends, with growing pauses while
    it keeps ending at once, and `on_restart` is called each time. Leaving ends it (tasks go on: their shims
    are processes of their own), unless `leave_running` was set. Cancellation: a cancelled entry leaves no
    process.
    """

    def __init__(
        self,
        root: Path,
        state: Path,
        *,
        level: str = "warn",
        program: str = "containerd",
        btrfs: bool = False,
    ) -> None:
        self.root = root
        self._state = state
        self._level = level
        # Where it is not used it only warns of other file systems.
        self._left_out = "" if btrfs else '\n  "io.containerd.snapshotter.v1.btrfs",'
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
        if len(os.fsencode(self.address)) + len(".ttrpc") > _SOCKET_PATH_LIMIT:
            raise InvalidParameter(f"the path of containerd's socket is too long: {self.address}")
        same = await blocking(self._prepare)
        if not await self._adopt(same=same):
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

    @property
    def _config(self) -> Path:
        return self._state / "containerd.toml"

    @property
    def _log(self) -> Path:
        return self._state / "containerd.log"

    def _prepare(self) -> bool:
        """Make the directories and the configuration; was it so already?"""
        for directory in (self.root, self._state):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o711)
        config = _CONFIG.format(
            root=self.root,
            state=self._state / "state",
            socket=self.address,
            level=self._level,
            left_out=self._left_out,
        )
        if self._config.exists() and self._config.read_text() == config:
            return True
        write_atomic(self._config, config.encode(), 0o600)
        return False

    async def _adopt(self, *, same: bool) -> bool:
        """Take back one that an earlier daemon started; end it if it does not answer or is not the `same`."""
        process = await blocking(self._survivor)
        if process is None:
            return False
        try:
            if same:
                await self._answers(process, _ADOPT_LIMIT_S)
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

    def _survivor(self) -> Watched | None:
        """A containerd with our configuration: the pid file names it, or it is found if that was lost."""
        try:
            pid = int(self._pidfile.read_text())
        except (OSError, ValueError):
            pid = 0
        if pid and (process := self._ours(pid)) is not None:
            return process
        others = (int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != pid)
        return next((process for other in others if (process := self._ours(other)) is not None), None)

    def _ours(self, pid: int) -> Watched | None:
        """The process, if it is (still) a containerd with our configuration."""
        try:
            if str(self._config).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
                return None
            process = Watched(pid)
        except (OSError, NotFound):
            return None
        # Read after the descriptor was taken: the process that it is about cannot change any more.
        try:
            command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            command = []
        if command[1:3] == [b"--config", str(self._config).encode()] and process.alive:
            return process
        process.close()
        return None

    def _spawn(self, program: str) -> int:
        env = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
        pid = start_detached([program, "--config", str(self._config)], log=self._log, env=env)
        self._pidfile.write_text(f"{pid}\n")
        return pid

    async def _start(self) -> None:
        program = shutil.which(self._program)
        if program is None:
            raise NotFound(
                f"{self._program}: no such program", hint="install containerd, or name one with --containerd"
            )
        pid = self._spawn(program)
        process = Watched(pid)
        try:
            await self._answers(process, _READY_LIMIT_S)
        except BaseException:
            self._pidfile.unlink(missing_ok=True)
            process.kill(signal.SIGKILL)
            await process.ended()
            process.close()
            raise
        self._process = process
        log.info("containerd started", extra={"pid": pid, "address": self.address})

    def begin(self) -> None:
        """Start it, if none has outlived an earlier daemon, and do not wait: entering takes it back.

        It comes up while its user is busy with other things. `abandon` ends it if it is never entered.
        """
        self._prepare()
        survivor = self._survivor()
        if survivor is not None:
            survivor.close()
            return
        program = shutil.which(self._program)
        if program is not None:
            Watched(self._spawn(program)).close()

    def abandon(self) -> None:
        """End what `begin` began, if nobody has taken it back."""
        process = self._survivor()
        if process is not None:
            process.kill()
            process.close()
            self._pidfile.unlink(missing_ok=True)

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
                raise Unavailable("containerd ended at once", hint=f"see {self._log}")
            await asyncio.sleep(0.004)
        async with Containerd(self.address) as client:
            try:
                await client.version(limit_s=max(0.5, deadline - time.monotonic()))
                # Without its database containerd answers, and can do nothing.
                broken = [plugin.failure for plugin in await plugins(client, METADATA) if plugin.failure]
            except MobyError as error:
                raise Unavailable(f"containerd at {self.address} does not answer: {error}") from error
        if broken:
            raise Unavailable(f"containerd cannot work: {broken[0]}", hint=f"see {self._log}")

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
