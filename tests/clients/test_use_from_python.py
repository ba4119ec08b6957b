"""The parts from Python: what the page about it says, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import ROOT, Engine, Network
from tests.leftovers import mounts, processes

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd is no library")

PAGE = ROOT / "docs" / "how-to" / "use-from-python.md"


def examples(heading: str) -> list[str]:
    """The pieces of Python below a heading of the page."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert section, heading
    return re.findall(r"^```python\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)


def example(heading: str) -> str:
    """The first of them."""
    return examples(heading)[0]


RAISES = """
import asyncio
from moby.core.errors import NotFound
from moby.engine.config import EngineConfig
from moby.engine.embedded import embedded

async def main() -> None:
    try:
        async with embedded(EngineConfig(data_root="{root}/data", exec_root="{root}/exec", bridge="none")) as engine:
            await engine.containers.start("nobody")
    except NotFound as error:
        print(error.message)

asyncio.run(main())
"""


def run(network: Network, program: str, *, user: int = 0) -> str:
    """What a program prints, run in a network namespace."""
    done = subprocess.run(
        [*network.enter, sys.executable, "-c", program],
        cwd="/", user=user, capture_output=True, text=True, timeout=120, check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def image(engine: Engine, plain_registry: str) -> str:
    """The registry that has an image `busybox`."""
    engine.ok("tag", "busybox", f"{plain_registry}/busybox")
    engine.ok("push", f"{plain_registry}/busybox")
    return plain_registry


def test_an_engine_in_a_program(network: Network, image: str, tmp_path: Path, place: Path) -> None:
    """It runs a container, ends, finds the image again, and leaves nothing that runs or is mounted."""
    root = place / "embedded"
    program = example("A whole engine, without a daemon")
    for before, after in (
        ("/var/lib/mine", f"{root}/data"), ("/run/mine", f"{root}/exec"), ("registry.example", image),
    ):  # fmt: skip
        program = program.replace(before, after)
    said = run(network, program)
    assert "ended with 3" in said
    assert f"Downloaded newer image for {image}/busybox:latest" in said
    assert "Image is up to date" in run(network, program)
    assert run(network, RAISES.format(root=root)) == "No such container: nobody\n"
    assert not mounts(str(root))
    assert not processes(str(root))


def test_a_registry_without_an_engine(network: Network, image: str) -> None:
    program = example("Images, without an engine and without root").replace("registry.example", image)
    said = run(network, program)
    assert said.startswith("sha256:")
    assert "'latest'" in said


def test_a_log_without_an_engine(network: Network) -> None:
    assert run(network, example("A container's log")) == "['two\\n']\n"


def test_the_suite_for_a_part_of_ones_own(tmp_path: Path) -> None:
    """The examples are a driver and a file of tests that it passes."""
    driver, tests = examples("A part of your own")
    (tmp_path / "mine.py").write_text(driver)
    (tmp_path / "test_mine.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
