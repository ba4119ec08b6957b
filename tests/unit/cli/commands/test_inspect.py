"""moby inspect, on a machine of an archive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moby.cli.moby import run
from tests.unit.machine.made import archive, layer, member


def test_a_machine_is_told_as_text_as_json_and_as_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.tar").write_bytes(archive(layer(member("app", b"x" * 5000))))
    (tmp_path / "m.yml").write_text("init: [./app.tar]\n")
    words = ["inspect", str(tmp_path / "m.yml"), "--cache", str(tmp_path / "cache")]
    assert run([*words, "--html", str(tmp_path / "map.html")]) == 0
    assert capsys.readouterr().out.startswith("m.yml: 4.9 KiB in ")
    assert (tmp_path / "map.html").read_text().startswith("<!doctype html>")
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["largest"][0]["path"] == "app"
    assert run(["inspect", str(tmp_path / "missing.yml")]) == 1
    assert capsys.readouterr().err.startswith("moby: cannot read assembly")
    assert run(["inspect"]) == 2
