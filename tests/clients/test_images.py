"""Images: pull, push, tag, list, remove, save, load, import; with a password, over TLS."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.engine import Engine
from tests.clients.registry import PASSWORD, USER


@pytest.fixture
def images(engine: Engine) -> Iterator[Engine]:
    """The engine, with no image but busybox afterwards."""
    yield engine
    for name in engine.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        if name != "busybox:latest":
            engine.docker("rmi", "--force", name)
    engine.docker("image", "prune", "--force")


def test_push_then_pull_gives_the_same_image(images: Engine, plain_registry: str) -> None:
    name = f"{plain_registry}/busybox:one"
    images.ok("tag", "busybox", name)
    pushed = images.ok("push", name)
    assert "digest: sha256:" in pushed
    images.ok("rmi", name)
    out = images.ok("pull", name)
    assert "Downloaded newer image" in out or "Image is up to date" in out
    assert images.ok("run", "--rm", name, "echo", "pulled") == "pulled"
    assert "Image is up to date" in images.ok("pull", name)


def test_an_image_is_pulled_when_run_needs_it_and_by_digest(images: Engine, plain_registry: str) -> None:
    name = f"{plain_registry}/busybox:two"
    images.ok("tag", "busybox", name)
    digest = next(
        word for word in images.ok("push", name).split() if word.startswith("sha256:") and len(word) == 71
    )
    images.ok("rmi", name)
    result = images.docker("run", "--rm", name, "echo", "run")
    assert (result.code, result.out) == (0, "run\n")
    assert "Pulling from busybox" in result.err
    images.ok("rmi", name)
    assert digest in images.ok("pull", f"{plain_registry}/busybox@{digest}")
    images.ok("rmi", f"{plain_registry}/busybox@{digest}")


@pytest.mark.docker28
def test_a_password_is_needed_and_enough(images: Engine, locked_registry: str) -> None:
    name = f"{locked_registry}/busybox:secret"
    images.ok("tag", "busybox", name)
    assert "no basic auth credentials" in images.fails("push", name)
    assert "unauthorized" in images.fails("login", "-u", USER, "-p", "wrong", locked_registry).lower()
    images.ok("login", "-u", USER, "--password-stdin", locked_registry, input=PASSWORD)
    images.ok("push", name)
    images.ok("rmi", name)
    images.ok("pull", name)
    images.ok("logout", locked_registry)
    images.ok("rmi", name)
    said = images.fails("pull", name)
    # An old dockerd tries plain HTTP next, and tells of that failure.
    assert "no basic auth credentials" in said or images.kind == "dockerd"


def test_a_certificate_that_nobody_vouches_for_is_refused_until_it_is_trusted(
    images: Engine, foreign_registry: str, place: Path
) -> None:
    name = f"{foreign_registry}/busybox:tls"
    images.ok("tag", "busybox", name)
    said = images.fails("push", name)
    assert "x509" in said or "certificate" in said
    trusted = Path("/etc/docker/certs.d") / foreign_registry
    trusted.mkdir(parents=True)
    try:
        (trusted / "ca.crt").write_bytes((place / "foreign" / "registry.crt").read_bytes())
        images.ok("push", name)
        images.ok("rmi", name)
        images.ok("pull", name)
    finally:
        (trusted / "ca.crt").unlink()
        trusted.rmdir()
        for parent in (trusted.parent, trusted.parent.parent):
            if not any(parent.iterdir()):
                parent.rmdir()


def test_tags_are_listed_and_removed_one_by_one(images: Engine) -> None:
    images.ok("tag", "busybox", "other:1")
    images.ok("tag", "busybox", "other:2")
    assert set(images.ok("images", "--format", "{{.Tag}}", "other").split()) == {"1", "2"}
    assert "Untagged: other:1" in images.ok("rmi", "other:1")
    assert images.ok("images", "--format", "{{.Tag}}", "other") == "2"


def test_an_image_in_use_is_not_removed(images: Engine, archive: Path) -> None:
    images.ok("create", "--name", "user", "busybox")
    said = images.fails("rmi", "busybox")
    assert "conflict" in said
    assert "container" in said
    assert images.ok("images", "-q", "busybox")


def test_inspect_tells_what_the_image_is(images: Engine) -> None:
    (found,) = json.loads(images.ok("image", "inspect", "busybox"))
    assert found["RepoTags"] == ["busybox:latest"]
    assert found["Config"]["Cmd"] == ["sh"]
    assert found["Os"] == "linux"
    assert found["Id"].startswith("sha256:")
    assert found["RootFS"]["Type"] == "layers"
    assert len(found["RootFS"]["Layers"]) == 1
    assert found["Size"] > 500_000


def test_history_has_a_line_a_step(images: Engine) -> None:
    assert "components/busybox" in images.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", "busybox")


def test_save_and_load_are_inverse(images: Engine, tmp_path: Path) -> None:
    images.ok("tag", "busybox", "saved:1")
    images.ok("save", "-o", tmp_path / "saved.tar", "saved:1")
    with tarfile.open(tmp_path / "saved.tar") as tar:
        assert "manifest.json" in tar.getnames()
    identifier = images.ok("image", "inspect", "-f", "{{.Id}}", "saved:1")
    images.ok("rmi", "saved:1")
    assert "Loaded image: saved:1" in images.ok("load", "-i", tmp_path / "saved.tar")
    assert images.ok("image", "inspect", "-f", "{{.Id}}", "saved:1") == identifier
    assert images.ok("run", "--rm", "saved:1", "echo", "loaded") == "loaded"


def test_import_makes_an_image_of_a_file_system(images: Engine, tmp_path: Path) -> None:
    busybox = Path("/bin/busybox").read_bytes()
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        info = tarfile.TarInfo("bin/sh")
        info.size, info.mode = len(busybox), 0o755
        tar.addfile(info, io.BytesIO(busybox))
    identifier = images.ok("import", "--change", "ENV A=b", tmp_path / "root.tar", "flat:1")
    assert identifier.startswith("sha256:")
    assert images.ok("run", "--rm", "flat:1", "/bin/sh", "-c", "echo $A") == "b"


def test_prune_removes_what_has_no_name(images: Engine, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    identifier = images.ok("import", tmp_path / "root.tar")
    assert identifier.partition(":")[2][:12] in images.ok("images", "-q", "--filter", "dangling=true")
    images.ok("image", "prune", "--force")
    assert images.ok("images", "-q", "--filter", "dangling=true") == ""


def test_what_images_take_is_what_the_disk_says(images: Engine, archive: Path, tmp_path: Path) -> None:
    root = io.BytesIO()
    with tarfile.open(fileobj=root, mode="w") as tar:
        for number in range(500):
            info = tarfile.TarInfo(f"d/{number}")
            info.size = number * 40
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    (tmp_path / "root.tar").write_bytes(root.getvalue())
    images.ok("import", tmp_path / "root.tar", "many-files")
    used = json.loads(
        images.raw(b"GET /v1.50/system/df?type=image HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[2]
    )
    places = ("io.containerd.content.v1.content/blobs", "io.containerd.snapshotter.v1.overlayfs/snapshots")
    on_disk = 0
    for place in places:
        path = images.root / "data/containerd" / place
        done = subprocess.run(
            ["du", "-s", "--block-size=1", path], capture_output=True, text=True, check=True
        )
        on_disk += int(done.stdout.split()[0])
    assert abs(used["LayersSize"] - on_disk) < 0.02 * on_disk
    assert -1 not in {line["Containers"] for line in used["Images"]}
    # Nothing is used, and so everything can be had back.
    reclaimable = images.ok("system", "df", "--format", "{{.Type}} {{.Reclaimable}}").splitlines()[0]
    assert reclaimable.endswith("(100%)")
