"""Copies on a file system that shares blocks: they take no room until they are changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from moby.volumes.copying import copy_tree

pytestmark = pytest.mark.kernel

_MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A btrfs of 256 MiB."""
    if shutil.which("mkfs.btrfs") is None or "btrfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("needs btrfs")
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(256 * _MIB)
    subprocess.run(["mkfs.btrfs", "--quiet", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_copy_shares_what_it_has_until_it_is_changed(disk: Path) -> None:
    source = disk / "source"
    source.mkdir()
    with (source / "large").open("wb") as file:
        for _ in range(80):
            file.write(os.urandom(_MIB))
    # Ten times what there is would not fit.
    for number in range(10):
        copy = disk / f"copy{number}"
        copy.mkdir()
        copy_tree(source, copy)
        assert (copy / "large").stat().st_size == 80 * _MIB
    with (disk / "copy3/large").open("r+b") as file:
        file.write(b"changed")
    assert (disk / "copy3/large").read_bytes()[7:] == (source / "large").read_bytes()[7:]
    assert (disk / "copy4/large").read_bytes() == (source / "large").read_bytes()
