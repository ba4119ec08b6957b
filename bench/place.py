"""Where both engines are measured: one fresh file system, a network namespace and a registry for each."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.clients.engine import ROOT, Engine, Network
from tests.clients.registry import registry

# Creating a file on a large, full file system costs up to forty times more: both sides get a fresh one.
IMAGE_SIZE = 12 << 30
REGISTRY = "127.0.0.1:5005"


@contextlib.contextmanager
def file_system() -> Iterator[Path]:
    """A new ext4 in a sparse file, mounted for the block."""
    work = Path(tempfile.mkdtemp(prefix="mobyb-", dir="/var/tmp"))
    image, mount = work / "disk", work / "m"
    mount.mkdir()
    try:
        with image.open("wb") as file:
            file.truncate(IMAGE_SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
        try:
            yield mount
        finally:
            subprocess.run(["umount", mount], check=False)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class Side:
    """One of the two that are compared: an engine, and the name of its column."""

    def __init__(self, name: str, engine: Engine, files: Path) -> None:
        self.name = name
        self.engine = engine
        # Where measurements that serve both sides keep what they make.
        self.files = files


@contextlib.contextmanager
def side(name: str, kind: str, mount: Path, archive: Path) -> Iterator[Side]:
    """An engine that is up and has busybox, in a namespace of its own: nothing is left in the host's."""
    with Network(f"mobyb-{name}-{os.getpid()}") as network:
        engine = Engine(mount / name, network, kind)
        try:
            engine.start()
            engine.ok("load", "--input", archive)
            with registry(network, mount / "registry", REGISTRY):
                yield Side(name, engine, mount / "files")
        finally:
            engine.remove()


@contextlib.contextmanager
def sides(kinds: dict[str, str]) -> Iterator[list[Side]]:
    """Both sides, ready; `kinds` maps a column's name to the engine that it shows."""
    with file_system() as mount, contextlib.ExitStack() as stack:
        archive = mount / "busybox.tar"
        (mount / "files").mkdir()
        subprocess.run([sys.executable, ROOT / "components/busybox/build.py", archive], check=True)
        yield [stack.enter_context(side(name, kind, mount, archive)) for name, kind in kinds.items()]


def describe(engine: Engine) -> str:
    """What an engine says it is."""
    return str(json.loads(engine.ok("version", "--format", "{{json .Server}}"))["Version"])
