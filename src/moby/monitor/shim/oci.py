"""This file is about calling an OCI runtime: crun or runc, as runc(8) has its arguments."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Literal

import msgspec

from moby.core.errors import System
from moby.monitor.loop import Children
from moby.monitor.shim import crun_state
from moby.monitor.shim.sealed import SealedProgram

# Read once, by the fork server: to go through `os.environ` changes memory that is shared until then.
_ENVIRONMENT = dict(os.environ)
_SIGNALS = (
    signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ,
)  # fmt: skip


class _Line(msgspec.Struct):
    """A line of a runtime's log."""

    level: str = ""
    msg: str = ""


class OciRuntime:
    """One container's calls to its runtime; what goes wrong is read from the log that it writes."""

    def __init__(
        self,
        children: Children,
        binary: str,
        root: str,
        bundle: str,
        container: str,
        sealed: SealedProgram | None,
    ) -> None:
        self._children = children
        self._root = root
        self._bundle = bundle
        self._container = container
        self._sealed = sealed
        self.binary = binary
        self._is_crun = os.path.basename(binary) == "crun"

    @property
    def state(self) -> str:
        """Where the runtime keeps what it knows of the container."""
        return os.path.join(self._root, self._container)

    async def create(self, stdio: Sequence[int], console: str) -> int:
        """Make the container; the pid of its first process. Raises System."""
        # Of a crash in the middle of an earlier one.
        await self.delete(force=True)
        options = ["--bundle", self._bundle]
        return await self._begun("create", options, [self._container], "init", stdio, console)

    async def restore(self, path: str, stdio: Sequence[int], console: str) -> int:
        """Let it go on from a checkpoint; the pid of its first process. Raises System."""
        options = ["--bundle", self._bundle, "--detach", *self._criu_options(path)]
        try:
            return await self._begun("restore", options, [self._container], "init", stdio, console)
        finally:
            _remove_directory(self._criu_work)

    async def checkpoint(self, path: str, options: Sequence[str]) -> None:
        """Write its state into a directory. Raises System, naming CRIU's own log in the bundle."""
        try:
            await self._call("checkpoint", [*options, *self._criu_options(path), self._container])
        except System as error:
            log = self._file("criu-dump", "log")
            with contextlib.suppress(OSError):
                os.replace(os.path.join(self._criu_work, "dump.log"), log)
            raise System(f"{error.message.splitlines()[0]} path= {log}") from error
        finally:
            _remove_directory(self._criu_work)

    @property
    def _criu_work(self) -> str:
        return os.path.join(self._bundle, "criu-work")

    def _criu_options(self, path: str) -> Sequence[str]:
        return ["--image-path", path, "--work-path", self._criu_work]

    async def execute(self, name: str, process: bytes, stdio: Sequence[int], console: str) -> int:
        """One more process; its pid. Raises System."""
        path = self._file(name, "json")
        _write(path, process)
        try:
            options = ["--process", path, "--detach"]
            return await self._begun("exec", options, [self._container], name, stdio, console)
        finally:
            for left in (path, self._file(name, "pid"), self._file(name, "log")):
                _remove(left)

    def _file(self, name: str, kind: str) -> str:
        return os.path.join(self._bundle, f"{name}.{kind}")

    async def _begun(
        self,
        verb: str,
        options: Sequence[str],
        arguments: Sequence[str],
        name: str,
        stdio: Sequence[int],
        console: str,
    ) -> int:
        pid_file = self._file(name, "pid")
        options = [*options, "--pid-file", pid_file]
        if console:
            options += ["--console-socket", console]
        await self._call(verb, [*options, *arguments], stdio, log=self._file(name, "log"))
        return _number(pid_file, verb)

    async def start(self) -> None:
        """Run the program."""
        if not (self._is_crun and crun_state.begin(self.state)):
            await self._call("start", [self._container])

    async def delete(self, *, force: bool = False) -> None:
        """Free what is left; with `force`, also of one that runs. No error if there is nothing."""
        if not os.path.exists(self.state):
            return
        if not force and self._is_crun and crun_state.remove(self.state):
            return
        try:
            await self._call("delete", ["--force", self._container] if force else [self._container])
        except System:
            if not force:
                raise
            # What a runtime that was killed has left cannot be read by the next one.
            _remove_directory(self.state)

    async def change(self, verb: Literal["pause", "resume"]) -> None:
        """Freeze and thaw."""
        await self._call(verb, [self._container])

    async def kill_everyone(self, number: int) -> None:
        """A signal for every process."""
        await self._call("kill", ["--all", self._container, str(number)])

    async def update(self, resources: bytes) -> None:
        """Set limits."""
        path = os.path.join(self._bundle, "resources.json")
        _write(path, resources)
        try:
            await self._call("update", ["--resources", path, self._container])
        finally:
            _remove(path)

    async def _call(
        self, verb: str, arguments: Sequence[str], stdio: Sequence[int] = (), *, log: str = ""
    ) -> None:
        path = log or self._file("runtime", "log")
        argv = [self.binary, "--root", self._root]
        if os.path.isdir(self._bundle):
            argv += ["--log", path, "--log-format", "json"]
        argv += [verb, *arguments]
        try:
            pid = self._spawn(argv, stdio)
        except OSError as error:
            raise System(f"OCI runtime {verb} failed: cannot run {self.binary}: {error}") from error
        status = await self._children.end_of(pid)
        if status:
            killed = f"{os.path.basename(self.binary)} did not terminate successfully: exit status {status}"
            raise System(f"OCI runtime {verb} failed: {_last_error(path) or killed}")

    def _spawn(self, argv: list[str], stdio: Sequence[int]) -> int:
        sealed = self._sealed
        if sealed is not None and sealed.is_still(self.binary):
            # A security module may forbid to run what has no path.
            with contextlib.suppress(OSError):
                return self._run(sealed.executable, argv, stdio)
        return self._run(self.binary, argv, stdio)

    def _run(self, program: str, argv: list[str], stdio: Sequence[int]) -> int:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        # The container inherits it from the runtime.
        umask = os.umask(0o022)
        try:
            return os.posix_spawnp(
                program,
                argv,
                _ENVIRONMENT,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, given if given >= 0 else null, number)
                    for number, given in enumerate(stdio or (null, null, null))
                ],
                setsigmask=(),
                setsigdef=_SIGNALS,
            )
        finally:
            os.umask(umask)
            os.close(null)


def _number(path: str, verb: str) -> int:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError) as error:
        raise System(f"OCI runtime {verb} failed: no process: {error}") from error


def _last_error(path: str) -> str:
    """What the runtime wrote last of what went wrong."""
    found = ""
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    for line in lines:
        with contextlib.suppress(msgspec.MsgspecError):
            entry = msgspec.json.decode(line, type=_Line)
            if entry.level in ("error", "fatal") or not entry.level:
                found = entry.msg
    return found.strip()


def _write(path: str, data: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise System(f"cannot write {path}: {error.strerror}") from error


def _remove_directory(path: str) -> None:
    for directory, names, files in os.walk(path, topdown=False):
        for name in files:
            _remove(os.path.join(directory, name))
        for name in names:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(directory, name))
    with contextlib.suppress(OSError):
        os.rmdir(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
