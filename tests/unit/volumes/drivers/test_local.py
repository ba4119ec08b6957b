"""Local volumes: what every volume driver does, and what these do besides."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.testing.volumes import VolumeDriverSuite
from moby.volumes.drivers.local import Local


class TestLocal(VolumeDriverSuite):
    """Directories."""

    @pytest.fixture
    def driver(self, tmp_path: Path) -> Local:
        """One with a root of its own."""
        return Local(tmp_path / "volumes")


async def test_volumes_are_there_after_a_restart(tmp_path: Path) -> None:
    before = Local(tmp_path)
    await before.create("data", {})
    (await before.mount("data", "one") / "file").write_text("kept")
    after = Local(tmp_path)
    assert [volume.name for volume in await after.list()] == ["data"]
    assert (await after.mount("data", "two") / "file").read_text() == "kept"


@pytest.mark.parametrize("name", ["a", "../up", "a/b", "-x", "", "a b", ".hidden"])
async def test_names_that_could_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameter):
        await Local(tmp_path / "volumes").create(name, {})
    assert not (tmp_path / "volumes").exists()


@pytest.mark.parametrize("options", [{"o": "size=1"}, {"type": "tmpfs"}, {"device": "tmpfs"}, {"o": "bind"}])
async def test_half_said_options_are_refused(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        await Local(tmp_path).create("data", options)
