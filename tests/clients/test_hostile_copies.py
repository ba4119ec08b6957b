"""Containers made to harm whoever copies files out of them and into them; each test names what it is about."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.clients.test_archive import binary
from tests.leftovers import processes

TRAP = "#!/bin/sh\necho $0 >> /pwned\n"
PROGRAMS = ("tar", "gzip", "gunzip", "unpigz", "xz", "unxz", "zstd", "bzip2", "docker-tar", "ld.so")
LIBRARIES = ("libnss_files.so.2", "libc.so.6", "libz.so.1", "liblzma.so.5", "libpython3.11.so.1.0")


@pytest.fixture
def trapped(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """A container with programs and libraries of its own, wherever a helper might look for them."""
    name = engine.ok("run", "-d", "busybox", "sleep", "600")
    trap = tmp_path / "trap"
    trap.write_text(TRAP)
    trap.chmod(0o755)
    tree = tmp_path / "tree"
    for directory in ("usr/local/sbin", "usr/local/bin", "usr/sbin", "sbin", "usr/bin"):
        (tree / directory).mkdir(parents=True)
        for program in PROGRAMS:
            shutil.copy(trap, tree / directory / program)
    for directory in ("lib", "lib64", "usr/lib", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"):
        (tree / directory).mkdir(parents=True, exist_ok=True)
        for library in LIBRARIES:
            shutil.copy(trap, tree / directory / library)
    (tree / "etc").mkdir()
    (tree / "etc/nsswitch.conf").write_text("passwd: files evil\n")
    (tree / "etc/ld.so.preload").write_text("/lib/libc.so.6\n")
    engine.ok("cp", f"{tree}/.", f"{name}:/")
    yield name
    engine.docker("rm", "-f", name)


def nothing_of_it_ran(engine: Engine, name: str) -> None:
    """Neither in the container nor on the host."""
    assert engine.docker("exec", name, "cat", "/pwned").code != 0
    assert not Path("/pwned").exists()


def test_helpers_and_libraries_of_the_container_are_not_used(engine: Engine, trapped: str) -> None:
    """CVE-2019-14271: whoever packs for `docker cp` loaded a library from the container's root."""
    mapped: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for line in processes(str(engine.root)):
                if "sleep" in line:
                    continue
                try:
                    maps = Path(f"/proc/{line.partition(':')[0]}/maps").read_text()
                except OSError:
                    continue
                mapped.update(
                    word for word in maps.split() if word.endswith(LIBRARIES) and "/snapshots/" in word
                )

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(5):
            assert binary(engine, "cp", f"{trapped}:/usr", "-").stdout
            assert binary(engine, "cp", "-a", f"{trapped}:/etc", "-").stdout
            assert binary(engine, "export", trapped).stdout
    finally:
        done.set()
        looking.join()
    assert not mapped
    nothing_of_it_ran(engine, trapped)


@pytest.mark.parametrize("form", ["plain", "gzip", "xz", "bzip2", "zstd"])
def test_decompressors_of_the_container_are_not_run(engine: Engine, trapped: str, form: str) -> None:
    """What unpacks an archive for a container is the host's, whichever form it has."""
    if form == "zstd" and KIND == "dockerd":
        pytest.skip("20.10 does not know it")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("here")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"well"))
    packed: dict[str, Callable[[bytes], bytes]] = {
        "plain": bytes,
        "gzip": gzip.compress,
        "xz": lzma.compress,
        "bzip2": bz2.compress,
    }
    if form == "zstd":
        body = subprocess.run(["zstd", "-c"], input=data.getvalue(), capture_output=True, check=True).stdout
    else:
        body = packed[form](data.getvalue())
    with engine.client() as client:
        assert client.api.put_archive(trapped, "/tmp", body)
    assert engine.ok("exec", trapped, "cat", "/tmp/here") == "well"
    nothing_of_it_ran(engine, trapped)


def test_links_within_the_container_go_on_working(engine: Engine, tmp_path: Path) -> None:
    """Fences against links that lead out broke images in which /var/run is one."""
    name = engine.ok(
        "run", "-d", "busybox", "sh", "-c", "mkdir /run; ln -s /run /var/run; ln -s ../run /var/up; sleep 600"
    )
    (tmp_path / "file").write_text("text")
    try:
        for number, way in enumerate(("/var/run", "/var/up", "/proc/1/root/run", "/proc/self/root/run")):
            if way.startswith("/proc"):
                # What /proc says is the reader's, and that is nobody in the container.
                engine.docker("cp", tmp_path / "file", f"{name}:{way}/x")
                continue
            engine.ok("cp", tmp_path / "file", f"{name}:{way}/{number}")
            assert engine.ok("exec", name, "cat", f"/run/{number}") == "text"
            assert binary(engine, "cp", f"{name}:{way}/{number}", "-").stdout
        assert not Path("/run/x").exists()
    finally:
        engine.docker("rm", "-f", name)


@pytest.mark.parametrize("command", ["cp", "export", "commit"])
def test_a_tree_that_changes_while_it_is_read(engine: Engine, tmp_path: Path, command: str) -> None:
    """A directory is swapped for a link to the host's again and again: what is read is the container's."""
    secret = tmp_path / "host"
    secret.mkdir()
    (secret / "file").write_text("a secret of the host's")
    swap = f"while true; do mkdir /x; echo box > /x/file; rm -rf /x; ln -s {secret} /x; rm /x; done"
    name = engine.ok("run", "-d", "busybox", "sh", "-c", swap)
    try:
        for _ in range(5):
            if command == "commit":
                image = engine.docker("commit", "--pause=false", name, "raced:1")
                if image.code == 0:
                    shown = engine.docker("run", "--rm", "raced:1", "cat", "/x/file")
                    assert "secret" not in shown.out
                continue
            arguments = ["export", name] if command == "export" else ["cp", f"{name}:/", "-"]
            assert b"a secret of the host's" not in binary(engine, *arguments).stdout
    finally:
        engine.docker("rm", "-f", name)
        engine.docker("rmi", "-f", "raced:1")


@pytest.mark.skipif(KIND != "mobyd", reason="dockerd exports no volumes")
def test_a_volume_swapped_while_it_is_exported(engine: Engine, tmp_path: Path) -> None:
    """CVE-2023-0778: a container swapped a directory of its volume for a link to the host's."""
    from tests.clients.test_volume_transfers import moby

    secret = tmp_path / "host"
    secret.mkdir()
    (secret / "file").write_text("a secret of the host's")
    swap = f"while true; do mkdir /v/x; echo box > /v/x/file; rm -rf /v/x; ln -s {secret} /v/x; rm /v/x; done"
    name = engine.ok("run", "-d", "-v", "raced:/v", "busybox", "sh", "-c", swap)
    try:
        for number in range(10):
            target = tmp_path / f"{number}.tar"
            moby(engine, "export", "raced", target)
            assert not target.exists() or b"a secret of the host's" not in target.read_bytes()
    finally:
        engine.docker("rm", "-f", name)
