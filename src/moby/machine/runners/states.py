"""This file is about machines that run by themselves: each has a folder with all that it is started from.

A machine's folder outlives it, so that it can be started again as it was, with its disks.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, System, Unavailable
from moby.host.files import translation, write_atomic
from moby.host.watched import Watched, start_detached
from moby.machine.runners.qmp import SOCKET, owner, talking

CONSOLE = "console.log"
_SAID = "qemu.log"
_FILE = "machine.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_STARTED_LIMIT_S = 20.0
_PAUSE_S = 0.05
_BUTTON_S = 3.0


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a machine is started: qemu's arguments, those of what serves it, and what people ask about it."""

    argv: list[str]
    servers: list[list[str]] = []
    source: str = ""
    ports: list[str] = []
    ssh: int = 0
    """The port here that leads to the machine's 22; 0 for none."""


def default_states() -> Path:
    """Where a user's machines are: `$XDG_STATE_HOME/moby/machines`, or below `~/.local/state`."""
    home = os.environ.get("XDG_STATE_HOME") or ""
    return (Path(home) if home.startswith("/") else Path.home() / ".local" / "state") / "moby" / "machines"


class State:
    """A machine's folder."""

    def __init__(self, root: Path, name: str) -> None:
        """Raises InvalidParameter for what is no name."""
        if not _NAME.fullmatch(name):
            raise InvalidParameter(f"{name!r} is no name of a machine", hint="letters, digits, . _ -")
        self.name = name
        self.folder = root / name

    @property
    def console(self) -> Path:
        """What the machine's console shows."""
        return self.folder / CONSOLE

    def load(self) -> Machine:
        """How it is started. Raises NotFound, System."""
        try:
            return msgspec.json.decode((self.folder / _FILE).read_bytes(), type=Machine)
        except FileNotFoundError as error:
            raise NotFound(f"there is no machine {self.name}", hint="moby ps") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
            raise System(f"the machine {self.name} cannot be read: {error}") from error

    def save(self, machine: Machine) -> None:
        """Keep how it is started: from then on it is listed."""
        with translation(f"cannot keep the machine {self.name}"):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self.folder / _FILE, msgspec.json.encode(machine), 0o600)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else starts, stops or removes it meanwhile. Raises Conflict."""
        with translation(f"cannot use {self.folder}"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.folder / "lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise Conflict(f"somebody else is at the machine {self.name}") from error
                yield

    async def pid(self) -> int:
        """The process that runs it, or 0."""
        return owner(self.folder)

    async def start(self) -> None:
        """Start it as it was saved. Raises Conflict if it runs, System with qemu's words if it cannot.

        Cancellation: it runs or not, and `stop` ends it.
        """
        machine = self.load()
        if await self.pid():
            raise Conflict(f"the machine {self.name} runs already")
        with translation(f"cannot start the machine {self.name}"):
            for gone in (SOCKET, _SAID, "known_hosts"):
                (self.folder / gone).unlink(missing_ok=True)
            for argv in machine.servers:
                start_detached(argv, log=self.folder / _SAID)
            pid = start_detached(machine.argv, log=self.folder / _SAID)
        with closing(Watched(pid)) as process:
            try:
                async with asyncio.timeout(_STARTED_LIMIT_S):
                    while not await self.pid():
                        if not process.alive:
                            await process.ended()
                            raise System(f"qemu: {self._last_words()}")
                        await asyncio.sleep(_PAUSE_S)
            except TimeoutError as error:
                process.kill(signal.SIGKILL)
                raise System(f"the machine {self.name} did not start") from error

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = (self.folder / _SAID).read_text(errors="replace").strip().splitlines()
            if lines:
                return lines[-1].partition("qemu-system-")[2].partition(": ")[2] or lines[-1]
        return "it ended at once"

    async def stop(self, limit_s: float) -> bool:
        """Ask it to shut down, and end it after a while; whether it went by itself, or did not run."""
        self.load()
        pid = owner(self.folder)
        if not pid:
            return True
        try:
            process = Watched(pid)
        except NotFound:
            return True
        with closing(process):
            if await _went_by_itself(self.folder, process, limit_s):
                return True
            await process.terminate()
        return False

    async def remove(self) -> None:
        """Remove it with its disks. Raises Conflict if it runs."""
        if await self.pid():
            raise Conflict(f"the machine {self.name} runs", hint="moby stop, or -f")
        with translation(f"cannot remove the machine {self.name}"):
            shutil.rmtree(self.folder)


async def _went_by_itself(folder: Path, process: Watched, limit_s: float) -> bool:
    """Push the machine's button until it is off: at its start nobody feels that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while process.alive:
                with suppress(Unavailable):
                    async with talking(folder) as qemu:
                        await qemu.execute("system_powerdown")
                with suppress(TimeoutError):
                    async with asyncio.timeout(_BUTTON_S):
                        await process.ended()
            return True
    return False


def every(root: Path) -> list[State]:
    """Every machine, by name."""
    return [
        State(root, path.parent.name)
        for path in sorted(root.glob(f"*/{_FILE}"))
        if _NAME.fullmatch(path.parent.name)
    ]


async def described(state: State) -> tuple[str, str, str, str]:
    """Name, whether it runs, what it was made of, its ports."""
    try:
        machine = state.load()
    except MobyError as error:
        return state.name, "broken", error.message, ""
    status = "running" if await state.pid() else "stopped"
    return state.name, status, machine.source, ", ".join(machine.ports)
