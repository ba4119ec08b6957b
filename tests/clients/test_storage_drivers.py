"""Engines whose snapshots are no overlays: images, containers and what these change."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, Network


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(f"mobyt-{uuid.uuid4().hex[:8]}") as network:
        yield network


@pytest.fixture
def engine(request: pytest.FixtureRequest, place: Path, network: Network, archive: Path) -> Iterator[Engine]:
    """One with the storage driver that is the parameter; btrfs has a file system of its own."""
    driver = request.param
    engine = Engine(place / uuid.uuid4().hex[:8], network, KIND, ["--storage-driver", driver])
    data, disk = engine.root / "data", engine.root / "disk"
    data.mkdir()
    try:
        if driver == "btrfs":
            if shutil.which("mkfs.btrfs") is None or "btrfs" not in Path("/proc/filesystems").read_text():
                pytest.skip("needs btrfs")
            with disk.open("wb") as file:
                file.truncate(256 << 20)
            subprocess.run(["mkfs.btrfs", "--quiet", disk], check=True, capture_output=True)
            subprocess.run(["mount", "-o", "loop", disk, data], check=True)
        engine.start()
        engine.ok("load", "--input", archive)
        yield engine
    finally:
        engine.remove()


def blobs_and_snapshots(engine: Engine) -> list[str]:
    """What images have on disk."""
    data = engine.root / "data"
    found = [
        *data.rglob("blobs/sha256/*"),
        *data.rglob("snapshots/*"),
        *data.rglob("snapshotter.v1.btrfs/*/*"),
    ]
    return sorted(str(path) for path in found)


@pytest.mark.parametrize("engine", ["native", "btrfs"], indirect=True)
def test_what_a_container_changes_is_told_and_committed(engine: Engine) -> None:
    assert engine.ok("info", "--format", "{{.Driver}}") == engine.arguments[1]
    before = blobs_and_snapshots(engine)
    engine.ok(
        "run",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        "test -e /.dockerenv && echo new >/etc/x; rm /bin/ls; mkdir -p /a/b; echo c >/a/b/c",
    )
    told = engine.ok("diff", "box").splitlines()
    assert {"A /a", "A /a/b", "A /a/b/c", "C /bin", "D /bin/ls", "A /etc/x"} <= {*told}
    assert "A /.dockerenv" not in told
    image = engine.ok("commit", "box", "changed")
    assert engine.ok(
        "run", "--rm", "changed", "sh", "-c", "cat /etc/x /a/b/c; test -e /bin/ls || echo gone"
    ).split() == ["new", "c", "gone"]
    assert engine.ok("images", "--quiet", "--no-trunc", "changed") == image
    engine.ok("rm", "box")
    engine.ok("rmi", "changed")
    assert blobs_and_snapshots(engine) == before
    assert not list((engine.root / "data/containers").iterdir())


def test_a_storage_driver_that_does_not_work_here_is_refused(place: Path, network: Network) -> None:
    engine = Engine(place / uuid.uuid4().hex[:8], network, KIND, ["--storage-driver", "btrfs"])
    try:
        with pytest.raises(RuntimeError, match=r"storage driver btrfs is not available: .* must be a btrfs"):
            engine.start()
    finally:
        engine.remove()
