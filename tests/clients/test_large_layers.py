"""Layers that processes of their own unpack, and what is left when those or the daemon are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from moby.host.watched import process_lives
from tests.clients.conftest import KIND
from tests.clients.engine import Engine
from tests.clients.test_distribution import Layout, digest, tar

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="about processes of our own")

NAME = "large:1"
# More than an archive's reader waits for: it is unpacked while it comes.
NOISE = random.Random(7).randbytes(66 << 20)


@pytest.fixture
def large(make_engine: Callable[..., Engine], tmp_path: Path) -> tuple[Engine, bytes]:
    """An engine, and the archive of an image with a large layer."""
    engine = make_engine()
    layout = Layout(engine, tmp_path)
    layout.layer(tar({"noise": NOISE}), "gzip")
    layout.write(tmp_path / "large.tar", NAME)
    return engine, (tmp_path / "large.tar").read_bytes()


def extractors(engine: Engine) -> list[int]:
    """The processes that unpack layers of this engine's, each after the one that forked it."""
    found: list[int] = []
    parents = [engine.pid]
    while parents:
        parent = parents.pop()
        for task in Path(f"/proc/{parent}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                if b"moby.images.extractor" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
                    parents.append(child)
    return found


def both(engine: Engine) -> list[int]:
    """As soon as a layer is being unpacked."""
    while len(found := extractors(engine)) < 2:
        time.sleep(0.01)
    return found


def send(client: subprocess.Popen[str], data: bytes) -> None:
    """Give a client more of what it reads."""
    assert client.stdin is not None
    with open(client.stdin.fileno(), "wb", closefd=False) as pipe:
        pipe.write(data)


def loads(engine: Engine, data: bytes) -> None:
    """Load the archive, and see that the image is whole."""
    subprocess.run(
        ["docker", "load"], input=data, capture_output=True, env=engine.environment, check=True, timeout=120
    )
    found = engine.ok("run", "--rm", NAME, "sha256sum", "/noise")
    assert found.split()[0] == digest(NOISE).removeprefix("sha256:")


def test_it_is_unpacked_and_no_process_stays(large: tuple[Engine, bytes]) -> None:
    engine, data = large
    loads(engine, data)
    assert extractors(engine) == []


@pytest.mark.parametrize("kind", ["", "gzip"], ids=["plain", "gzip"])
def test_some_are_unpacked_while_others_are_read(
    make_engine: Callable[..., Engine], tmp_path: Path, kind: str
) -> None:
    engine = make_engine()
    parts = [random.Random(number).randbytes(5 << 20) for number in range(4)]
    layout = Layout(engine, tmp_path)
    for number, part in enumerate(parts):
        layout.layer(tar({f"part{number}": part, "last": str(number).encode()}), kind)
    layout.write(tmp_path / "several.tar", "several:1")
    engine.ok("load", "--input", tmp_path / "several.tar", timeout=120)
    script = "cat /last; echo; sha256sum /part*"
    found = engine.ok("run", "--rm", "several:1", "sh", "-c", script).split()
    assert found[0] == "3"
    assert found[1::2] == [digest(part).removeprefix("sha256:") for part in parts]
    assert extractors(engine) == []


def test_a_killed_process_is_no_harm_to_what_can_be_unpacked_again(large: tuple[Engine, bytes]) -> None:
    engine, data = large
    with engine.spawn("load", stdin=subprocess.PIPE) as client:
        send(client, data[: 9 << 20])
        os.kill(both(engine)[1], signal.SIGKILL)
        send(client, data[9 << 20 :])
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.close()
        said = client.stdout.read()
        assert client.wait(120) == 0
    assert "Error unpacking" not in said
    assert engine.ok("run", "--rm", NAME, "sha256sum", "/noise").split()[0] == digest(NOISE)[7:]
    assert extractors(engine) == []


def test_a_killed_daemon_leaves_nothing_that_runs_on(large: tuple[Engine, bytes]) -> None:
    engine, data = large
    with engine.spawn("load", stdin=subprocess.PIPE) as client:
        send(client, data[: 9 << 20])
        found = both(engine)
        engine.kill()
        client.kill()
    engine.start()
    while any(map(process_lives, found)):
        time.sleep(0.01)
    loads(engine, data)
