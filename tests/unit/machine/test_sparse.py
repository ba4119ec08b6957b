"""Disks that are mostly empty, and archives of them."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from moby.machine.sparse import PIECE, pieces, sparse_archive


def disk(path: Path, size: int, *filled: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for place in filled:
            file.seek(place)
            file.write(b"data")
    return path


def test_only_what_is_not_empty_is_read(tmp_path: Path) -> None:
    path = disk(tmp_path / "disk", 10 * PIECE + 7, 3 * PIECE - 2, 10 * PIECE)
    with path.open("r+b") as file:
        file.seek(6 * PIECE)
        file.write(bytes(PIECE))
    assert [(offset, len(data)) for offset, data in pieces(path)] == [
        (2 * PIECE, PIECE),
        (3 * PIECE, PIECE),
        (10 * PIECE, 7),
    ]


@pytest.mark.parametrize(
    ("size", "filled"),
    [
        (4 * PIECE, ()),
        (4 * PIECE, (0,)),
        (4 * PIECE, (3 * PIECE,)),
        (9 * PIECE + 5, (0, 2 * PIECE, 4 * PIECE, 6 * PIECE)),
        (200 * PIECE, tuple(range(0, 200 * PIECE, 4 * PIECE))),
        (9 << 30, (0, (9 << 30) - 4)),
    ],
)
def test_an_archive_of_a_disk_is_small_and_others_read_it(
    tmp_path: Path, size: int, filled: tuple[int, ...]
) -> None:
    path = disk(tmp_path / "disk.raw", size, *filled)
    data = b"".join(sparse_archive(path, "disk.raw", 86400))
    assert len(data) < (len(filled) + 1) * PIECE + 8192
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        [member] = archive.getmembers()
        assert (member.name, member.size, member.mtime, member.mode) == ("disk.raw", size, 86400, 0o644)
        content = archive.extractfile(member)
        assert content is not None
        for place in filled:
            content.seek(place)
            assert content.read(4) == b"data"
    (tmp_path / "out").mkdir()
    (tmp_path / "archive.tar").write_bytes(data)
    subprocess.run(["tar", "-C", tmp_path / "out", "-xf", tmp_path / "archive.tar"], check=True)
    assert list(pieces(tmp_path / "out/disk.raw")) == list(pieces(path))
    assert (tmp_path / "out/disk.raw").stat().st_size == size
