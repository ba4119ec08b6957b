"""The RAM disk's compression."""

from __future__ import annotations

import random

import pytest
import zstandard

from moby.machine import initrd


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [bytes(random.Random(seed).choices(b"abcdef", k=50_000)) for seed in range(100)]
    found = set()
    for threads in (1, 2, 4):
        monkeypatch.setattr(initrd, "_ZSTD_THREADS", threads)
        found.add(b"".join(initrd.compressed(words, "zstd")))
    (packed,) = found
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == b"".join(words)
