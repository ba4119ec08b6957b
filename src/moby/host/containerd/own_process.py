"""This file is about a containerd of our own as a process: its files, its start, and how it is found again.

It begins before there is an event loop, and comes up while the rest of its user is still being imported.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from moby.core.errors import NotFound
from moby.host.files import write_atomic
from moby.host.watched import Watched, start_detached

# What a service manager tells us is not for containerd: it would say in our name that it is ready.
_OURS_ALONE = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC")

_NAMED_LIMIT_S = 1.0
# The processes that were begun here: some of them may not answer yet.
_BEGUN: set[int] = set()

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


class ContainerdProcess:
    """Directories, a configuration, and the process that has been started with it.

    Life: `begin` starts one if none has outlived an earlier daemon; whoever watches it finds it by
    `survivor`, or starts another by `spawn`; `abandon` ends what `begin` began.
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
        self.state = state
        self.program = program
        self._level = level
        # Where it is not used it only warns of other file systems.
        self._left_out = "" if btrfs else '\n  "io.containerd.snapshotter.v1.btrfs",'

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self.state / "containerd.sock")

    @property
    def log(self) -> Path:
        """What it says."""
        return self.state / "containerd.log"

    @property
    def pidfile(self) -> Path:
        """The file that names the process."""
        return self.state / "containerd.pid"

    @property
    def _config(self) -> Path:
        return self.state / "containerd.toml"

    def prepare(self) -> bool:
        """Make the directories and the configuration; was it so already?"""
        for directory in (self.root, self.state):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o711)
        config = _CONFIG.format(
            root=self.root,
            state=self.state / "state",
            socket=self.address,
            level=self._level,
            left_out=self._left_out,
        )
        if self._config.exists() and self._config.read_text() == config:
            return True
        write_atomic(self._config, config.encode(), 0o600)
        return False

    def survivor(self) -> Watched | None:
        """A containerd with our configuration: the pid file names it, or it is found if that was lost."""
        try:
            pid = int(self.pidfile.read_text())
        except (OSError, ValueError):
            pid = 0
        if pid and (process := self._ours(pid)) is not None:
            return process
        others = (int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != pid)
        return next((process for other in others if (process := self._ours(other)) is not None), None)

    def _is_named(self, pid: int) -> bool:
        """Does the process's command line name our configuration?"""
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return command[1:3] == [b"--config", str(self._config).encode()]

    def _ours(self, pid: int) -> Watched | None:
        """The process, if it is (still) a containerd with our configuration."""
        if not self._is_named(pid):
            return None
        try:
            process = Watched(pid)
        except (OSError, NotFound):
            return None
        # Read again after the descriptor was taken: the process that it is about cannot change any more.
        if self._is_named(pid) and process.alive:
            return process
        process.close()
        return None

    def spawn(self) -> Watched:
        """Start one. Raises NotFound without the program."""
        program = shutil.which(self.program)
        if program is None:
            raise NotFound(
                f"{self.program}: no such program", hint="install containerd, or name one with --containerd"
            )
        env = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
        pid = start_detached([program, "--config", str(self._config)], log=self.log, env=env)
        self.pidfile.write_text(f"{pid}\n")
        process = Watched(pid)
        # For a moment after exec it has no command line, which is what whoever looks for it knows it by.
        deadline = time.monotonic() + _NAMED_LIMIT_S
        while not self._is_named(pid) and time.monotonic() < deadline and not process.ends_within(1):
            pass
        return process

    def begin(self) -> None:
        """Start it, if none has outlived an earlier daemon, and do not wait. `abandon` undoes it.

        Raises NotFound without the program.
        """
        self.prepare()
        process = self.survivor()
        if process is None:
            process = self.spawn()
            _BEGUN.add(process.pid)
        process.close()

    def begun(self, process: Watched) -> bool:
        """Has this one been begun here, so that it may have much to read before it answers?"""
        return process.pid in _BEGUN

    def abandon(self) -> None:
        """End what `begin` began, or what has been started instead of it, if nobody has ended it yet."""
        process = self.survivor()
        if process is not None:
            process.kill()
            process.close()
            self.pidfile.unlink(missing_ok=True)
