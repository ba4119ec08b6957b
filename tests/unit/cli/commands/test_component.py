"""moby component: names, tags, and what has no test."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.cli.moby import run


def test_components_of_ones_own_are_listed_beside_those_that_ship(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/build.yml").write_text("about: mine\n")
    words = ["component", "--cache", str(tmp_path / "cache"), "--components", str(tmp_path)]
    assert run([*words, "ls"]) == 0
    shown = capsys.readouterr().out
    assert "  mine\n" in f"{shown}\n"
    assert "moby/metadata:" in shown
    assert run([*words, "show-tag", "own"]) == 0
    assert capsys.readouterr().out.startswith("moby/own:")
    assert run([*words, "test", "own"]) == 1
    assert capsys.readouterr().err == "moby: component own has no test.yml\n"
    assert run([*words, "push", "own"]) == 2
