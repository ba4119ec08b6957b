"""This file is about moving a process between control groups, for which the kernel has to be made ready.

Processes are forked without a lock as long as nobody moves any. Who moves the first one for a while, as an
OCI runtime does, waits until every processor has noticed (a grace period of RCU, 5 to 20 ms; percpu-rwsem
in Linux's kernel/cgroup/cgroup.c). What is begun here is waited for while something else is done.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from moby.host.threads import Threads

_ROOT = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")


class Moves:
    """Makes the kernel ready for a move that is to come, as often as it is asked to."""

    def __init__(self, root: Path = _ROOT, own: Path = _SELF) -> None:
        self._threads = Threads("moves", 1)
        self._begun: asyncio.Future[None] | None = None
        self._root, self._own = root, own
        self._place: Path | None = None

    def expect(self) -> None:
        """A process will be moved soon. It will be all the same where this cannot help."""
        if self._begun is None or self._begun.done():
            self._begun = self._threads.begin(self._stay)

    def _stay(self) -> None:
        """Move this process to where it is: nothing changes, and the next move does not wait."""
        try:
            self._place = self._place or _place(self._root, self._own)
            self._place.write_text(str(os.getpid()))
        except OSError:
            # It may have been moved by somebody else.
            self._place = None


def _place(root: Path, own: Path) -> Path:
    """The file that lists our control group's processes. Raises OSError."""
    for line in own.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        names = ("", "unified") if not controllers else (controllers.removeprefix("name="),)
        for name in names:
            if (found := root / name / path.lstrip("/") / "cgroup.procs").exists():
                return found
    raise FileNotFoundError(own)
