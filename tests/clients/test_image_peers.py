"""Images of several platforms, between the engine, registries, skopeo and umoci: what one writes the others read."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.engine import Engine
from tests.clients.test_distribution import OCI, digest, tar

pytestmark = pytest.mark.peers
INDEX, MANIFEST = f"{OCI}.index.v1+json", f"{OCI}.manifest.v1+json"


def described(data: bytes, kind: str, **more: object) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest(data), "size": len(data), **more}


def platforms_archive(path: Path, name: str) -> dict[str, str]:
    """An archive of an image for two platforms, and what says of the first how it was made; manifests' digests."""
    blobs: dict[str, bytes] = {}

    def add(data: bytes, kind: str, **more: object) -> dict[str, object]:
        blobs[f"blobs/{digest(data).replace(':', '/')}"] = data
        return described(data, kind, **more)

    def manifest(layer: bytes, kind: str, config: dict[str, object]) -> bytes:
        config["rootfs"] = {"type": "layers", "diff_ids": [digest(layer)]}
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": add(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
            "layers": [
                add(layer, kind, annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"})
            ],
        }
        return json.dumps(document).encode()

    members, digests = [], {}
    for architecture in ("amd64", "arm64"):
        layer = tar({"etc/arch": architecture.encode(), "shared": b"x" * 100_000})
        made = manifest(
            layer, f"{OCI}.layer.v1.tar", {"architecture": architecture, "os": "linux", "config": {}}
        )
        digests[architecture] = digest(made)
        members.append(add(made, MANIFEST, platform={"os": "linux", "architecture": architecture}))
    stated = manifest(
        b'{"_type":"https://in-toto.io/Statement/v0.1"}',
        "application/vnd.in-toto+json",
        {"architecture": "unknown", "os": "unknown"},
    )
    about = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": digests["amd64"],
    }
    members.append(
        add(stated, MANIFEST, platform={"os": "unknown", "architecture": "unknown"}, annotations=about)
    )
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": members}).encode()
    top = add(index, INDEX, annotations={"io.containerd.image.name": name})
    digests["index"] = digest(index)
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [top]}).encode(),
    }
    path.write_bytes(tar(files | blobs))
    return digests


