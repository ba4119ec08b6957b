"""moby cloud: what is asked, before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.cli.moby import run


def test_options_are_listed_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cloud", "options", "gcp"]) == 0
    assert "push -o bucket=: where the disk is sent to, needed\n" in capsys.readouterr().out
    disk = tmp_path / "web.img.tar.gz"
    assert run(["cloud", "push", "gcp", str(disk)]) == 1
    assert capsys.readouterr().err == "moby: gcp needs bucket (-o bucket=VALUE)\n"
    assert run(["cloud", "push", "gcp", str(disk), "-o", "bucket=b"]) == 1
    assert capsys.readouterr().err == f"moby: there is no {disk}\n"
    assert run(["cloud", "push", "nowhere", str(disk)]) == 2


def test_a_clouds_tool_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = tmp_path / "openstack"
    tool.write_text('#!/bin/sh\necho "id of $*"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    disk = tmp_path / "web.qcow2"
    disk.write_bytes(b"x")
    assert run(["cloud", "push", "openstack", str(disk)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("id of image create --disk-format qcow2")
    assert said.out.endswith("-c id web\n")
    assert said.err == "moby: openstack image create\n"
