"""Local volumes that are mounted: what every volume driver does, and what the kernel then has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from moby.core.errors import Conflict, MobyError, System
from moby.core.snapshots import Mount
from moby.core.volumes import DriverVolume
from moby.host.mounts import is_mount_point, make_private, mount, mount_table, unmount
from moby.testing.volumes import VolumeDriverSuite
from moby.volumes.drivers.local import Local

pytestmark = pytest.mark.kernel

TMPFS = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=0770,nosuid"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the volumes of a test lie; nothing may be mounted there at its end."""
    return tmp_path / "volumes"


@pytest.fixture(autouse=True)
def _nothing_left(place: Path) -> Iterator[None]:
    yield
    left = [entry.target for entry in mount_table() if entry.target.startswith(f"{place}/")]
    for target in reversed(left):
        unmount(Path(target))
    assert not left


class Binding(Local):
    """A driver whose every volume is a directory of somewhere else, mounted while it is used."""

    def __init__(self, root: Path, elsewhere: Path) -> None:
        super().__init__(root)
        self._elsewhere = elsewhere

    async def create(self, name: str, options: Mapping[str, str]) -> DriverVolume:
        device = self._elsewhere / name
        device.mkdir(parents=True, exist_ok=True)
        return await super().create(name, {"type": "none", "device": str(device), "o": "bind", **options})


class TestBound(VolumeDriverSuite):
    """What is mounted behaves as what is not."""

    @pytest.fixture
    def driver(self, place: Path, tmp_path: Path) -> Binding:
        """One with a root of its own."""
        return Binding(place, tmp_path / "elsewhere")


async def test_it_is_mounted_while_somebody_uses_it(place: Path) -> None:
    driver = Local(place)
    made = await driver.create("data", TMPFS)
    assert not is_mount_point(made.mountpoint)
    path = await driver.mount("data", "one")
    await driver.mount("data", "two")
    await driver.mount("data", "one")
    (entry,) = [entry for entry in mount_table() if entry.target == str(path)]
    assert (entry.type, "nosuid" in entry.options, "size=1024k" in entry.super_options) == (
        "tmpfs",
        True,
        True,
    )
    (path / "file").write_text("x")
    await driver.unmount("data", "one")
    assert is_mount_point(path)
    await driver.unmount("data", "two")
    assert not is_mount_point(path)
    assert list((await driver.mount("data", "one")).iterdir()) == []
    await driver.unmount("data", "one")
    await driver.remove("data")


async def test_after_a_restart_it_is_mounted_once_and_freed(place: Path) -> None:
    before = Local(place)
    await before.create("data", TMPFS)
    (await before.mount("data", "one") / "file").write_text("x")
    after = Local(place)
    path = await after.mount("data", "one")
    assert (path / "file").read_text() == "x"
    assert sum(entry.target == str(path) for entry in mount_table()) == 1
    with pytest.raises(Conflict):
        await after.remove("data")
    await after.unmount("data", "one")
    assert not is_mount_point(path)
    await after.remove("data")


async def test_what_a_dead_daemon_mounted_is_unmounted_before_it_is_removed(
    place: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    options = {"type": "none", "device": str(tmp_path / "precious"), "o": "bind"}
    before = Local(place)
    await before.create("data", options)
    await before.mount("data", "one")
    await Local(place).remove("data")
    assert (tmp_path / "precious" / "file").exists()


@pytest.mark.parametrize(("options", "words"), [
    ({"type": "nosuchfs", "device": "x"}, r"mount x:.*/_data: no such device"),
    ({"type": "none", "device": "/tmp"}, r"mount /tmp:.*/_data: no such device"),
    ({"type": "none", "device": "/no/such/place", "o": "bind"},
     r"mount /no/such/place:.*/_data, flags: 0x1000: no such file or directory"),
    ({"type": "tmpfs", "device": "tmpfs", "o": "nonsense=1"}, r"data: nonsense=1: invalid argument"),
])  # fmt: skip
async def test_what_cannot_be_mounted_says_so_and_can_be_removed(
    place: Path, options: dict[str, str], words: str
) -> None:
    driver = Local(place)
    await driver.create("data", options)
    with pytest.raises(System, match="failed to mount local volume: .*" + words):
        await driver.mount("data", "one")
    await driver.unmount("data", "one")
    await driver.remove("data")


async def test_what_somebody_else_has_mounted_inside_is_not_removed(place: Path) -> None:
    driver = Local(place)
    path = (await driver.create("data", {})).mountpoint
    (path / "below").mkdir()
    mount(Mount("tmpfs", "tmpfs", ("size=64k",)), path / "below")
    make_private(path / "below")
    (path / "below" / "file").touch()
    try:
        with pytest.raises(MobyError, match="is mounted"):
            await driver.remove("data")
        assert (path / "below" / "file").exists()
    finally:
        unmount(path / "below")
    await driver.remove("data")
