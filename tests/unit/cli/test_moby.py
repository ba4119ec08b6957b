"""moby, the tool for assemblies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moby import __version__
from moby.cli.moby import run


def test_what_can_be_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
    assert run(["schema"]) == 0
    assert "EngineSection" in json.loads(capsys.readouterr().out)["$defs"]
    assert run(["components"]) == 0
    assert "logs: json-file" in capsys.readouterr().out
    (tmp_path / "a.yml").write_text("engine: {logs: [none]}\n")
    assert run(["check", str(tmp_path / "a.yml")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a.yml: 11 components\n"


@pytest.mark.parametrize(("text", "said"), [
    ("engine:\n  log: x\n", "moby: a.yml:2: engine.log: unknown key 'log' (did you mean 'logs'?)"),
    ("engine:\n  logs: [none, nun]\n", "moby: a.yml:2: engine.logs: no logs component named 'nun'"),
])  # fmt: skip
def test_a_wrong_assembly_is_one_and_one_line(
    text: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.yml").write_text(text)
    assert run(["check", str(tmp_path / "a.yml")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_wrong_usage_is_two_and_what_is_not_there_yet_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert run(["nonsense"]) == 2
    assert run(["--help"]) == 0
    assert run(["build", "x", "--y"]) == 1
    assert "'build' is not supported yet" in capsys.readouterr().err
