"""Images over the wire: compressions, tokens, mirrors, and pulls that break off."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from tests.clients.conftest import KIND
from tests.clients.door import door, visits
from tests.clients.engine import Engine, Network
from tests.clients.registry import PASSWORD, USER, registry

OCI = "application/vnd.oci.image"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


class Layout:
    """An image as an OCI layout, with layers of any kind above busybox's."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.blobs: dict[str, bytes] = {}
        engine.ok("save", "--output", directory / "base.tar", "busybox")
        with tarfile.open(directory / "base.tar") as archive:
            files = {m.name: f.read() for m in archive if (f := archive.extractfile(m)) is not None}
        described = json.loads(files["manifest.json"])[0]
        self.config = json.loads(files[described["Config"]])
        self.layers = [self.add(files[name], "layer.v1.tar") for name in described["Layers"]]

    def add(self, data: bytes, kind: str) -> dict[str, object]:
        if data.startswith(b"\x1f\x8b"):
            kind += "+gzip"
        self.blobs[digest(data)] = data
        return {"mediaType": f"{OCI}.{kind}", "digest": digest(data), "size": len(data)}

    def layer(self, plain: bytes, kind: str) -> None:
        pack: Callable[[bytes], bytes] = {"gzip": gzip.compress, "zstd": zstandard.compress, "": bytes}[kind]  # type: ignore[assignment]
        packed = pack(plain)
        self.layers.append(
            {
                **self.add(packed, "layer.v1.tar"),
                "mediaType": f"{OCI}.layer.v1.tar{'+' if kind else ''}{kind}",
            }
        )
        self.config["rootfs"]["diff_ids"].append(digest(plain))
        self.config.setdefault("history", []).append({"created_by": f"a {kind} layer"})

    def write(self, path: Path, name: str) -> str:
        config = self.add(json.dumps(self.config).encode(), "config.v1+json")
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": f"{OCI}.manifest.v1+json",
                "config": config,
                "layers": self.layers,
            }
        ).encode()
        top = {**self.add(manifest, "manifest.v1+json"), "annotations": {"io.containerd.image.name": name}}
        index = json.dumps(
            {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [top]}
        ).encode()
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
        files |= {f"blobs/{key.replace(':', '/')}": data for key, data in self.blobs.items()}
        path.write_bytes(tar(files))
        return digest(manifest)


@pytest.fixture
def images(engine: Engine) -> Iterator[Engine]:
    """The engine, with no image but busybox afterwards."""
    yield engine
    for name in engine.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        if name != "busybox:latest":
            engine.docker("rmi", "--force", name)
    engine.docker("image", "prune", "--force")


def test_layers_of_every_compression(images: Engine, plain_registry: str, tmp_path: Path) -> None:
    name = f"{plain_registry}/team/layers:1"
    layout = Layout(images, tmp_path)
    layout.layer(tar({"one": b"gzip\n", "shared": b"1\n"}), "gzip")
    layout.layer(tar({"two": b"zstd\n", "shared": b"2\n"}), "zstd")
    layout.layer(tar({"three": b"plain\n", ".wh.one": b""}), "")
    made = layout.write(tmp_path / "layout.tar", name)
    look = ("run", "--rm", name, "sh", "-c", "cat /two /three /shared; ls /one")
    images.ok("load", "--input", tmp_path / "layout.tar")
    assert images.docker(*look).out == "zstd\nplain\n2\n"
    assert images.ok("image", "inspect", "--format", "{{.Id}}", name) == made
    images.ok("push", name)
    images.ok("rmi", name)
    assert "Downloaded newer image" in images.ok("pull", name)
    assert images.docker(*look).out == "zstd\nplain\n2\n"
    assert images.ok("image", "inspect", "--format", "{{.Id}}", name) == made


def test_what_is_removed_is_freed_at_once(images: Engine, plain_registry: str, tmp_path: Path) -> None:
    name = f"{plain_registry}/team/freed:1"
    before = on_disk(images)
    layout = Layout(images, tmp_path)
    layout.layer(tar({"one": b"1"}), "gzip")
    layout.layer(tar({"two": b"2"}), "zstd")
    layout.write(tmp_path / "layout.tar", name)
    images.ok("load", "--input", tmp_path / "layout.tar")
    assert on_disk(images) > before
    images.ok("push", name)
    images.ok("rmi", name)
    assert on_disk(images) == before
    images.ok("pull", name)
    images.ok("tag", "busybox", name)
    images.ok("image", "prune", "--force")
    assert on_disk(images) == before


