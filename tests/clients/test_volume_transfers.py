"""`moby volume`: copies, new names, archives; refused where they would be torn."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import ROOT, Engine

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd does nothing of this")


def moby(
    engine: Engine, *arguments: str | Path, data: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Runs `moby volume` against this engine."""
    command = [sys.executable, "-m", "moby.cli.moby", "volume", "-H", engine.address, *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=False, cwd=ROOT / "src", timeout=60)


def done(engine: Engine, *arguments: str | Path, data: bytes | None = None) -> str:
    """What it printed; it must succeed."""
    result = moby(engine, *arguments, data=data)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().strip()


def write(engine: Engine, volume: str, text: str) -> None:
    """Puts something into a volume."""
    engine.ok("run", "--rm", "-v", f"{volume}:/data", "busybox", "sh", "-c", f"echo {text} > /data/file")


def read(engine: Engine, volume: str) -> str:
    """What is in it."""
    return engine.ok("run", "--rm", "-v", f"{volume}:/data", "busybox", "cat", "/data/file")


def test_copies_live_on_their_own(engine: Engine) -> None:
    engine.ok("volume", "create", "--label", "a=b", "data")
    write(engine, "data", "first")
    assert done(engine, "clone", "data", "copy") == "copy"
    taken = done(engine, "snapshot", "data")
    assert taken.startswith("data-2")
    write(engine, "data", "second")
    assert (read(engine, "copy"), read(engine, taken), read(engine, "data")) == ("first", "first", "second")
    labels = engine.ok("volume", "inspect", "-f", "{{.Labels}}", taken)
    assert "a:b" in labels
    assert "org.mobyproject.snapshot-of:data" in labels
    assert done(engine, "rename", "copy", "kept") == "kept"
    assert read(engine, "kept") == "first"
    assert "copy" not in engine.ok("volume", "ls", "-q").split()


def test_archives_go_out_and_in(engine: Engine, tmp_path: Path) -> None:
    write(engine, "data", "packed")
    done(engine, "export", "data", "--output", tmp_path / "data.tar")
    with tarfile.open(tmp_path / "data.tar") as tar:
        assert sorted(tar.getnames()) == [".", "./file"]
    assert moby(engine, "export", "data").stdout == (tmp_path / "data.tar").read_bytes()
    assert done(engine, "import", "one", tmp_path / "data.tar") == "one"
    subprocess.run(["gzip", str(tmp_path / "data.tar")], check=True)
    assert done(engine, "import", "two", data=(tmp_path / "data.tar.gz").read_bytes()) == "two"
    assert (read(engine, "one"), read(engine, "two")) == ("packed", "packed")
    assert b"volume one already exists" in moby(engine, "import", "one", tmp_path / "data.tar.gz").stderr
    assert moby(engine, "import", "three", data=b"no archive" * 100).returncode == 1
    assert "three" not in engine.ok("volume", "ls", "-q").split()


def test_what_goes_wrong_here_is_not_the_engines(engine: Engine, tmp_path: Path) -> None:
    """A full disk, and no engine where it is looked for, in a line each."""
    engine.ok("volume", "create", "source")
    write(engine, "source", "kept")
    command = [sys.executable, "-m", "moby.cli.moby", "volume", "-H", engine.address, "export", "source"]
    with open("/dev/full", "wb") as nowhere:
        result = subprocess.run(
            command, stdout=nowhere, stderr=subprocess.PIPE, check=False, cwd=ROOT / "src"
        )
    assert (result.returncode, result.stderr) == (
        1, b"moby: cannot write the archive: no space left on device\n",
    )  # fmt: skip
    command[command.index(engine.address)] = f"unix://{tmp_path}/none.sock"
    away = subprocess.run(command, capture_output=True, check=False, cwd=ROOT / "src")
    assert away.returncode == 1
    assert b"cannot connect to the engine at unix://" in away.stderr
    assert b"no such file or directory (is it running?" in away.stderr
    engine.ok("volume", "rm", "source")


def test_what_is_written_to_is_not_copied(engine: Engine, tmp_path: Path) -> None:
    write(engine, "data", "here")
    engine.ok("run", "-d", "--name", "reader", "-v", "data:/data:ro", "busybox", "sleep", "600")
    done(engine, "clone", "data", "one")
    engine.ok("run", "-d", "--name", "writer", "-v", "data:/data", "busybox", "sleep", "600")
    for command in (
        ("clone", "data", "two"),
        ("snapshot", "data"),
        ("export", "data", "--output", tmp_path / "x"),
    ):
        assert b"volume data would be torn: it is mounted by writer" in moby(engine, *command).stderr
    assert list(tmp_path.iterdir()) == []
    assert b"volume is in use" in moby(engine, "rename", "data", "two").stderr
    engine.ok("pause", "writer")
    done(engine, "clone", "data", "two")
    assert sorted(engine.ok("volume", "ls", "-q").split()) == ["data", "one", "two"]
