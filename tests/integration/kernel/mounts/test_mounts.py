"""Real mounts: words, binds, trees that are read-only, many layers, what a crash leaves."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from moby.core.errors import MobyError
from moby.core.snapshots import Mount
from moby.host.mounts import (
    bind_mount,
    free_abandoned,
    is_mount_point,
    make_private,
    mount,
    mount_of,
    mount_table,
    mounted,
    move,
    set_attributes,
    unmount,
)
from moby.host.process import run

pytestmark = pytest.mark.kernel


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A private tmpfs of the test's own, so that nothing that is mounted inside is left."""
    path = tmp_path / "place"
    path.mkdir()
    mount(Mount("tmpfs", "tmpfs", ("size=16m", "mode=755")), path)
    make_private(path)
    yield path
    unmount(path)
    assert not [entry for entry in mount_table() if entry.target.startswith(str(path))]


def directory(path: Path) -> Path:
    path.mkdir()
    return path


def test_words_reach_the_kernel(place: Path) -> None:
    target = directory(place / "t")
    mount(Mount("tmpfs", "mine", ("nosuid", "nodev", "noexec", "ro", "size=64k")), target)
    entry = mount_of(target)
    assert (entry.target, entry.type, entry.source) == (str(target), "tmpfs", "mine")
    assert {"nosuid", "nodev", "noexec", "ro"} <= {*entry.options}
    assert "size=64k" in entry.super_options
    unmount(target)
    unmount(target)
    unmount(place / "absent")
    assert not is_mount_point(target)


def test_a_bind_within_a_file_system_is_a_mount_point(place: Path) -> None:
    source, target = directory(place / "s"), directory(place / "t")
    mount(Mount("", str(source), ("bind", "ro", "nosuid")), target)
    assert is_mount_point(target)
    assert {"ro", "nosuid"} <= {*mount_of(target).options}
    with pytest.raises(OSError, match="Read-only"):
        (target / "x").touch()
    (source / "x").touch()


def test_a_failure_names_both_sides(place: Path) -> None:
    with pytest.raises(OSError, match="mount nothing") as caught:
        mount(Mount("no-such-fs", "nothing"), place)
    assert (caught.value.errno, caught.value.filename) == (errno.ENODEV, str(place))


def test_read_only_takes_in_what_is_mounted_below(place: Path) -> None:
    source, target = directory(place / "s"), directory(place / "t")
    mount(Mount("tmpfs", "below"), directory(source / "below"))
    bind_mount(source, target, read_only=True)
    for path in (target, target / "below"):
        with pytest.raises(OSError, match="Read-only"):
            (path / "x").touch()
    (source / "below/x").touch()


def test_attributes_of_one_mount_leave_the_ones_below(place: Path) -> None:
    mount(Mount("tmpfs", "top"), directory(place / "t"))
    mount(Mount("tmpfs", "below"), directory(place / "t/below"))
    set_attributes(place / "t", "ro", "noexec")
    assert {"ro", "noexec"} <= {*mount_of(place / "t").options}
    (place / "t/below/x").touch()


def test_a_tree_moves(place: Path) -> None:
    mount(Mount("tmpfs", "top"), directory(place / "a"))
    mount(Mount("tmpfs", "below"), directory(place / "a/below"))
    move(place / "a", directory(place / "b"))
    assert is_mount_point(place / "b/below")
    assert not is_mount_point(place / "a")
    with pytest.raises(OSError, match="move mount"):
        move(place / "a", place / "b")


def test_propagation_is_as_asked(place: Path) -> None:
    target = directory(place / "t")
    mount(Mount("", str(place), ("bind", "rshared")), target)
    assert mount_of(target).shared
    make_private(target)
    assert not mount_of(target).shared


def overlay(place: Path, layers: int) -> Sequence[Mount]:
    for name in ("upper", "work", "snapshots"):
        directory(place / name)
    lower = []
    for number in range(layers):
        # As long as the paths of a snapshotter below somebody's data root are.
        path = place / "snapshots" / f"{number}" / "fs-with-a-rather-long-name-of-a-hundred-characters"
        path.mkdir(parents=True)
        (path / f"file-{number}").touch()
        lower.append(str(path))
    words = (f"workdir={place}/work", f"upperdir={place}/upper", f"lowerdir={':'.join(lower)}")
    return [Mount("overlay", "overlay", words)]


@pytest.mark.parametrize("layers", [2, 50])
async def test_layers_are_mounted_for_a_while(place: Path, layers: int) -> None:
    mounts = overlay(place, layers)
    assert layers == 2 or len(",".join(mounts[0].options)) > 4096
    async with mounted(mounts) as root:
        assert sorted(os.listdir(root)) == sorted(f"file-{number}" for number in range(layers))
        assert not mount_of(root).shared
        (root / "written").touch()
    assert not root.exists()
    assert (place / "upper/written").exists()


async def test_nothing_is_left_of_a_mount_that_fails(place: Path) -> None:
    before = len(mount_table())
    with pytest.raises(MobyError, match="cannot mount"):
        async with mounted([Mount("tmpfs", "fine"), Mount("no-such-fs", "nothing")]):
            pass
    assert len(mount_table()) == before


async def test_a_cancelled_user_leaves_no_mount() -> None:
    roots: list[Path] = []

    async def use() -> None:
        async with mounted([Mount("tmpfs", "t")]) as root:
            roots.append(root)
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(use())
        while not roots:
            await asyncio.sleep(0.005)
        task.cancel()
    assert not roots[0].exists()


async def test_what_a_crash_left_is_freed() -> None:
    program = (
        "import asyncio, os\n"
        "from moby.core.snapshots import Mount\n"
        "from moby.host.mounts import mounted\n"
        "async def main():\n"
        "    async with mounted([Mount('tmpfs', 't'), Mount('tmpfs', 'u')]) as root:\n"
        "        print(root, flush=True)\n"
        "        os._exit(1)\n"
        "asyncio.run(main())\n"
    )
    result = await run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
    left = Path(result.out.decode().strip())
    assert is_mount_point(left), result.err
    async with mounted([Mount("tmpfs", "ours")]) as used:
        free_abandoned()
        assert is_mount_point(used)
    assert not left.exists()
