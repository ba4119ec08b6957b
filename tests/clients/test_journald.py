"""Logs in systemd's journal, read back from there; a journal of the test's own serves."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, Network
from tests.clients.places import apart

JOURNALD = Path("/lib/systemd/systemd-journald")
# Nothing of the host's journal is seen or changed.
OWN = """
for directory in /run/systemd /run/log /var/log/journal; do mount -t tmpfs own $directory; done
mkdir -p /run/systemd/journal /run/log/journal
mkdir $0/id
echo 0123456789abcdef0123456789abcdef > $0/id/machine-id
mount --bind $0/id/machine-id /etc/machine-id
"""

pytestmark = pytest.mark.skipif(not JOURNALD.exists(), reason="needs systemd-journald")


@contextmanager
def points() -> Iterator[None]:
    """Where its parts are mounted; what was not there is gone afterwards."""
    wanted = [Path("/run/systemd"), Path("/run/log"), Path("/var/log/journal")]
    made = [path for path in wanted if not path.exists()]
    for path in made:
        path.mkdir()
    yield
    for path in made:
        path.rmdir()


@pytest.fixture(scope="module")
def journaling(place: Path, archive: Path) -> Iterator[Engine]:
    """An engine on a host that seems to have a journal, which keeps every line."""
    name = uuid.uuid4().hex[:8]
    root = place / name
    root.mkdir()
    with Network(f"mobyt-{name}") as network, points(), apart(network, OWN, str(root)) as mounts:
        command = ["nsenter", f"--mount={mounts}", str(JOURNALD)]
        journal = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        engine = Engine(root, network, KIND)
        try:
            engine.start()
            engine.ok("load", "--input", archive)
            yield engine
            assert engine.ok("ps", "--all", "--quiet") == ""
            assert engine.stop() == 0
        finally:
            engine.remove()
            journal.terminate()
            journal.wait(30)


def run(engine: Engine, name: str, script: str, *flags: str) -> None:
    flags = ("--log-driver", "journald", *flags)
    engine.ok("run", "--name", name, *flags, "busybox", "sh", "-c", script)


def test_everything_comes_back(journaling: Engine) -> None:
    run(journaling, "said", "seq 1 5000; echo oops >&2", "--label", "a=b", "--log-opt", "labels=a")
    shown = journaling.docker("logs", "said")
    assert shown.out.split() == [str(number) for number in range(1, 5001)]
    assert shown.err == "oops\n"
    assert journaling.ok("logs", "--tail", "3", "said").split() == ["4999", "5000"]
    assert journaling.docker("logs", "--tail", "1", "--details", "said").err == "A=b oops\n"
    assert journaling.ok("logs", "--tail", "0", "said") == ""
    journaling.ok("rm", "said")


def test_windows_of_time(journaling: Engine) -> None:
    run(journaling, "timed", "echo one; sleep 1.1; echo two; sleep 1.1; echo three")
    moments = [line.split()[0] for line in journaling.ok("logs", "--timestamps", "timed").splitlines()]
    assert len(moments) == 3
    assert journaling.ok("logs", "--since", moments[1], "timed").split() == ["two", "three"]
    assert journaling.ok("logs", "--until", moments[1], "timed").split() == ["one", "two"]
    assert journaling.ok("logs", "--since", moments[2], "--tail", "3", "timed") == "three"
    journaling.ok("rm", "timed")


def test_long_lines_are_put_together(journaling: Engine) -> None:
    run(journaling, "long", "head -c 50000 /dev/zero | tr '\\0' x; echo; printf unfinished")
    assert journaling.docker("logs", "long").out == "x" * 50000 + "\nunfinished"
    journaling.ok("rm", "long")


def test_it_is_followed_to_its_end(journaling: Engine) -> None:
    flags = ("--log-driver", "journald", "--name", "on")
    journaling.ok("run", "-d", *flags, "busybox", "sh", "-c", "echo first; sleep 1; seq 1 300")
    assert journaling.ok("logs", "--follow", "on").split() == ["first", *map(str, range(1, 301))]
    assert journaling.ok("logs", "--follow", "--tail", "2", "on").split() == ["299", "300"]
    journaling.ok("rm", "on")
