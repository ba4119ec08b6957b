"""Images of machines that have to be signed, at a real registry, with keys of openssl."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from moby.cli.moby import run
from tests.integration.registry.conftest import Made, upload

pytestmark = [
    pytest.mark.registry,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the image is for amd64"),
]


KINDS = {
    "ECDSA": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "Ed25519": ["-algorithm", "ED25519"],
    "RSA": ["-algorithm", "RSA"],
}


def key(folder: Path, name: str, kind: str = "ECDSA") -> tuple[Path, Path]:
    """A private key and its public one."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", *KINDS[kind], "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


def is_edwards(private: Path) -> bool:
    told = subprocess.run(
        ["openssl", "pkey", "-in", private, "-noout", "-text"], check=True, capture_output=True
    )
    return told.stdout.startswith(b"ED25519")


def put(url: str, data: bytes, kind: str) -> None:
    request = urllib.request.Request(url, data=data, method="PUT", headers={"Content-Type": kind})
    urllib.request.urlopen(request).close()


def blob(address: str, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    start = urllib.request.Request(f"http://{address}/v2/app/blobs/uploads/", method="POST")
    with urllib.request.urlopen(start) as answer:
        place = answer.headers["Location"]
    put(f"{place}{'&' if '?' in place else '?'}digest={digest}", data, "application/octet-stream")
    return digest


def sign(
    address: str, digest: str, private: Path, said: str = "", kind: str = "cosign container image signature"
) -> None:
    """Leave a signature of `said` beside the image of a digest, as cosign does."""
    payload = json.dumps(
        {"critical": {"identity": {"docker-reference": "app"}, "image": {"docker-manifest-digest": said or digest}, "type": kind},
         "optional": None}
    ).encode()  # fmt: skip
    message = private.with_suffix(".message")
    message.write_bytes(payload)
    asked: list[str | Path] = ["openssl", "dgst", "-sha256", "-sign", private, message]
    if is_edwards(private):
        asked = ["openssl", "pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", message]
    sealed = subprocess.run(asked, check=True, capture_output=True).stdout
    config = b"{}"
    layer = {
        "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "digest": blob(address, payload),
        "size": len(payload),
        "annotations": {"dev.cosignproject.cosign/signature": base64.b64encode(sealed).decode()},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": blob(address, config),
            "size": 2,
        },
        "layers": [layer],
    }
    tag = f"{digest.replace(':', '-')}.sig"
    put(f"http://{address}/v2/app/manifests/{tag}", json.dumps(manifest).encode(), manifest["mediaType"])  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path


@pytest.mark.parametrize("kind", list(KINDS))
def test_an_image_is_taken_only_with_a_signature_by_one_of_the_keys(
    kind: str, start_registry: Callable[..., str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = start_registry()
    made = Made({"app": b"one"})
    upload(f"http://{address}", "app", "1", made)
    mine, public = key(folder, "mine", kind)
    theirs, _their_public = key(folder, "theirs", kind)
    assembly = folder / "a.yml"
    assembly.write_text(
        f"trust:\n - {{match: '{address}/*', keys: [mine.pub]}}\n"
        f"services:\n - {{name: app, image: '{address}/app:1'}}\n"
    )
    build = ["build", str(assembly), "-q", "--no-sbom", "-f", "tar", "-o", str(folder / "out")]

    def refused() -> str:
        assert run(build) == 1
        return capsys.readouterr().err

    assert (
        f"a.yml:4: services[0].image: {address}/app:1: {made.digest} is signed by none of the keys"
        in refused()
    )
    sign(address, made.digest, theirs)
    assert "signed by none" in refused()
    # A good signature of something else says nothing of this.
    sign(address, made.digest, mine, said=f"sha256:{'0' * 64}")
    assert "signed by none" in refused()
    sign(address, made.digest, mine, kind="another statement")
    assert "signed by none" in refused()
    assert not (folder / "out").exists() or not list((folder / "out").iterdir())
    sign(address, made.digest, mine)
    assert run(build) == 0
    # The signature is kept with the image.
    assert run([*build, "--offline"]) == 0
    # Another rule, another key; and a key that is none.
    assembly.write_text(assembly.read_text().replace("mine.pub", "theirs.pub"))
    assert "signed by none" in refused()
    public.write_text("no key")
    assembly.write_text(assembly.read_text().replace("theirs.pub", "mine.pub"))
    assert "no public key in PEM" in refused()
    assembly.write_text(assembly.read_text().replace(f"{address}/*", "elsewhere/*"))
    assert run(build) == 0
