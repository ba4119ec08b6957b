"""Places of an engine's own: what is mounted there is seen by nobody else, and is gone with the test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.clients.engine import Network


@contextmanager
def apart(network: Network, script: str, *arguments: str) -> Iterator[str]:
    """Engines of this network get mounts of their own, made by a shell script; the namespace's path."""
    whole = f"{script}\necho\nexec cat"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", whole, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"\n"
        before = network.enter
        mounts = f"/proc/{holder.pid}/ns/mnt"
        # The class says one word; nsenter takes more.
        network.enter = (*before, f"--mount={mounts}")  # type: ignore[assignment]
        try:
            yield mounts
        finally:
            network.enter = before
            holder.stdin.close()
