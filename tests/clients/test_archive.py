"""`docker cp`, `docker export`, `docker diff`, `docker commit`: files out of containers, and into them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import APIError, NotFound

from tests.clients.engine import DOCKER, Engine


@pytest.fixture
def box(engine: Engine) -> Iterator[str]:
    """A running container."""
    name = engine.ok("run", "-d", "-v", "/vol", "--tmpfs", "/scratch", "busybox", "sleep", "600")
    yield name
    engine.docker("rm", "-f", "-v", name)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory of several kinds of things."""
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "file").write_text("content")
    (tmp_path / "tree" / "sub" / "file").chmod(0o640)
    (tmp_path / "tree" / "link").symlink_to("sub/file")
    os.utime(tmp_path / "tree" / "sub" / "file", (1_000_000_000, 1_000_000_000))
    return tmp_path / "tree"


def binary(engine: Engine, *arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """A docker command with bytes in and out."""
    return subprocess.run(
        [DOCKER, *arguments], input=data, capture_output=True, env=engine.environment, timeout=60, check=False
    )


@pytest.mark.parametrize("running", [True, False])
def test_there_and_back(engine: Engine, box: str, files: Path, tmp_path: Path, running: bool) -> None:
    if not running:
        engine.ok("stop", "-t", "0", box)
    engine.ok("cp", f"{files}", f"{box}:/root/there")
    engine.ok("cp", f"{files}/sub/file", f"{box}:/vol/file")
    engine.ok("cp", f"{box}:/root/there", tmp_path / "back")
    assert (tmp_path / "back" / "sub" / "file").read_text() == "content"
    assert (tmp_path / "back" / "sub" / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "back" / "sub" / "file").stat().st_mtime == 1_000_000_000
    assert os.readlink(tmp_path / "back" / "link") == "sub/file"
    engine.ok("cp", "-L", f"{box}:/root/there/link", tmp_path / "followed")
    assert (tmp_path / "followed").read_text() == "content"
    engine.ok("cp", f"{box}:/vol/.", tmp_path / "volume")
    assert (tmp_path / "volume" / "file").read_text() == "content"
    if not running:
        engine.ok("start", box)
        assert engine.ok("exec", box, "cat", "/root/there/sub/file", "/vol/file") == "contentcontent"


def test_what_is_mounted_in_a_running_container_is_seen(engine: Engine, box: str, files: Path) -> None:
    engine.ok("cp", f"{files}/sub/file", f"{box}:/scratch/file")
    assert engine.ok("exec", box, "cat", "/scratch/file") == "content"


def test_archives_on_standard_input_and_output(engine: Engine, box: str) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        info = tarfile.TarInfo("a/b/file")
        info.size, info.uid, info.mode = 4, 1234, 0o600
        tar.addfile(info, io.BytesIO(b"deep"))
    assert binary(engine, "cp", "-", f"{box}:/root", data=target.getvalue()).returncode == 0
    assert engine.ok("exec", box, "stat", "-c", "%u %a", "/root/a/b/file") == "1234 600"
    out = binary(engine, "cp", f"{box}:/root/a", "-").stdout
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        assert tar.getnames() == ["a", "a/b", "a/b/file"]


@pytest.mark.docker28
def test_what_is_not_there_or_must_not_be_written(engine: Engine, box: str, files: Path) -> None:
    assert f"Could not find the file /nothing in container {box}" in engine.fails(
        "cp", f"{box}:/nothing", "-"
    )
    assert "not a directory" in engine.fails("cp", f"{box}:/etc/passwd/", "-")
    assert "No such container: nobody" in engine.fails("cp", "nobody:/etc", "-")
    read_only = engine.ok(
        "run", "-d", "--read-only", "-v", "still:/still:ro", "-v", "/free", "busybox", "sleep", "600"
    )
    try:
        words = engine.fails("cp", f"{files}/sub/file", f"{read_only}:/root/")
        assert "container rootfs is marked read-only" in words
        words = engine.fails("cp", f"{files}/sub/file", f"{read_only}:/still/")
        assert "mounted volume is marked read-only" in words
        engine.ok("cp", f"{files}/sub/file", f"{read_only}:/free/")
        with engine.client() as client, pytest.raises(APIError) as error:
            client.api.put_archive(box, "/etc/passwd", b"")
        assert "extraction point is not a directory" in str(error.value)
        with engine.client() as client, pytest.raises(APIError) as error:
            client.api.put_archive(box, "/root", b"no archive" * 100)
        assert error.value.status_code == 400
        with engine.client() as client, pytest.raises(NotFound):
            client.api.put_archive(box, "/nowhere", b"")
    finally:
        engine.docker("rm", "-f", "-v", read_only)
        engine.docker("volume", "rm", "still")


def test_links_in_a_container_lead_nowhere_else(engine: Engine, box: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    engine.ok(
        "exec", box, "sh", "-c", f"mkdir -p {tmp_path}; ln -s {tmp_path} /out; ln -s ../../../..{secret} /up"
    )
    engine.fails("cp", f"{box}:/out/secret", "-")
    engine.fails("cp", "-L", f"{box}:/up", "-")
    (tmp_path / "mine").write_text("mine")
    engine.ok("cp", tmp_path / "mine", f"{box}:/out/secret")
    assert secret.read_text() == "secret"
    assert engine.ok("exec", box, "cat", str(secret)) == "mine"


def test_links_that_change_while_they_are_copied_lead_nowhere_else(
    engine: Engine, box: str, tmp_path: Path
) -> None:
    target = tmp_path / "host"
    target.mkdir()
    (target / "file").write_text("host")
    swap = f"while true; do rm -rf /race; mkdir /race; echo box > /race/file; rm -rf /race; ln -s {target} /race; done"
    engine.ok("exec", "-d", box, "sh", "-c", swap)
    (tmp_path / "file").write_text("copied")
    for _ in range(25):
        out = binary(engine, "cp", f"{box}:/race/file", "-").stdout
        assert b"host" not in out
        engine.docker("cp", tmp_path / "file", f"{box}:/race/")
        assert (target / "file").read_text() == "host"
        assert sorted(path.name for path in target.iterdir()) == ["file"]


def test_the_whole_tree_comes_without_what_the_kernel_makes_up(engine: Engine, box: str) -> None:
    engine.ok("exec", box, "sh", "-c", "echo 1 > /vol/in; echo 2 > /scratch/in")
    done = binary(engine, "cp", f"{box}:/", "-")
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        names = {name.removeprefix("/").removeprefix("./").rstrip("/") for name in tar.getnames()}
    assert {"proc", "sys", "bin/busybox", "vol/in"} <= names
    assert not [name for name in names if name.startswith(("proc/", "sys/"))]


def test_docker_py_gets_and_puts(engine: Engine, box: str) -> None:
    with engine.client() as client:
        chunks, found = client.api.get_archive(box, "/etc/passwd")
        assert (found["name"], found["mode"], found["linkTarget"]) == ("passwd", 0o644, "")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.extractfile("passwd")
            assert member is not None
            assert member.read().startswith(b"root:")
        _, found = client.api.get_archive(box, "/bin/")
        assert found["mode"] & (1 << 31)


def test_export_has_everything_but_what_is_mounted(engine: Engine, box: str) -> None:
    engine.ok("exec", box, "sh", "-c", "echo mine > /mine; echo no > /vol/file")
    out = binary(engine, "export", box).stdout
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        names = set(tar.getnames())
        assert {"mine", "bin/sh", "vol", "etc/hosts", "proc"} <= names
        assert not {"vol/file", "proc/1", "dev/null"} & names
        assert tar.getmember("etc/hosts").size == 0
    imported = binary(engine, "import", "-", "exported:1", data=out)
    assert imported.returncode == 0, imported.stderr
    assert engine.ok("run", "--rm", "exported:1", "cat", "/mine") == "mine"
    engine.ok("rmi", "exported:1")


def test_diff_tells_what_has_changed(engine: Engine, box: str) -> None:
    assert sorted(engine.ok("diff", box).splitlines()) == ["A /scratch", "A /vol"]
    engine.ok(
        "exec",
        box,
        "sh",
        "-c",
        "echo x > /etc/new; rm /bin/ls; echo x >> /etc/passwd; mkdir /dir; touch /dir/f",
    )
    assert engine.ok("diff", box).splitlines() == [
        "C /bin", "D /bin/ls", "A /dir", "A /dir/f", "C /etc", "A /etc/new", "C /etc/passwd", "A /scratch", "A /vol",
    ]  # fmt: skip


def test_diff_shows_mount_points_as_anything_else(engine: Engine, tmp_path: Path) -> None:
    """But for those of what every container has."""
    mounts = ["-v", f"{tmp_path}:/mnt/deep", "--tmpfs", "/scratch", "-v", f"{tmp_path}:/home"]
    box = engine.ok("create", *mounts, "busybox", "true")
    assert engine.ok("diff", box) == ""
    engine.ok("start", box)
    engine.ok("wait", box)
    assert sorted(engine.ok("diff", box).splitlines()) == ["A /mnt", "A /mnt/deep", "A /scratch"]
    engine.ok("rm", box)


def test_commit_makes_an_image_of_it(engine: Engine, box: str) -> None:
    engine.ok("exec", box, "sh", "-c", "echo new > /new; rm /bin/ls; echo in > /vol/in")
    image = engine.ok(
        "commit",
        "-m",
        "a comment",
        "-a",
        "me",
        "-c",
        'CMD ["cat", "/new"]',
        "-c",
        "ENV A=b",
        "-c",
        "LABEL x=y",
        box,
        "made:1",
    )
    assert image.startswith("sha256:")
    try:
        assert engine.ok("run", "--rm", "made:1") == "new"
        assert (
            engine.ok(
                "run", "--rm", "made:1", "sh", "-c", "echo $A; test -e /bin/ls || echo gone; ls -A /vol"
            )
            == "b\ngone"
        )
        found = json.loads(engine.ok("inspect", "made:1"))[0]
        assert (found["Author"], found["Comment"]) == ("me", "a comment")
        assert found["Config"]["Labels"]["x"] == "y"
        assert len(found["RootFS"]["Layers"]) == 2
        assert engine.ok("history", "--format", "{{.Comment}}", "made:1").splitlines()[0] == "a comment"
        assert engine.ok("inspect", "-f", "{{.State.Paused}}", box) == "false"
        again = engine.ok("commit", box)
        engine.ok("rmi", again)
    finally:
        engine.docker("rmi", "-f", "made:1")


def test_commit_refuses_what_dockerd_refuses(engine: Engine, box: str) -> None:
    assert "is not a valid change command" in engine.fails("commit", "-c", "NONSENSE x", box)
    assert "No such container: nobody" in engine.fails("commit", "nobody")
    assert "invalid reference format" in engine.fails("commit", box, "Not:A:Name")
