"""One engine for the tests that only use it, and fresh ones for those that break it.

`MOBY_TEST_ENGINE=dockerd` runs the tests against Debian's dockerd: what fails there is a mistake in a test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.engine import ROOT, Engine, Network
from tests.clients.registry import registry as run_registry

KIND = os.environ.get("MOBY_TEST_ENGINE", "mobyd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks all tests of this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.clients)


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A short path: Unix sockets have 107 characters for their whole name."""
    directory = Path(tempfile.mkdtemp(prefix="mobyt-", dir="/var/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def archive(place: Path) -> Path:
    """The busybox image as a file for `docker load`."""
    path = place / "busybox.tar"
    subprocess.run([sys.executable, ROOT / "components/busybox/build.py", path], check=True)
    return path


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The network namespace of the shared engine and its registries."""
    with Network(f"mobyt-{uuid.uuid4().hex[:8]}") as network:
        subprocess.run([*network.enter, "ip", "address", "add", "10.99.0.1/32", "dev", "lo"], check=True)
        yield network


def checked_stop(engine: Engine) -> None:
    """Stops an engine that has no containers, and looks at what it leaves."""
    engine.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
    code = engine.stop()
    deadline = time.monotonic() + 10
    while (left := engine.leftovers()) and time.monotonic() < deadline:
        time.sleep(0.05)
    tail = engine.tail()
    engine.remove()
    assert code == 0, f"the daemon ended with {code}:\n{tail}"
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session")
def shared(place: Path, network: Network, archive: Path) -> Iterator[Engine]:
    """The engine of all tests that leave it well; stopped and searched for leftovers at the end."""
    engine = Engine(place / "shared", network, KIND)
    try:
        engine.start()
        engine.ok("load", "--input", archive)
        yield engine
        with_registry_gone(network, engine)
        checked_stop(engine)
    finally:
        engine.remove()


def with_registry_gone(network: Network, engine: Engine) -> None:
    """Waits for the registries of the tests to be gone, which share the namespace."""
    deadline = time.monotonic() + 5
    while (
        any("docker-registry" in line for line in engine.leftovers().processes)
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)


@pytest.fixture
def engine(shared: Engine) -> Iterator[Engine]:
    """The shared engine, with neither containers nor volumes of an earlier test, serving still when the test ends."""
    yield shared
    shared.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
    shared.docker_quietly("volume", "ls", "--quiet", then=("volume", "rm", "--force"))
    assert b"200 OK" in shared.raw(b"GET /_ping HTTP/1.0\r\n\r\n")
    assert shared.ok("ps", "--all", "--quiet") == ""


@pytest.fixture
def make_engine(place: Path, archive: Path) -> Iterator[Callable[..., Engine]]:
    """Makes engines of a test's own, each in its own namespace, with busybox loaded."""
    made: list[Engine] = []

    def make(*arguments: str, load: bool = True, packages: Path | None = None) -> Engine:
        name = uuid.uuid4().hex[:8]
        network = Network(f"mobyt-{name}")
        network.__enter__()
        engine = Engine(place / name, network, KIND, arguments, packages)
        made.append(engine)
        engine.start()
        if load:
            engine.ok("load", "--input", archive)
        return engine

    yield make
    for engine in made:
        engine.remove()
        engine.network.__exit__()


@pytest.fixture(scope="session")
def plain_registry(shared: Engine, network: Network, place: Path) -> Iterator[str]:
    """A registry without password or TLS, on an address that engines trust by default."""
    with run_registry(network, place / "registry", "127.0.0.1:5005") as address:
        yield address


@pytest.fixture(scope="session")
def locked_registry(shared: Engine, network: Network, place: Path) -> Iterator[str]:
    """A registry that asks for a password, over TLS that engines do not verify since it is on the loopback."""
    with run_registry(network, place / "locked", "127.0.0.1:5006", auth=True, tls=True) as address:
        yield address


@pytest.fixture(scope="session")
def foreign_registry(shared: Engine, network: Network, place: Path) -> Iterator[str]:
    """A registry over TLS that engines verify, with a certificate that nobody vouches for."""
    with run_registry(network, place / "foreign", "10.99.0.1:5007", tls=True) as address:
        yield address
