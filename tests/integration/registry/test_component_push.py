"""Components at a real registry: made, sent, and taken from there by a machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from moby.cli.moby import run

pytestmark = pytest.mark.registry


def test_a_component_is_sent_and_taken_by_its_name_there(
    start_registry: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    address = start_registry()
    (tmp_path / "own").mkdir()
    (tmp_path / "own/build.yml").write_text(
        "about: mine\nfiles: [{path: app, contents: works}]\nimage: {cmd: [/app]}\n"
    )
    cache = ["--cache", str(tmp_path / "cache")]
    assert run(["component", *cache, "push", "-q", "--to", f"{address}/me", str(tmp_path / "own")]) == 0
    name, digest = capsys.readouterr().out.split()
    assert name.startswith(f"{address}/me/own:")
    assert digest.startswith("sha256:")
    (tmp_path / "m.yml").write_text(f"services: [{{name: own, image: '{name}'}}]\n")
    out = tmp_path / "out"
    elsewhere = ["--cache", str(tmp_path / "other")]
    assert run(["build", str(tmp_path / "m.yml"), "-q", "-f", "tar", "-o", str(out), *elsewhere]) == 0
    assert b"works" in (out / "m.tar").read_bytes()
