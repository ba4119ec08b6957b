"""moby metadata: where its data may come from."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from moby.cli.moby import run
from moby.machine import data_disc


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []

    async def write(target: Path, data: data_disc.Data) -> None:
        found.append((target, data))

    monkeypatch.setattr(data_disc, "write_data_disc", write)
    return found


def test_data_is_a_word_a_file_or_standard_input(
    tmp_path: Path, kept: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "cd.iso")
    (tmp_path / "data").write_bytes(b"in a file")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from somebody")))
    assert run(["metadata", "create", target, "a word", "--hostname", "web", "--instance-id", "i-1"]) == 0
    assert run(["metadata", "create", target, "--file", str(tmp_path / "data")]) == 0
    assert run(["metadata", "create", target, "--file", "-"]) == 0
    assert capsys.readouterr().out == f"{target}\n" * 3
    assert [data.user for _target, data in kept] == [b"a word", b"in a file", b"from somebody"]
    assert (kept[0][1].hostname, kept[0][1].instance_id) == ("web", "i-1")


def test_wrong_usage(tmp_path: Path, kept: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "cd.iso")
    assert run(["metadata", "create", target]) == 1
    assert run(["metadata", "create", target, "a", "--file", "b"]) == 1
    assert run(["metadata", "create", target, "--file", str(tmp_path / "missing")]) == 1
    assert "cannot read" in capsys.readouterr().err.splitlines()[-1]
    assert run(["metadata"]) == 2
    assert kept == []