def test_an_image_is_imported_from_the_web(images: Engine, plain_registry: str, tmp_path: Path) -> None:
    """The registry serves any blob, an archive among them."""
    name = f"{plain_registry}/team/web:1"
    layout = Layout(images, tmp_path)
    layout.layer(tar({"one": b"from the web\n"}), "gzip")
    layout.write(tmp_path / "layout.tar", name)
    images.ok("load", "--input", tmp_path / "layout.tar")
    images.ok("push", name)
    blob = f"{plain_registry}/v2/team/web/blobs/{layout.layers[-1]['digest']}"
    out = images.ok("import", f"http://{blob}", "web:2")
    assert f"Downloading from http://{blob}" in out
    assert images.ok("create", "--name", "web", "web:2", "x")
    copied = images.docker("cp", "web:/one", "-")
    images.ok("rm", "web")
    assert "from the web" in copied.out
    assert "404" in images.fails("import", f"http://{plain_registry}/nothing", "web:3")
    missing = images.docker("search", f"{plain_registry}/word")
    assert (missing.code, "unexpected status code 404" in missing.err) == (1, True)


def test_a_bad_layer_is_loaded_and_told(images: Engine, tmp_path: Path) -> None:
    layout = Layout(images, tmp_path)
    layout.layer(tar({"../../escape": b"x"}), "gzip")
    layout.write(tmp_path / "layout.tar", "bad:1")
    result = images.docker("load", "--input", tmp_path / "layout.tar")
    assert "is outside of the layer" in result.out + result.err
    assert images.docker("run", "--rm", "bad:1", "true").code == 125


def on_disk(engine: Engine) -> tuple[int, int, int]:
    """How many blobs, snapshots and unfinished blobs there are, when that changes no more."""
    found, seen = count(engine), None
    while found != seen:
        time.sleep(0.3)
        found, seen = count(engine), found
    return found


def count(engine: Engine) -> tuple[int, int, int]:
    """As `on_disk`, at this moment; containerd takes some away a little later."""
    places = ("blobs/sha256/*", "snapshots/*", "ingest/*", "incoming/*")
    blobs, snapshots, *unfinished = (len(list((engine.root / "data").rglob(place))) for place in places)
    return blobs, snapshots, sum(unfinished)


