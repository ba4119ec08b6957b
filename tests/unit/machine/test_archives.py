"""Images from files: what docker save writes, OCI layouts packed or not, and files that are neither."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from moby.core.descriptor import OCI_MANIFEST
from moby.core.errors import MobyError
from moby.core.platform import host_platform
from moby.machine.archives import take_in
from moby.machine.cache import ImageCache
from tests.unit.machine.made import archive, kept, layer, member


def packed(folder: Path) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(folder, arcname=".")
    return data.getvalue()


def test_what_docker_saved(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache")
    (tmp_path / "a.tar").write_bytes(
        archive(layer(member("x", b"1")), layer(member("y", b"2")), name="app:2")
    )
    [(name, target)] = take_in(cache, tmp_path / "a.tar")
    assert name == "docker.io/library/app:2"
    image = cache.image(target, host_platform())
    assert len(image.layers) == 2
    assert image.config.config.cmd == ["/app"]


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_layout_as_others_write_it(as_folder: bool, tmp_path: Path) -> None:
    first = ImageCache(tmp_path / "first")
    image = kept(first, tmp_path, layer(member("x", b"1")))
    first.name("docker.io/library/app:1", image.target)
    source = first.root
    if not as_folder:
        source = tmp_path / "layout.tar"
        source.write_bytes(packed(first.root))
    second = ImageCache(tmp_path / "second")
    assert [(name, target.digest) for name, target in take_in(second, source)] == [
        ("docker.io/library/app:1", image.target.digest)
    ]
    assert second.image(image.target, host_platform()).layers == image.layers


_TORN = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 2}


def layout(*manifests: dict[str, object]) -> bytes:
    index = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    return layer(member("oci-layout", b"{}"), member("index.json", index))


@pytest.mark.parametrize(("data", "said"), [
    pytest.param(b"no archive", "no archive of images", id="no archive"),
    pytest.param(b"", "no archive of images", id="empty"),
    pytest.param(layer(member("x")), "neither a manifest.json nor an OCI layout", id="no images"),
    pytest.param(layer(member("manifest.json", b"{")), "manifest.json cannot be read", id="broken"),
    pytest.param(layer(member("manifest.json", b'[{"Config":"c","Layers":[]}]')), "c is not in the archive", id="torn"),
    pytest.param(layout(), "no image in the layout", id="empty layout"),
    pytest.param(layout(_TORN), "is not in the archive", id="layout without its blobs"),
])  # fmt: skip
def test_what_is_no_image_is_told(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(MobyError, match=said):
        take_in(ImageCache(tmp_path / "cache"), tmp_path / "x.tar")


def test_a_corrupt_blob_of_a_layout_is_not_taken(tmp_path: Path) -> None:
    first = ImageCache(tmp_path / "first")
    image = kept(first, tmp_path, layer(member("x", b"1")))
    first.name("docker.io/library/app:1", image.target)
    copy = tmp_path / "copy"
    shutil.copytree(first.root, copy)
    ImageCache(copy).blob(image.layers[0].digest).write_bytes(b"other")
    with pytest.raises(MobyError, match="came as"):
        take_in(ImageCache(tmp_path / "second"), copy)
