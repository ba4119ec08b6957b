"""Machines that run by themselves in tests: started, asked, and removed whatever happens."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from moby.machine.formats import FORMATS
from moby.machine.sparse import pieces

MINIMAL = Path(__file__).resolve().parents[3] / "assemblies" / "minimal.yml"
# dynamic-vhd has the name of vhd, and rpi3 is for another platform.
FORMS = [name for name in FORMATS if name not in ("dynamic-vhd", "rpi3")]
_PAUSE_S = 0.25


class Built(NamedTuple):
    """What was built, and a hash of each file as it was before anybody ran it."""

    folder: Path
    sums: dict[str, str]


def sums(folder: Path) -> dict[str, str]:
    """A hash of each file; what is empty of it is not read."""
    found = {}
    for path in sorted(folder.iterdir()):
        whole = hashlib.sha256(b"%d" % path.stat().st_size)
        for offset, chunk in pieces(path):
            whole.update(b"%d:" % offset + chunk)
        found[path.name] = whole.hexdigest()
    return found


@contextmanager
def machine(state: Path, name: str, *arguments: str) -> Iterator[Callable[[], str]]:
    """A machine that was run with `--detach`; what it yields tells its console."""

    def console() -> str:
        path = state / name / "console.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    try:
        moby("run", "--detach", "--state", str(state), "--name", name, "--accel", "tcg", *arguments)
        yield console
    finally:
        moby("rm", "--force", "--state", str(state), name)


def moby(*words: str) -> str:
    """The command itself, a process of its own: machines are started side by side."""
    argv = [sys.executable, "-m", "moby.cli.moby", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def until(true: Callable[[], bool], limit_s: float, console: Callable[[], str]) -> None:
    """Wait for it; fails with what the console shows."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"not within {limit_s} s; the console's last words:\n{console()}"
        time.sleep(_PAUSE_S)


def answers(port: int, text: str) -> bool:
    """Is there a page with this text? Who asks before the network is there is never told, and has to ask again."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as page:
            return text in page.read().decode()
    except (urllib.error.URLError, OSError):
        return False
