"""Python's code, compiled by the machine's own Python; here one that stands for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound, System
from moby.core.platform import Platform, host_platform
from moby.machine.bytecode import compile_python
from moby.machine.tree import Node, Tree
from moby.machine.wheels import SITE

LOADERS = {"amd64": "lib64/ld-linux-x86-64.so.2", "arm64": "lib/ld-linux-aarch64.so.1"}
# Called as: LOADER --library-path PATHS PYTHON ARGUMENTS
LOADER = f'#!/bin/sh\nshift 3\nunset PYTHONHOME\nexec {sys.executable} "$@"\n'


def machine(code: str) -> Tree:
    tree = Tree()
    loader = LOADERS[host_platform().architecture]
    tree.put(loader, Node(mode=0o755, content=LOADER.encode()))
    tree.put("usr/lib/python3.11/os.py", Node(content=b"sep = '/'\n"))
    tree.put(f"{SITE}/thing.py", Node(content=code.encode()))
    tree.put("usr/bin/python3", Node("symlink", 0o777, target="/usr/bin/python3.11"))
    return tree


async def test_every_module_is_compiled_and_says_where_it_will_be(tmp_path: Path) -> None:
    found = []
    for name in ("one", "another"):
        tree = machine("def where() -> str:\n    return __file__\n")
        (tmp_path / name).mkdir()
        await compile_python(tree, "3.11", host_platform(), tmp_path / name)
        compiled = [node.read() for path, node in tree.sorted() if path.endswith(".pyc")]
        assert len(compiled) == 2
        assert f"/{SITE}/thing.py".encode() in b"".join(compiled)
        found.append(compiled)
    assert found[0] == found[1]


async def test_code_that_cannot_be_compiled_is_told(tmp_path: Path) -> None:
    with pytest.raises(System, match="Python's code cannot be compiled"):
        await compile_python(machine("def x(:\n"), "3.11", host_platform(), tmp_path)


async def test_another_processor_needs_an_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "arm64" if host_platform().architecture == "amd64" else "amd64"
    monkeypatch.setattr("shutil.which", lambda *_given, **_more: None)
    with pytest.raises(NotFound, match="-static is not installed") as error:
        await compile_python(machine(""), "3.11", Platform(other, "linux"), tmp_path)
    assert error.value.hint == "apt-get install qemu-user-static"
    with pytest.raises(InvalidParameter, match="linux/s390x"):
        await compile_python(machine(""), "3.11", Platform("s390x", "linux"), tmp_path / "x")
