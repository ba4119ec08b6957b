"""aiohttp's package is empty until somebody asks it for something, and whole from then on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def after_serving(program: str) -> str:
    """What a program prints that begins with the server's parts."""
    done = subprocess.run(
        [sys.executable, "-c", f"import moby.api.serving, sys\n{program}"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "src")},
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("import aiohttp; print(aiohttp.ClientSession.__name__)", id="an attribute"),
        pytest.param("from aiohttp import ClientSession; print(ClientSession.__name__)", id="a name"),
        pytest.param("import aiohttp.client as c; print(c.ClientSession.__name__)", id="a part"),
        pytest.param("import aiohttp; print(aiohttp.client.ClientSession.__name__)", id="a part by its name"),
    ],
)
def test_the_client_is_there_for_who_asks(program: str) -> None:
    assert after_serving(program) == "ClientSession"


def test_whole_it_is_the_package_itself() -> None:
    asked = "import aiohttp; aiohttp.ClientTimeout; print(aiohttp.__version__, hasattr(aiohttp, 'nothing'))"
    version, has = after_serving(asked).split()
    assert version.startswith("3.")
    assert has == "False"


def test_the_servers_parts_are_the_same_ones() -> None:
    assert (
        after_serving("from aiohttp import web; print(web.Response is moby.api.serving.Response)") == "True"
    )


def test_a_name_that_is_none_fills_nothing() -> None:
    program = "import aiohttp; print(hasattr(aiohttp, '__nothing__'), 'aiohttp.client' in sys.modules)"
    assert after_serving(program) == "False False"
