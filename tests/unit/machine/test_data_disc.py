"""CDs with data, read back by other tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.machine.data_disc import Data, write_data_disc

xorriso = pytest.mark.skipif(not shutil.which("xorriso"), reason="xorriso is not installed")


def test_files_are_those_that_clouds_and_linuxkit_know() -> None:
    assert Data(b"x", "web", "i-1").files() == {
        "user-data": b"x",
        "config": b"x",
        "meta-data": b'instance-id: "i-1"\nlocal-hostname: "web"\n',
    }


@xorriso
async def test_a_cd_is_the_same_bytes_and_holds_the_data(tmp_path: Path) -> None:
    for name in ("one.iso", "two.iso"):
        await write_data_disc(tmp_path / name, Data(b'{"a": {"content": "b"}}', "web"))
    assert (tmp_path / "one.iso").read_bytes() == (tmp_path / "two.iso").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"one.iso", "two.iso"}
    out = tmp_path / "out"
    subprocess.run(
        ["xorriso", "-osirrox", "on", "-indev", tmp_path / "one.iso", "-extract", "/user-data", out],
        check=True, capture_output=True,
    )  # fmt: skip
    assert out.read_bytes() == b'{"a": {"content": "b"}}'
    assert (tmp_path / "one.iso").read_bytes()[32808:32814] == b"cidata"
    assert (tmp_path / "one.iso").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [Data(b""), Data(b"x", "a\nb"), Data(b"x", "", 'a"b')])
async def test_what_cannot_be_told_is_refused(data: Data, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter):
        await write_data_disc(tmp_path / "cd.iso", data)
    assert list(tmp_path.iterdir()) == []
