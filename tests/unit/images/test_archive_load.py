"""Archives of images that are not as they should be."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.images.archive_load import Loader
from moby.testing.image_stores import digest_of, layer
from moby.testing.images import MemoryImages

LAYER = layer(a="1")
CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(LAYER)]}}
).encode()


def tar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, target_name in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target_name
            archive.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def listed(*images: dict[str, Any]) -> bytes:
    return json.dumps(list(images)).encode()


GOOD = {"l/layer.tar": LAYER, "c.json": CONFIG}
IMAGE = {"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l/layer.tar"]}


async def chunks(data: bytes, step: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


async def load(data: bytes, step: int = 1000) -> MemoryImages:
    """The store after a load whose lease is over."""
    store = MemoryImages()
    async with store.leases.hold():
        await Loader(store).load(chunks(data, step))
    return store


@pytest.mark.parametrize(
    ("files", "links", "words"),
    [
        pytest.param({}, {}, "unrecognized image format", id="empty"),
        pytest.param({**GOOD, "manifest.json": b"[]"}, {}, "holds no image", id="none"),
        pytest.param({**GOOD, "manifest.json": b"{"}, {}, "", id="no JSON"),
        pytest.param({"manifest.json": listed(IMAGE)}, {}, "'c.json' is missing", id="nothing there"),
        pytest.param({**GOOD, "manifest.json": listed({**IMAGE, "Layers": ["../../etc/passwd"]})}, {}, "leads out", id="way out"),
        pytest.param({**GOOD, "manifest.json": listed({**IMAGE, "Layers": []})}, {}, "layers length mismatch: expected 0, got 1", id="too few layers"),
        pytest.param({**GOOD, "l/layer.tar": layer(b="2"), "manifest.json": listed(IMAGE)}, {}, "invalid diffID for layer", id="another layer"),
        pytest.param({"c.json": CONFIG, "manifest.json": listed(IMAGE)}, {"l/layer.tar": "x", "l/x": "layer.tar"}, "is missing", id="circle of links"),
        pytest.param({**GOOD, "c.json": b"[]", "manifest.json": listed(IMAGE)}, {}, "invalid image configuration", id="no configuration"),
        pytest.param({"index.json": b"[" * 5000}, {}, "", id="deep index"),
        pytest.param({f"blobs/sha256/{'0' * 64}": b"x", "index.json": b"{}"}, {}, "unexpected", id="wrong digest"),
        pytest.param({"blobs/sha256/..": b"x"}, {}, "", id="no digest"),
        pytest.param({"manifest.json": b" " * (5 << 20)}, {}, "larger than", id="large manifest"),
    ],
)  # fmt: skip
async def test_bad_archives_are_refused_in_words(
    files: dict[str, bytes], links: dict[str, str], words: str
) -> None:
    with pytest.raises((InvalidParameter, NotFound), match=words or None):
        await load(tar(files, links))


async def test_layers_may_be_links_and_come_twice() -> None:
    data = tar(
        {**GOOD, "manifest.json": listed(IMAGE, {**IMAGE, "RepoTags": None, "Layers": ["m"]})},
        {"m": "l/layer.tar"},
    )
    store = MemoryImages()
    async with store.leases.hold():
        loaded = await Loader(store).load(chunks(data))
    assert [image.name for image in loaded] == ["a:1", ""]
    assert len({image.target.digest for image in loaded}) == 1


WHOLE = tar({**GOOD, "manifest.json": listed(IMAGE)})


@settings(max_examples=100)
@given(st.integers(0, len(WHOLE)), st.binary(max_size=20), st.integers(300, 20_000))
async def test_any_change_is_loaded_or_refused(place: int, noise: bytes, step: int) -> None:
    try:
        store = await load(WHOLE[:place] + noise + WHOLE[place + len(noise) :], step)
    except MobyError:
        return
    assert not store.leased
