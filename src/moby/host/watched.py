"""This file is about processes that outlive us, or were somebody's children before: started and watched.

It is there before there is an event loop: asyncio is imported by those who wait.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from moby.core.errors import NotFound


def process_lives(pid: int) -> bool:
    """Is there a process that has not ended yet, collected by its parent or not?"""
    return _state(pid) not in ("", "Z", "X")


def process_is_stopped(pid: int) -> bool:
    """Does it wait for a SIGCONT, or for its debugger?"""
    return _state(pid) in ("T", "t")


def _state(pid: int) -> str:
    """See proc(5); empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if pid > 0 else ""
    except (OSError, IndexError):
        return ""


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
        return not self.ends_within(0)

    def ends_within(self, limit_ms: int) -> bool:
        """Wait for its end, without an event loop."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(limit_ms))

    async def ended(self) -> None:
        """Returns when the process has ended; any number may wait."""
        import asyncio

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
        import asyncio

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
