"""moby diff: silent and 0, or what differs and 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moby.cli.moby import run
from moby.machine.streams import tar_stream
from moby.machine.tree import Node, Tree


def test_the_status_tells_whether_anything_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = str(tmp_path / "one.tar"), str(tmp_path / "other.tar")
    for path, content in ((one, b"a"), (other, b"b")):
        tree = Tree()
        tree.put("etc/x", Node(content=content))
        Path(path).write_bytes(b"".join(tar_stream(tree)))
    assert run(["diff", one, one]) == 0
    assert capsys.readouterr().out == ""
    assert run(["diff", one, other]) == 1
    said = capsys.readouterr()
    assert said.out == "~ /etc/x: content\n"
    assert said.err == f"moby: {one} and {other} differ in 1 paths\n"
    assert run(["diff", one, other, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["changes"] == [
        {"path": "etc/x", "kind": "changed", "what": ["content"]}
    ]
    assert run(["diff", one]) == 2
