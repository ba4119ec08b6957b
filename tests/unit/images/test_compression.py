"""Compressed streams of every kind, whole, cut and hostile."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import AsyncIterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from moby.core.errors import InvalidParameter
from moby.images.compression import STEP, decoder, detect, peek, plain

DATA = os.urandom(200_000) + bytes(5_000_000)
PACKED = {
    "gzip": gzip.compress(DATA),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress(DATA),
    "xz": lzma.compress(DATA, preset=0),
    "bzip2": bz2.compress(DATA),
    "": DATA,
}


async def pieces(data: bytes, step: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


@pytest.mark.parametrize("kind", PACKED)
async def test_content_comes_out(kind: str) -> None:
    assert detect(PACKED[kind][:10]) == kind
    assert b"".join([chunk async for chunk in plain(pieces(PACKED[kind]))]) == DATA


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz", "bzip2"])
async def test_several_members_are_one_stream(kind: str) -> None:
    found = [chunk async for chunk in plain(pieces(PACKED[kind] * 2))]
    assert b"".join(found) == DATA * 2


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz", "bzip2"])
async def test_cut_and_broken_streams_are_refused(kind: str) -> None:
    packed = PACKED[kind]
    for bad in (packed[:-20], packed[:1000] + b"\xff" * 1000 + packed[2000:]):
        with pytest.raises(InvalidParameter, match="cannot decompress"):
            _ = [chunk async for chunk in plain(pieces(bad))]


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2"])
def test_bomb_comes_out_in_steps(kind: str) -> None:
    zeros = bytes(50 << 20)
    bomb = {
        "gzip": gzip.compress(zeros, 1),
        "xz": lzma.compress(zeros, preset=0),
        "bzip2": bz2.compress(zeros),
    }[kind]
    assert max(len(step) for step in decoder(kind).feed(bomb)) <= STEP


async def test_peek_keeps_everything() -> None:
    start, whole = await peek(pieces(b"abcdefghijklmnop", 3))
    assert start == b"abcdefghij"
    assert b"".join([chunk async for chunk in whole]) == b"abcdefghijklmnop"


@pytest.mark.parametrize("kind", PACKED)
def test_content_is_pushed_in_bounded_pieces(kind: str) -> None:
    zeros = bytes(50 << 20)
    bomb = {
        "gzip": lambda: gzip.compress(zeros, 1),
        "zstd": lambda: zstandard.compress(zeros) * 2,
        "xz": lambda: lzma.compress(zeros, preset=0),
        "bzip2": lambda: bz2.compress(zeros),
        "": lambda: zeros[:STEP],
    }[kind]()
    sizes: list[int] = []
    decoder(kind).push(bomb, lambda piece: sizes.append(len(piece)))
    assert max(sizes) <= STEP
    assert sum(sizes) == {"zstd": 2 * len(zeros), "": STEP}.get(kind, len(zeros))


def test_what_takes_may_refuse() -> None:
    def refuse(_: bytes) -> None:
        raise LookupError

    for kind in ("gzip", "zstd"):
        with pytest.raises(LookupError):
            decoder(kind).push(PACKED[kind], refuse)
    with pytest.raises(InvalidParameter, match="cannot decompress"):
        decoder("zstd").push(PACKED["zstd"][:4] + b"\xff" * 5000, len)


SHORT = {
    "gzip": gzip.compress(DATA[:3000]),
    "zstd": zstandard.compress(DATA[:3000]),
    "xz": lzma.compress(DATA[:3000]),
}


@settings(max_examples=150)
@given(st.sampled_from(sorted(SHORT)), st.integers(0, 3000), st.binary(max_size=8), st.integers(1, 4000))
def test_any_change_comes_out_or_is_refused(kind: str, place: int, noise: bytes, step: int) -> None:
    packed = SHORT[kind]
    data = packed[:place] + noise + packed[place + len(noise) :]
    found = decoder(kind)
    try:
        for start in range(0, len(data), step):
            for piece in found.feed(data[start : start + step]):
                assert len(piece) <= 2 * STEP
        found.finish()
    except InvalidParameter:
        return