@pytest.fixture
def images(engine: Engine) -> Iterator[Engine]:
    """The engine, with no image but busybox afterwards."""
    yield engine
    names = engine.ok("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
    for line in names:
        name, _, image = line.partition(" ")
        if name != "busybox:latest":
            engine.docker("rmi", "--force", image if name.endswith("<none>") else name)


def skopeo(engine: Engine, *words: object) -> str:
    command = [*engine.network.enter, "skopeo", "--insecure-policy", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def architecture(engine: Engine, name: str, *more: str) -> str:
    return engine.ok("image", "inspect", "--format", "{{.Architecture}}", *more, name)


@pytest.mark.docker28
def test_an_image_for_two_platforms_goes_all_the_way(
    images: Engine, plain_registry: str, tmp_path: Path
) -> None:
    name = f"{plain_registry}/platforms:1"
    digests = platforms_archive(tmp_path / "in.tar", name)
    assert images.ok("load", "--input", tmp_path / "in.tar").endswith(f"Loaded image: {name}")
    tree = images.ok("images", "--tree", name)
    assert "linux/amd64" in tree
    assert "linux/arm64" in tree
    images.ok("push", name)
    raw = json.loads(skopeo(images, "inspect", "--raw", "--tls-verify=false", f"docker://{name}"))
    assert [each["digest"] for each in raw["manifests"]][:2] == [digests["amd64"], digests["arm64"]]
    again = images.ok("push", name)
    assert "Layer already exists" in again
    assert "Pushed" not in again
    images.ok("rmi", name)
    assert f"Digest: {digests['index']}" in images.ok("pull", "--platform", "linux/arm64", name)
    assert architecture(images, name) == "arm64"
    assert "does not provide the specified platform" in images.fails(
        "image", "inspect", "--platform", "linux/amd64", name
    )
    images.ok("pull", "--platform", "linux/amd64", name)
    assert architecture(images, name, "--platform", "linux/amd64") == "amd64"
    assert architecture(images, name, "--platform", "linux/arm64") == "arm64"
    assert architecture(images, name) == "amd64"
    images.ok("rmi", name)
    assert "no matching manifest for linux/s390x" in images.fails("pull", "--platform", "linux/s390x", name)


@pytest.mark.docker28
def test_one_platform_is_saved_pushed_and_removed(
    images: Engine, plain_registry: str, tmp_path: Path
) -> None:
    name = f"{plain_registry}/one-platform:1"
    digests = platforms_archive(tmp_path / "in.tar", name)
    images.ok("load", "--input", tmp_path / "in.tar")
    images.ok("save", "--platform", "linux/arm64", "--output", tmp_path / "arm.tar", name)
    with tarfile.open(tmp_path / "arm.tar") as archive:
        names = archive.getnames()
    assert f"blobs/sha256/{digests['arm64'][7:]}" in names
    assert f"blobs/sha256/{digests['amd64'][7:]}" not in names
    images.ok("push", "--platform", "linux/arm64", name)
    pushed = json.loads(skopeo(images, "inspect", "--raw", "--tls-verify=false", f"docker://{name}"))
    assert pushed["mediaType"] == MANIFEST
    assert f"Deleted: {digests['arm64']}" in images.ok("rmi", "--force", "--platform", "linux/arm64", name)
    assert architecture(images, name) == "amd64"
    assert "does not provide the specified platform" in images.fails(
        "image", "inspect", "--platform", "linux/arm64", name
    )


def test_one_platform_of_an_archive_is_loaded(images: Engine, tmp_path: Path) -> None:
    digests = platforms_archive(tmp_path / "in.tar", "some:1")
    assert "doesn't provide the requested platform" in images.fails(
        "load", "--platform", "linux/s390x", "--input", tmp_path / "in.tar"
    )
    images.ok("load", "--platform", "linux/arm64", "--input", tmp_path / "in.tar")
    blobs = images.root / "data/containerd/io.containerd.content.v1.content/blobs/sha256"
    assert (blobs / digests["arm64"][7:]).exists()
    assert not (blobs / digests["amd64"][7:]).exists()
    assert architecture(images, "some:1") == "arm64"


def test_skopeo_and_umoci_read_what_is_saved(images: Engine, tmp_path: Path) -> None:
    saved = tmp_path / "saved.tar"
    images.ok("save", "--output", saved, "busybox")
    image = images.ok("image", "inspect", "--format", "{{.Id}}", "busybox")
    assert json.loads(skopeo(images, "inspect", f"oci-archive:{saved}"))["Digest"] == image
    assert json.loads(skopeo(images, "inspect", f"docker-archive:{saved}"))["Os"] == "linux"
    skopeo(images, "copy", f"docker-archive:{saved}", f"oci:{tmp_path}/layout:1")
    subprocess.run(
        ["umoci", "unpack", "--rootless", "--image", f"{tmp_path}/layout:1", tmp_path / "bundle"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (tmp_path / "bundle/rootfs/bin/busybox").stat().st_size > 100_000


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "zstd"])
def test_what_skopeo_writes_is_loaded(images: Engine, tmp_path: Path, kind: str) -> None:
    images.ok("save", "--output", tmp_path / "saved.tar", "busybox")
    source, out = f"oci-archive:{tmp_path}/saved.tar", tmp_path / "out.tar"
    if kind == "docker-archive":
        skopeo(images, "copy", source, f"docker-archive:{out}:from-skopeo:1")
    else:
        more = ("--dest-compress-format", "zstd") if kind == "zstd" else ()
        skopeo(images, "copy", *more, source, f"oci-archive:{out}:from-skopeo:1")
    loaded = images.ok("load", "--input", out)
    name = loaded.partition(": ")[2]
    assert name == "from-skopeo:1"
    assert images.ok("run", "--rm", name, "echo", "runs") == "runs"


def test_what_umoci_changes_is_loaded(images: Engine, tmp_path: Path) -> None:
    images.ok("save", "--output", tmp_path / "saved.tar", "busybox")
    layout = tmp_path / "layout"
    skopeo(images, "copy", f"oci-archive:{tmp_path}/saved.tar", f"oci:{layout}:from-umoci:1")
    (tmp_path / "added").write_text("by umoci")
    for words in (
        ("insert", "--rootless", "--image", f"{layout}:from-umoci:1", tmp_path / "added", "/etc/added"),
        (
            "config",
            "--image",
            f"{layout}:from-umoci:1",
            "--config.label",
            "made=by-umoci",
            "--config.workingdir",
            "/etc",
        ),
    ):
        subprocess.run(["umoci", *words], check=True, capture_output=True, timeout=60)
    shutil.make_archive(str(tmp_path / "out"), "tar", layout)
    images.ok("load", "--input", tmp_path / "out.tar")
    assert images.ok("run", "--rm", "from-umoci:1", "cat", "added") == "by umoci"
    assert images.ok("images", "--quiet", "--filter", "label=made=by-umoci")
