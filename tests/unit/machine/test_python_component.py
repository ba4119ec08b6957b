"""A component of Python packages: what is left out, and a tag that follows the code."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.core.platform import host_platform
from moby.machine.python_component import add_python
from moby.machine.recipes import Component, read_component
from moby.machine.wheels import SITE
from tests.unit.machine.test_bytecode import machine
from tests.unit.machine.test_wheels import wheel


def component(folder: Path, python: str) -> Component:
    folder.mkdir(exist_ok=True)
    (folder / "build.yml").write_text(f"about: x\npython: {{{python}}}\n")
    return read_component(folder)


async def test_wheels_and_code_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path / "index", thing__tests__big="x")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").write_text("name = 'own'\n")
    (tmp_path / "own" / "left_out.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    made = component(
        tmp_path / "made", "requirements: r, module: own, without: ['thing/tests', '*/left_out.py']"
    )
    (tmp_path / "made" / "r").write_text(
        f"thing==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
    )
    tree = machine("")
    (tmp_path / "scratch").mkdir()
    await add_python(tree, made, tmp_path / "cache", host_platform(), tmp_path / "scratch")
    found = {path for path, _node in tree.sorted() if path.startswith(f"{SITE}/") and "dist-info" not in path}
    plain = {path.removeprefix(f"{SITE}/") for path in found if path.endswith(".py")}
    assert plain == {"thing.py", "thing/__init__.py", "own/__init__.py"}
    assert len([path for path in found if path.endswith(".pyc")]) == 3
    tag = made.tag(host_platform())
    (tmp_path / "own" / "left_out.py").write_text("new")
    assert made.tag(host_platform()) == tag
    (tmp_path / "own" / "__init__.py").write_text("name = 'other'\n")
    assert made.tag(host_platform()) != tag


async def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    made = component(tmp_path / "made", "requirements: ../r")
    with pytest.raises(InvalidParameter, match="is not in the component's folder"):
        await add_python(machine(""), made, tmp_path, host_platform(), tmp_path)
    with pytest.raises(NotFound, match="no Python package 'gone_from_here'"):
        component(tmp_path / "made", "requirements: r, module: gone_from_here").tag(host_platform())