def test_a_killed_pull_is_gone_on_with(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    engine = make_engine()
    with (
        registry(engine.network, tmp_path / "r", "127.0.0.1:5010"),
        door(engine.network, "127.0.0.1:5005", tmp_path / "d", "127.0.0.1:5010") as directory,
    ):
        name = "127.0.0.1:5005/large:1"
        layout = Layout(engine, tmp_path)
        layout.layer(tar({"noise": random.Random(1).randbytes(20 << 20)}), "gzip")
        layout.layer(tar({"more": random.Random(2).randbytes(100)}), "gzip")
        layout.write(tmp_path / "layout.tar", name)
        engine.ok("load", "--input", tmp_path / "layout.tar")
        engine.ok("push", name)
        engine.ok("rmi", name)
        before = on_disk(engine)
        (directory / "halfway").touch()
        with engine.spawn("pull", name) as pulling:
            deadline = time.monotonic() + 60
            while not [v for v in visits(directory, "/blobs/") if v.get("cut")]:
                assert time.monotonic() < deadline, engine.tail()
                time.sleep(0.02)
            data = engine.root / "data"
            while not [f for f in data.rglob("incoming/*") if f.stat().st_size > 9 << 20]:
                assert time.monotonic() < deadline, engine.tail()
                time.sleep(0.02)
            engine.kill()
            pulling.wait(30)
        (directory / "halfway").unlink()
        engine.start()
        assert "Downloaded newer image" in engine.ok("pull", name)
        assert engine.ok("run", "--rm", name, "wc", "-c", "/noise").split()[0] == str(20 << 20)
        sent = sum(v["sent"] for v in visits(directory, "/blobs/") if v["sent"] > 1 << 20)
        assert sent < (20 << 20) * 1.1
        engine.ok("rmi", name)
        # Snapshots that were begun before the crash are gone as well.
        assert on_disk(engine) == before


def test_layers_that_a_loss_of_power_emptied_are_unpacked_again(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    """As after a start of the machine: files are empty that had been written a moment before."""
    engine = make_engine()
    layout = Layout(engine, tmp_path)
    layout.layer(tar({"noise": random.Random(1).randbytes(1 << 20)}), "gzip")
    layout.write(tmp_path / "layout.tar", "lost:1")
    engine.ok("load", "--input", tmp_path / "layout.tar")
    engine.kill()
    (engine.root / "data/unpacked.json").write_text('{"boot":"an earlier one","span":0}')
    (file,) = (engine.root / "data").rglob("snapshots/*/fs/noise")
    os.truncate(file, 0)
    engine.start()
    assert engine.ok("run", "--rm", "lost:1", "wc", "-c", "/noise").split()[0] == str(1 << 20)
    assert "a layer was not on disk" in engine.log.read_text()


def test_a_full_disk_is_told_and_does_no_harm(place: Path, archive: Path, tmp_path: Path) -> None:
    """A layer that unpacks to more than there is room for is refused, and all works again."""
    with Network(f"mobyt-{uuid.uuid4().hex[:8]}") as network:
        engine = Engine(place / uuid.uuid4().hex[:8], network, KIND)
        (engine.root / "data").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", engine.root / "data"], check=True)
        try:
            engine.start()
            engine.ok("load", "--input", archive)
            before = on_disk(engine)
            layout = Layout(engine, tmp_path)
            layout.layer(tar({"large": bytes(300 << 20)}), "gzip")
            layout.write(tmp_path / "layout.tar", "large:1")
            result = engine.docker("load", "--input", tmp_path / "layout.tar", timeout=120)
            assert "no space left on device" in result.out + result.err
            engine.ok("rmi", "--force", "large:1")
            # What containerd collects later may be among what was there before.
            assert all(now <= then for now, then in zip(on_disk(engine), before, strict=True))
            assert engine.ok("run", "--rm", "busybox", "echo", "works") == "works"
        finally:
            engine.remove()


def test_a_pull_survives_the_end_of_containerd(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """It fails, or goes on; the next one works, and nothing is left of the first."""
    engine = make_engine()
    with (
        registry(engine.network, tmp_path / "r", "127.0.0.1:5010"),
        door(engine.network, "127.0.0.1:5005", tmp_path / "d", "127.0.0.1:5010") as directory,
    ):
        name = "127.0.0.1:5005/large:2"
        layout = Layout(engine, tmp_path)
        layout.layer(tar({"noise": random.Random(3).randbytes(8 << 20)}), "gzip")
        layout.write(tmp_path / "layout.tar", name)
        engine.ok("load", "--input", tmp_path / "layout.tar")
        engine.ok("push", name)
        engine.ok("rmi", name)
        before = on_disk(engine)
        (directory / "halfway").touch()
        with engine.spawn("pull", name) as pulling:
            deadline = time.monotonic() + 60
            while not [v for v in visits(directory, "/blobs/") if v.get("cut")]:
                assert time.monotonic() < deadline, engine.tail()
                time.sleep(0.02)
            os.kill(engine.containerd, signal.SIGKILL)
            (directory / "halfway").unlink()
            pulling.wait(60)
        assert "Status: " in engine.ok("pull", name, timeout=120)
        assert engine.ok("run", "--rm", name, "wc", "-c", "/noise").split()[0] == str(8 << 20)
        engine.ok("rmi", name)
        assert on_disk(engine) == before


def test_tokens_are_fetched_for_what_is_done(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    engine = make_engine()
    with (
        registry(engine.network, tmp_path / "r", "127.0.0.1:5010"),
        door(engine.network, "127.0.0.1:5005", tmp_path / "d", "127.0.0.1:5010") as directory,
    ):
        (directory / "token").touch()
        private, public = "127.0.0.1:5005/team/app:1", "127.0.0.1:5005/public/app:1"
        for name in (private, public):
            engine.ok("tag", "busybox", name)
            engine.fails("push", name)
        assert "401 Unauthorized" in engine.fails("login", "-u", USER, "-p", "wrong", "127.0.0.1:5005")
        engine.ok("login", "-u", USER, "--password-stdin", "127.0.0.1:5005", input=PASSWORD)
        for name in (private, public):
            engine.ok("push", name)
            engine.ok("rmi", name)
            engine.ok("pull", name)
            engine.ok("rmi", name)
        engine.ok("logout", "127.0.0.1:5005")
        assert "pull access denied" in engine.fails("pull", private)
        engine.ok("pull", public)
        tokens = [v for v in visits(directory, "/token") if v["status"] == 200]
        assert any(v["scopes"] == ["team/app:pull", "team/app:push"] for v in tokens)
        assert PASSWORD not in engine.log.read_text()
        passed = [v for v in visits(directory, "/v2/") if v["status"] in (200, 201, 202)]
        assert all(v["authorization"].startswith("Bearer ") for v in passed)


def test_mirrors_are_asked_first_and_left_when_they_fail(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = make_engine(
        "--registry-mirror", "http://127.0.0.1:5012", "--registry-mirror", "http://127.0.0.1:5011", "--max-download-attempts", "1"
    )  # fmt: skip
    with (
        registry(engine.network, tmp_path / "r", "127.0.0.1:5010"),
        door(engine.network, "127.0.0.1:5011", tmp_path / "d", "127.0.0.1:5010") as directory,
    ):
        with door(engine.network, "127.0.0.1:5005", tmp_path / "push", "127.0.0.1:5010"):
            engine.ok("tag", "busybox", "127.0.0.1:5005/library/app:1")
            engine.ok("push", "127.0.0.1:5005/library/app:1")
            engine.ok("rmi", "127.0.0.1:5005/library/app:1")
        engine.ok("pull", "app:1")
        assert engine.ok("run", "--rm", "app:1", "echo", "mirrored") == "mirrored"
        assert visits(directory, "/v2/library/app/manifests/1")
        assert "app:1" in engine.ok("pull", "--all-tags", "app")
        origins = engine.raw(b"GET /v1.55/images/app:1/json HTTP/1.0\r\n\r\n")
        assert b'{"Repository":"docker.io/library/app"}]}' in origins
        assert "docker.io/library/missing:1" in engine.fails("pull", "missing:1", timeout=120)
        assert "http://127.0.0.1:5011/" in engine.ok("info", "--format", "{{.RegistryConfig.Mirrors}}")
