"""Finding components: ours by the table, those of other packages by their entry points."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, System
from moby.framework.builtins import BUILTINS
from moby.framework.registry import Component, find, load

SOURCE = Path(__file__).parents[3] / "src"

OWN = """
from moby.core.logs import LogDriver

class Mine(LogDriver):
    name = "mine"
    def check(self, options): pass
    def writer(self, info): return None
    def reader(self, info): return None
"""


def test_every_component_that_ships_is_there() -> None:
    for role, components in BUILTINS.items():
        for name in components:
            assert callable(find(role, name).load()), (role, name)


def test_unknown_names_are_refused_with_what_there_is() -> None:
    with pytest.raises(InvalidParameter, match="no logs component named 'jsonfile'") as error:
        find("logs", "jsonfile")
    assert error.value.hint == "did you mean 'json-file'?"
    with pytest.raises(InvalidParameter, match="no such role: 'log'"):
        find("log", "json-file")


def test_what_cannot_be_imported_says_so() -> None:
    with pytest.raises(System, match="cannot load logs component 'x' from nowhere:X"):
        Component("logs", "x", "nowhere:X").load()
    with pytest.raises(System, match="cannot load it from os:nothing"):
        load("os:nothing", "it")


def test_another_package_s_component_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(OWN)
    about = tmp_path / "theirs-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[moby.logs]\nmine = theirs:Mine\n")
    program = (
        "from moby.framework.assembly import parse\n"
        "found = parse('engine:\\n  logs: [mine, json-file]\\n', 'a.yml').of('logs')\n"
        "print([(one.component.target, one.component.load()().name) for one in found])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{SOURCE}:{tmp_path}"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(
        [("theirs:Mine", "mine"), ("moby.logs.drivers.json_file:JsonFile", "json-file")]
    )
