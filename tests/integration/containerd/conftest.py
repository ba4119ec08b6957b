"""A containerd of its own for each test, with a root file system made of busybox."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moby.core.digest import digest_of
from moby.host.containerd.client import Containerd
from moby.host.containerd.managed import ManagedContainerd
from moby.host.containerd.own_process import ContainerdProcess
from moby.images.stores.containerd import ContainerdImages
from tests.integration.containerd.machine import Machine
from tests.leftovers import mounts, processes


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short path, as sockets need; nothing may run or be mounted below it afterwards."""
    path = Path(tempfile.mkdtemp(prefix="mby-", dir="/tmp"))
    yield path
    left = (*mounts(str(path)), *processes(str(path)))
    for process in processes(str(path)):
        os.kill(int(process.partition(":")[0]), signal.SIGKILL)
    for mount in mounts(str(path)):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(path)
    assert not left, f"left behind: {left}"


@pytest.fixture
async def managed(directory: Path) -> AsyncIterator[ManagedContainerd]:
    """It runs."""
    async with ManagedContainerd(ContainerdProcess(directory / "root", directory / "run")) as daemon:
        yield daemon


@pytest.fixture
async def client(managed: ManagedContainerd) -> AsyncIterator[Containerd]:
    """Connected to it, in a namespace of ours."""
    async with Containerd(managed.address, "moby-test") as connection:
        await connection.ensure_namespace()
        yield connection


@pytest.fixture
def images(client: Containerd) -> ContainerdImages:
    """Its images."""
    return ContainerdImages(client)


@pytest.fixture(scope="session")
def layer() -> bytes:
    """A tar of a root file system in which busybox runs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "proc", "dev", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        program = Path("/bin/busybox").read_bytes()
        for name, data, mode in (("bin/busybox", program, 0o755), ("plain", b"text", 0o644)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
        for name in ("sh", "sleep", "true", "cat", "mkdir", "grep"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return out.getvalue()


@pytest.fixture
async def machine(
    client: Containerd, images: ContainerdImages, layer: bytes, directory: Path
) -> AsyncIterator[Machine]:
    """Ready to run tasks; ends what is left of them."""
    made = Machine(client, images, directory / "runtime")
    await made.unpack(layer, digest_of(layer))
    yield made
    await made.clear()
