"""Blobs written where containerd keeps them."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from moby.core.errors import NotFound, Unavailable
from moby.host.containerd.blob_files import BlobFiles

DATA = os.urandom(100_000)
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


async def all_of(files: BlobFiles, digest: str, offset: int = 0) -> bytes:
    return b"".join([chunk async for chunk in files.read(digest, offset)])


async def test_a_blob_without_a_name_leaves_nothing_until_it_is_placed(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path)
    blob = files.blob()
    await blob.open()
    await blob.write(DATA)
    assert await blob.finish() == DIGEST
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    await blob.place(DIGEST)
    await blob.place(DIGEST)
    await blob.close()
    assert await all_of(files, DIGEST) == DATA
    assert await all_of(files, DIGEST, 99_000) == DATA[99_000:]
    (found,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert found.stat().st_mode & 0o777 == 0o444


async def test_what_was_lost_before_it_was_taken_in_is_placed_again(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path)
    blob = files.blob("resumed-a")
    await blob.open()
    await blob.write(DATA)
    await blob.finish()
    await blob.place(DIGEST)
    next(path for path in tmp_path.rglob(DIGEST[7:])).unlink()
    with pytest.raises(NotFound):
        await all_of(files, DIGEST)
    await blob.place(DIGEST)
    await blob.close()
    assert await all_of(files, DIGEST) == DATA


async def test_under_a_name_it_is_gone_on_with_until_it_is_done(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path)
    first = files.blob("resumed-a/b")
    await first.open()
    await first.write(DATA[:1000])
    await first.close()
    second = files.blob("resumed-a/b")
    await second.open()
    assert second.size == 1000
    await second.write(DATA[1000:])
    assert await second.finish() == DIGEST
    await second.done()
    await second.close()
    third = files.blob("resumed-a/b")
    await third.open()
    assert third.size == 0
    await third.close()


async def test_what_was_left_can_be_begun_anew(tmp_path: Path) -> None:
    blob = BlobFiles(tmp_path).blob("resumed-a")
    await blob.open()
    await blob.write(b"something else")
    await blob.restart()
    await blob.write(DATA)
    assert await blob.finish() == DIGEST
    assert blob.size == len(DATA)
    await blob.close()


async def test_two_do_not_write_under_one_name(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path)
    first, second = files.blob("resumed-a"), files.blob("resumed-a")
    await first.open()
    with pytest.raises(Unavailable, match="written by somebody else"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()
    await second.close()


async def test_unfinished_blobs_are_forgotten_after_a_day_or_when_asked(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path)
    for name in ("old", "mine", "other"):
        blob = files.blob(name)
        await blob.open()
        await blob.write(b"x")
        await blob.close()
    os.utime(tmp_path / "incoming/old", (1000, 1000))
    blob = files.blob("mine")
    await blob.open()
    assert sorted(os.listdir(tmp_path / "incoming")) == ["mine", "other"]
    await files.forget(but=frozenset({"mine"}))
    assert os.listdir(tmp_path / "incoming") == ["mine"]
    await files.forget("mine")
    await files.forget("mine")
    assert not os.listdir(tmp_path / "incoming")
    await blob.close()


def test_small_blobs_and_other_digests_are_sent(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path)
    assert files.takes(0, "")
    assert files.takes(1 << 20, DIGEST)
    assert not files.takes(1000, DIGEST)
    assert not files.takes(1 << 20, f"sha512:{'a' * 128}")


async def test_file_systems_without_nameless_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refusing(path: str, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "no")
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refusing)
    files = BlobFiles(tmp_path)
    blob = files.blob()
    await blob.open()
    await blob.write(DATA)
    await blob.finish()
    await blob.place(DIGEST)
    await blob.done()
    await blob.close()
    assert await all_of(files, DIGEST) == DATA
    assert not os.listdir(tmp_path / "incoming")


async def test_a_large_blob_is_on_its_way_to_disk_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    place = "moby.host.containerd.blob_files.begin_writing"
    monkeypatch.setattr(place, lambda _, begin, size: told.append((begin, size)))
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming/mine").write_bytes(bytes(1 << 20))
    blob = BlobFiles(tmp_path).blob("mine")
    await blob.open()
    for _ in range(20):
        await blob.write(bytes(1 << 20))
    await blob.finish()
    assert told == [((1 << 20) + n * (8 << 20), 8 << 20) for n in range(2)]
    await blob.restart()
    for _ in range(8):
        await blob.write(bytes(1 << 20))
    await blob.finish()
    assert told[2:] == [(0, 8 << 20)]
    await blob.done()
    await blob.close()
