"""What a machine is told at its start."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from moby.machine.data_disc import write_data_disc


@pytest.mark.skipif(shutil.which("xorriso") is None, reason="needs xorriso")
async def test_a_disk_that_is_found_by_its_label(tmp_path: Path) -> None:
    disc = tmp_path / "data.iso"
    await write_data_disc(disc, "web", b'{"a": {"content": "b"}}')
    assert disc.read_bytes()[0x8000 + 40 :].startswith(b"cidata ")
    assert disc.stat().st_mode & 0o777 == 0o600
    out = tmp_path / "out"
    subprocess.run(
        ["xorriso", "-osirrox", "on", "-indev", disc, "-extract", "/", out], check=True, capture_output=True
    )
    assert (out / "user-data").read_bytes() == b'{"a": {"content": "b"}}'
    assert "local-hostname: web\n" in (out / "meta-data").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.iso", "out"]
