"""`moby image`: what it fetches others can read, what they write it can send; and it needs no power over the host."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from moby.machine.cache import ImageCache
from moby.machine.layout_store import LayoutContent
from tests.integration.registry.conftest import Made, digest, upload

pytestmark = pytest.mark.peers

POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
INDEX = "application/vnd.oci.image.index.v1+json"
AMD, ARM = Made({"bin/x": b"amd" * 5000}, {"etc/y": b"2"}), Made({"bin/x": b"arm"}, architecture="arm64")


@pytest.fixture
def registry(start_registry: Callable[..., str]) -> str:
    """One that has an image for two platforms, as `many:1`."""
    address = start_registry()
    manifests = []
    for image, architecture in ((AMD, "amd64"), (ARM, "arm64")):
        upload(f"http://{address}", "many", architecture, image)
        manifests.append(
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest,
                "size": len(image.manifest), "platform": {"os": "linux", "architecture": architecture},
            }
        )  # fmt: skip
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
    request = urllib.request.Request(
        f"http://{address}/v2/many/manifests/1", index, {"Content-Type": INDEX}, method="PUT"
    )
    urllib.request.urlopen(request).close()
    return address


@pytest.fixture
def moby(tmp_path: Path) -> Callable[..., str]:
    """The command, on a layout of the test's own."""

    def run(*words: str, code: int = 0) -> str:
        command = [
            *POWERLESS,
            sys.executable,
            "-m",
            "moby.cli.moby",
            "image",
            "--cache",
            str(tmp_path / "layout"),
        ]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout.strip()

    return run


def skopeo(*words: str) -> str:
    return subprocess.run(["skopeo", *words], capture_output=True, text=True, check=True, timeout=120).stdout


def test_a_platform_of_several_is_fetched_and_others_read_it(
    registry: str, moby: Callable[..., str], tmp_path: Path
) -> None:
    name = f"{registry}/many:1"
    target = moby("pull", "--platform", "linux/amd64", name)
    assert moby("ls") == f"{name} {target}"
    assert json.loads(moby("inspect", "--platform", "linux/amd64", name))["Config"]["architecture"] == "amd64"
    assert "is not here for linux/arm64" in moby("inspect", "--platform", "linux/arm64", name, code=1)
    found = json.loads(skopeo("inspect", "--override-arch", "amd64", f"oci:{tmp_path}/layout:{name}"))
    assert found["Architecture"] == "amd64"
    assert len(found["Layers"]) == 2
    # The other platform beside it: what is there is not fetched again.
    moby("pull", "--platform", "linux/arm64", name)
    assert json.loads(moby("inspect", "--platform", "linux/arm64", name))["Config"]["architecture"] == "arm64"


def test_what_is_pushed_again_is_not_sent_and_names_can_go(
    registry: str, moby: Callable[..., str], tmp_path: Path
) -> None:
    name, other = f"{registry}/many:amd64", f"{registry}/copy:1"
    moby("pull", name)
    moby("tag", name, other)
    assert moby("push", other) == AMD.digest
    assert json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{other}"))["Digest"] == AMD.digest
    moby("rm", name)
    assert moby("prune") == "0 blobs, 0 bytes"
    moby("rm", other)
    assert moby("prune").startswith("4 blobs, ")
    assert moby("ls") == ""


def test_an_export_is_read_by_others(registry: str, moby: Callable[..., str], tmp_path: Path) -> None:
    name, archive = f"{registry}/many:amd64", tmp_path / "saved.tar"
    moby("pull", "-q", name)
    moby("export", "-o", str(archive), name)
    assert json.loads(skopeo("inspect", f"docker-archive:{archive}"))["Layers"]
    skopeo("copy", f"oci-archive:{archive}", f"oci:{tmp_path}/single:1")
    unpacked = tmp_path / "bundle"
    subprocess.run(
        ["umoci", "unpack", "--image", f"{tmp_path}/single:1", str(unpacked)], check=True, capture_output=True
    )
    assert (unpacked / "rootfs/bin/x").read_bytes() == b"amd" * 5000


def test_a_layer_that_was_broken_off_is_gone_on_with(
    registry: str, moby: Callable[..., str], tmp_path: Path
) -> None:
    content, blob = LayoutContent(ImageCache(tmp_path / "layout")), AMD.layers[0]
    (tmp_path / "layout" / "blobs").mkdir(parents=True)
    left = content.part(f"layer-{digest(blob)}")
    # What is there already is not fetched: only then is the whole wrong, and fetched anew.
    left.write_bytes(b"?" * len(blob))
    moby("pull", f"{registry}/many:amd64")
    assert not left.exists()
    assert content.cache.blob(digest(blob)).read_bytes() == blob
    moby("rm", f"{registry}/many:amd64")
    moby("prune")
    left.write_bytes(blob[:10])
    moby("pull", f"{registry}/many:amd64")
    assert not left.exists()
    assert content.cache.blob(digest(blob)).read_bytes() == blob


def test_errors_are_one_line(registry: str, moby: Callable[..., str]) -> None:
    for words, said in (
        (("pull", f"{registry}/nothing:1"), "not found"),
        (("pull", "--platform", "linux/s390x", f"{registry}/many:1"), "no match for platform"),
        (("push", f"{registry}/many:1"), "tag does not exist"),
        (("pull", "UPPER"), "lowercase"),
        (("rm", "nobody"), "not found"),
        (("export", "-o", "/nonexistent/x", "nobody"), "not found"),
    ):
        lines = moby(*words, code=1).splitlines()
        assert said in lines[-1], lines
        assert lines[-1].startswith("moby: ")
