"""Which build it is, if anybody has written it down."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.engine.build import Build, build


def test_a_package_knows_its_commit(tmp_path: Path) -> None:
    path = tmp_path / "build.json"
    path.write_text('{"commit": "0123456", "time": "2026-01-02T03:04:05+00:00"}')
    assert build(path) == Build("0123456", "2026-01-02T03:04:05+00:00")


@pytest.mark.parametrize("text", [None, "", "[]", '{"commit": 5}'])
def test_a_checkout_does_not(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "build.json"
    if text is not None:
        path.write_text(text)
    assert build(path) == Build()
