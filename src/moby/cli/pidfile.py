"""This file is about the file that says which process the daemon is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from moby.core.errors import Conflict


@contextlib.contextmanager
def pidfile(path: str) -> Iterator[None]:
    """There while the block runs. Raises Conflict if a living process is named in it."""
    if not path:
        yield
        return
    file = Path(path)
    other = _living(file)
    if other and other != os.getpid():
        raise Conflict(
            f"failed to start daemon, ensure docker is not running or delete {file}: "
            f"process with PID {other} is still running"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{os.getpid()}")
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            if file.read_text().strip() == str(os.getpid()):
                file.unlink()


def _living(file: Path) -> int:
    """The daemon named in the file, 0 if there is none; another program with its number does not count."""
    try:
        number = int(file.read_text())
        command = Path(f"/proc/{number}/cmdline").read_bytes()
    except (OSError, ValueError):
        return 0
    return number if b"mobyd" in command or b"dockerd" in command else 0
