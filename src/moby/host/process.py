"""This file is about processes: our children, and processes that were somebody's children before."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from moby.core.errors import NotFound, System


class Result(msgspec.Struct, frozen=True):
    """How a child ended, and what it printed."""

    code: int
    out: bytes
    err: bytes


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes | Path | None = None,
    limit_s: float = 60.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Result:
    """Run a program to its end; it reads bytes or a file. Raises NotFound if there is none, System if late.

    Cancellation: the program is killed and reaped; what it had done by then stays.
    """
    source = stdin.open("rb") if isinstance(stdin, Path) else None
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=source or (subprocess.DEVNULL if stdin is None else subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise NotFound(f"{argv[0]}: no such program") from error
    except OSError as error:
        raise System(f"cannot run {argv[0]}: {(error.strerror or '').lower()}") from error
    finally:
        if source is not None:
            source.close()
    try:
        async with asyncio.timeout(limit_s):
            out, err = await child.communicate(stdin if isinstance(stdin, bytes) else None)
    except TimeoutError as error:
        raise System(f"{argv[0]} did not end within {limit_s:g} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            # Killed, so that this is short; it also closes the pipes.
            await asyncio.shield(child.wait())
    return Result(child.returncode or 0, out, err)


async def check(argv: Sequence[str], *, stdin: bytes | None = None, limit_s: float = 60.0) -> bytes:
    """What a program prints. Raises as `run` does, and System with its last words if it fails."""
    result = await run(argv, stdin=stdin, limit_s=limit_s)
    if result.code != 0:
        words = (result.err or result.out).decode(errors="replace").strip().splitlines()
        raise System(f"{argv[0]}: {words[-1] if words else f'exit code {result.code}'}")
    return result.out


@asynccontextmanager
async def running(argv: Sequence[str], *, output: Path | None = None) -> AsyncIterator[Running]:
    """A program that runs while the block does: with our own terminal, or what it prints going to `output`.

    At the end of the block it is asked to end, and killed if it does not within two seconds. Raises NotFound.
    """
    log = None if output is None else output.open("wb")
    try:
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=None if log is None else subprocess.DEVNULL, stdout=log, stderr=log
        )
    except FileNotFoundError as error:
        raise NotFound(f"{argv[0]}: no such program") from error
    finally:
        if log is not None:
            log.close()
    try:
        yield Running(child)
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(2):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await asyncio.shield(child.wait())


class Running:
    """A child that has not been waited for."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @property
    def code(self) -> int | None:
        """The exit code, if it has ended."""
        return self._child.returncode

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        return await self._child.wait()


def process_lives(pid: int) -> bool:
    """Is there a process that has not ended yet, collected by its parent or not (proc(5))?"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return pid > 0 and state not in ("Z", "X")


def start_detached(argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a program in a session of its own, its output appended to `log`; it outlives us. Its pid."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            close_fds=True,
            env=None if env is None else dict(env),
        )
    # Popen complains when it is collected before its child ended; whoever watches the pid reaps it.
    child.returncode = 0
    return child.pid


class Watched:
    """A process by its pidfd: whosever child it is, its end is noticed and its pid cannot be mistaken."""

    def __init__(self, pid: int) -> None:
        """Raises NotFound if there is no such process."""
        self.pid = pid
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError as error:
            raise NotFound(f"no such process: {pid}") from error

    @property
    def alive(self) -> bool:
        """Has it not ended yet? A child that nobody has reaped has ended."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return not poll.poll(0)

    async def ended(self) -> None:
        """Returns when the process has ended; any number may wait."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        # An event loop has one reader a descriptor.
        descriptor = os.dup(self._descriptor)
        try:
            loop.add_reader(descriptor, done.set)
            await done.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._reap()

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Send a signal; no error if it has ended."""
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return

    async def terminate(self, limit_s: float = 10.0) -> None:
        """SIGTERM, and SIGKILL if it has not ended within `limit_s`."""
        self.kill()
        try:
            async with asyncio.timeout(limit_s):
                await self.ended()
        except TimeoutError:
            self.kill(signal.SIGKILL)
            await self.ended()

    def _reap(self) -> None:
        if self._descriptor < 0:
            return
        try:
            os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return

    def close(self) -> None:
        """Free the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
