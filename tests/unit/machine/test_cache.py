"""Images kept on this machine: verified, whole or not there, and a layout that others can read."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from moby.core.descriptor import OCI_MANIFEST, Descriptor
from moby.core.errors import DataLoss, InvalidParameter, NotFound
from moby.core.platform import Platform, host_platform
from moby.machine.archives import take_in
from moby.machine.cache import ImageCache, default_cache
from moby.machine.image_roots import image_tree
from tests.unit.machine.made import archive, kept, layer, member


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "cache")


def leftovers(cache: ImageCache) -> list[Path]:
    return [path for path in (cache.root / "blobs").iterdir() if path.is_file()]


def test_a_blob_is_kept_if_it_is_what_it_should_be(cache: ImageCache) -> None:
    digest = f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert cache.write([b"a", b"bc"], digest) == Descriptor("", digest, 3)
    assert cache.read(digest) == b"abc"
    with pytest.raises(DataLoss, match="came as"):
        cache.write([b"abd"], f"sha256:{'0' * 64}")
    with pytest.raises(InvalidParameter):
        cache.blob("sha256:../../etc/passwd")
    assert leftovers(cache) == []


def test_a_blob_that_was_changed_on_disk_is_noticed(cache: ImageCache) -> None:
    digest = cache.write([b"abc"]).digest
    cache.blob(digest).write_bytes(b"abd")
    with pytest.raises(DataLoss, match="corrupt"):
        cache.read(digest)


def test_what_fails_half_way_leaves_nothing(cache: ImageCache) -> None:
    def broken() -> object:
        yield b"a"
        raise OSError(28, "No space left on device")

    with pytest.raises(Exception, match="no space left"):
        cache.write(broken())  # type: ignore[arg-type]
    assert leftovers(cache) == []


def test_names_come_and_go(cache: ImageCache) -> None:
    target = Descriptor(OCI_MANIFEST, cache.write([b"{}"]).digest, 2)
    cache.name("docker.io/library/b:1", target)
    cache.name("docker.io/library/a:1", target)
    assert list(cache.names()) == ["docker.io/library/a:1", "docker.io/library/b:1"]
    cache.name("docker.io/library/a:1", None)
    index = json.loads((cache.root / "index.json").read_bytes())
    assert [each["annotations"] for each in index["manifests"]] == [
        {"org.opencontainers.image.ref.name": "docker.io/library/b:1"}
    ]
    assert json.loads((cache.root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


def test_a_packed_layer_is_unpacked_once_and_verified(cache: ImageCache, tmp_path: Path) -> None:
    plain = layer(member("x", b"content"))
    path = tmp_path / "image.tar"
    path.write_bytes(archive(plain, packed=True))
    image = cache.image(take_in(cache, path)[0][1], host_platform())
    tree = image_tree(cache, image)
    found = tree.get("x")
    assert found is not None
    assert found.read() == b"content"
    wrong = archive(plain, packed=True).replace(
        gzip.compress(plain, mtime=0), gzip.compress(plain[:-1024] + b"y" * 1024, mtime=0)
    )
    if len(wrong) == len(archive(plain, packed=True)):
        path.write_bytes(wrong)
        other = cache.image(take_in(cache, path)[0][1], host_platform())
        cache.blob(image.config.rootfs.diff_ids[0]).unlink()
        with pytest.raises(DataLoss):
            cache.plain_layers(other)


def test_an_image_of_which_a_part_is_missing_is_not_there(cache: ImageCache, tmp_path: Path) -> None:
    image = kept(cache, tmp_path, layer(member("x")))
    cache.blob(image.layers[0].digest).unlink()
    with pytest.raises(NotFound, match="is not here"):
        cache.image(image.target, host_platform())


def test_the_image_of_an_index_is_chosen_by_platform(cache: ImageCache, tmp_path: Path) -> None:
    image = kept(cache, tmp_path, layer(member("x")))
    entry = {
        "mediaType": image.manifest.media_type,
        "digest": image.manifest.digest,
        "size": image.manifest.size,
    }
    platform = host_platform()
    index = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry | {"platform": {"os": "linux", "architecture": platform.architecture}}],
    }).encode()  # fmt: skip
    target = Descriptor("application/vnd.oci.image.index.v1+json", cache.write([index]).digest, len(index))
    assert cache.image(target, platform).manifest.digest == image.manifest.digest
    with pytest.raises(NotFound, match="no image for linux/s390x"):
        cache.image(target, Platform("s390x", "linux"))


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/moby")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/x")
    assert default_cache() == Path("/home/x/.cache/moby")
