"""What is mounted on the host for a container, and that nothing of it stays."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.core.snapshots import Mount
from moby.engine.containers.places import Places
from moby.host.mounts import is_mount_point, mount_table

pytestmark = pytest.mark.kernel


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[Places]:
    made = Places(tmp_path / "places")
    yield made
    await made.free("c")
    assert not [entry for entry in mount_table() if entry.target.startswith(str(tmp_path))]
    assert not (tmp_path / "places/c").exists()


async def test_shared_memory_stays_until_the_end_and_the_rest_does_not(
    places: Places, tmp_path: Path
) -> None:
    (tmp_path / "root/a").mkdir(parents=True)
    memory = await places.share_memory("c", 1 << 20)
    assert memory.parent.stat().st_mode & 0o777 == 0o700
    (memory / "x").touch()
    part = await places.part("c", tmp_path / "root", "a")
    tree = await places.tree("c", [Mount("tmpfs", "tmpfs"), Mount("tmpfs", "tmpfs", ("ro",))])
    assert all(is_mount_point(place) for place in (memory, part, tree))
    await places.release("c")
    assert os.listdir(memory) == ["x"]
    assert not part.exists()
    assert not tree.exists()
    # Made again it is empty.
    assert os.listdir(await places.share_memory("c", 1 << 20)) == []
    await places.free("c")
    await places.free("c")


async def test_a_part_is_what_it_was_when_it_was_looked_up(places: Places, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/mine").touch()
    (root / "file").write_text("x")
    place = await places.part("c", root, "a")
    (root / "a").rename(root / "old")
    (root / "a").symlink_to("/etc")
    assert os.listdir(place) == ["mine"]
    assert (await places.part("c", root, "file")).read_text() == "x"


@pytest.mark.parametrize("goal", ["/etc", "../../../../../../../../etc", "/proc/self/root/etc"])
async def test_a_link_does_not_lead_out(places: Places, tmp_path: Path, goal: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(goal)
    with pytest.raises(InvalidParameter, match="path concatenation escapes the base directory"):
        await places.part("c", root, "link")
    with pytest.raises(InvalidParameter, match="path concatenation escapes the base directory"):
        await places.part("c", root, "../../etc/passwd")
    (root / "etc").mkdir()
    with pytest.raises(InvalidParameter, match="path concatenation escapes the base directory"):
        await places.part("c", root, "link")
