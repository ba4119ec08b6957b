"""The RAM disk that finds the root's disk: its drivers with all that they need, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from moby.framework.machine import Output
from moby.machine import first_stage as module
from moby.machine.first_stage import first_stage, needed, parse_dependencies
from moby.machine.job import Job
from moby.machine.tree import Node, Tree

LISTED = (
    "kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko\n"
    "kernel/drivers/virtio/virtio.ko:\nkernel/drivers/virtio/virtio_ring.ko:\nkernel/fs/squashfs/squashfs.ko:\n"
    "kernel/drivers/block/xen-blkfront.ko:\nkernel/net/other.ko: kernel/net/more.ko\n"
)


def test_modules_come_with_what_they_need() -> None:
    listed = parse_dependencies(LISTED)
    assert needed(listed, ["virtio-pci", "xen_blkfront", "built_in"]) == [
        "kernel/drivers/block/xen-blkfront.ko", "kernel/drivers/virtio/virtio.ko", "kernel/drivers/virtio/virtio_pci.ko",
        "kernel/drivers/virtio/virtio_ring.ko",
    ]  # fmt: skip


def job(folder: Path, **files: str) -> Job:
    tree = Tree()
    for path, text in files.items():
        tree.put(path.replace("__", "/").replace("_dot_", "."), Node(content=text.encode()))
    return Job(tree, "m", folder, folder, options=Output("x", "none"))


def test_a_machine_without_busybox_or_modules_has_none(tmp_path: Path) -> None:
    assert first_stage(job(tmp_path), "squashfs") is None
    assert first_stage(job(tmp_path, bin__busybox="b"), "squashfs") is None


def test_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Tree] = []

    def keep(tree: Tree, _moment: int) -> list[bytes]:
        kept.append(tree)
        return []

    monkeypatch.setattr(module, "cpio_stream", keep)
    made = job(
        tmp_path, bin__busybox="b", lib__modules__6__modules_dot_dep=LISTED,
        lib__modules__6__kernel__fs__squashfs__squashfs_dot_ko="s", lib__modules__6__kernel__net__other_dot_ko="o",
    )  # fmt: skip
    assert first_stage(made, "squashfs") is not None
    paths = [path for path, node in kept[0].sorted() if node.kind == "file"]
    assert paths == [
        "bin/busybox",
        "init",
        "lib/modules/6/kernel/fs/squashfs/squashfs.ko",
        "lib/modules/6/modules.dep",
    ]
    script = kept[0].get("init")
    assert script is not None
    assert b"mount -t squashfs -o ro" in script.read()
    subprocess.run(["sh", "-n"], input=script.read(), check=True)
