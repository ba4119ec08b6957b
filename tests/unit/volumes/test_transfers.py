"""Volumes copied, renamed and as archives: whole, or not at all."""

from __future__ import annotations

import ctypes
import io
import os
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from moby.core.errors import Conflict, InvalidParameter, NotFound, NotImplemented, System
from moby.core.store import Table
from moby.core.volumes import VolumeDriver
from moby.host.store import SqliteStore
from moby.volumes.drivers.local import Local
from moby.volumes.records import VolumeRecord
from moby.volumes.service import Volumes
from moby.volumes.transfers import VolumeTransfers


class Fixed(Local):
    """A driver that cannot rename."""

    name = "fixed"

    async def rename(self, name: str, new: str) -> None:
        await VolumeDriver.rename(self, name, new)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store on disk."""
    async with SqliteStore(tmp_path / "state.db") as store:
        yield store


@pytest.fixture
async def volumes(tmp_path: Path, store: SqliteStore) -> Volumes:
    """Volumes, one of which, `data`, has something in it."""
    made = Volumes({"local": Local(tmp_path / "local"), "fixed": Fixed(tmp_path / "fixed")}, store)
    await made.load()
    volume = await made.create("data", labels={"a": "b"})
    (volume.mountpoint / "below").mkdir()
    (volume.mountpoint / "below/file").write_text("here")
    os.link(volume.mountpoint / "below/file", volume.mountpoint / "again")
    (volume.mountpoint / "link").symlink_to("below/file")
    return made


@pytest.fixture
def transfers(volumes: Volumes) -> VolumeTransfers:
    """Whoever has a volume mounted may write to it, but for `reader`."""
    return VolumeTransfers(volumes, lambda _, users: sorted(users - {"reader"}))


async def names(volumes: Volumes) -> list[str]:
    """Every volume's."""
    return sorted(volume.name for volume in await volumes.list())


async def archive(*members: tuple[str, bytes]) -> AsyncIterator[bytes]:
    """A tar of these files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    yield file.getvalue()


def exchange(one: Path, other: Path) -> None:
    """Each takes the other's place, in one step (renameat2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


@contextmanager
def swapping(*pairs: tuple[Path, Path]) -> Iterator[None]:
    """Meanwhile somebody exchanges these over and over."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            for one, other in pairs:
                exchange(one, other)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def test_what_is_swapped_for_a_link_meanwhile_leads_nowhere(
    volumes: Volumes, transfers: VolumeTransfers, tmp_path: Path
) -> None:
    """CVE-2023-0778."""
    place = (await volumes.get("data")).mountpoint
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    (place / "to-file").symlink_to(outside / "file")
    (place / "to-directory").symlink_to(outside)
    (place / "plain").write_text("plain")
    with swapping((place / "plain", place / "to-file"), (place / "below", place / "to-directory")):
        for number in range(15):
            packed = b"".join([chunk async for chunk in await transfers.export("data")])
            assert b"secret" not in packed
            copy = await transfers.clone("data", f"copy-{number}", {})
            for path in copy.mountpoint.rglob("*"):
                assert path.is_symlink() or not path.is_file() or path.read_text() != "secret"


async def test_a_clone_has_all_that_the_volume_has(volumes: Volumes, transfers: VolumeTransfers) -> None:
    made = await transfers.clone("data", "copy", {"c": "d"})
    assert (made.name, made.driver, made.labels) == ("copy", "local", {"a": "b", "c": "d"})
    assert (made.mountpoint / "link").read_text() == "here"
    assert (made.mountpoint / "again").stat().st_ino == (made.mountpoint / "below/file").stat().st_ino
    (made.mountpoint / "again").write_text("there")
    assert ((await volumes.get("data")).mountpoint / "below/file").read_text() == "here"


@pytest.mark.parametrize(("name", "new", "kind"), [
    ("nothing", "copy", NotFound), ("data", "data", Conflict), ("data", "", InvalidParameter),
    ("data", "../up", InvalidParameter),
])  # fmt: skip
async def test_what_cannot_be_cloned(
    volumes: Volumes, transfers: VolumeTransfers, name: str, new: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await transfers.clone(name, new, {})
    assert await names(volumes) == ["data"]


async def test_a_copy_that_fails_leaves_nothing(
    volumes: Volumes, transfers: VolumeTransfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("moby.volumes.copying._copy_data", full)
    with pytest.raises(System, match="No space left on device"):
        await transfers.clone("data", "copy", {})
    assert await names(volumes) == ["data"]
    await volumes.mount("data", "one")


async def test_what_is_written_to_would_be_torn(volumes: Volumes, transfers: VolumeTransfers) -> None:
    await volumes.mount("data", "reader")
    await transfers.clone("data", "copy", {})
    await volumes.mount("data", "writer")
    for doing in (transfers.clone("data", "other", {}), transfers.export("data")):
        with pytest.raises(Conflict, match="volume data would be torn: it is mounted by writer"):
            await doing
    await volumes.unmount("data", "writer")
    await transfers.clone("data", "other", {})


async def test_who_goes_on_meanwhile_tears_it(volumes: Volumes) -> None:
    await volumes.mount("data", "paused")
    answers = iter([[], ["paused"], [], ["paused"]])
    transfers = VolumeTransfers(volumes, lambda _, users: next(answers))
    with pytest.raises(Conflict, match="would be torn"):
        await transfers.clone("data", "copy", {})
    assert await names(volumes) == ["data"]
    with pytest.raises(Conflict, match="would be torn"):
        async for _ in await transfers.export("data"):
            pass


async def test_nobody_begins_to_use_what_is_being_copied(
    volumes: Volumes, transfers: VolumeTransfers
) -> None:
    chunks = await transfers.export("data")
    with pytest.raises(Conflict, match="volume data is being copied"):
        await volumes.mount("data", "one")
    await transfers.clone("data", "copy", {})
    assert b"".join([chunk async for chunk in chunks])
    await volumes.mount("data", "one")


async def test_what_was_exported_is_imported(volumes: Volumes, transfers: VolumeTransfers) -> None:
    made = await transfers.import_("copy", await transfers.export("data"))
    assert (made.mountpoint / "link").read_text() == "here"
    assert (made.mountpoint / "again").stat().st_nlink == 2
    with pytest.raises(Conflict, match="volume copy already exists"):
        await transfers.import_("copy", archive(("x", b"y")))


@pytest.mark.parametrize("name", ["../up", "/../../up"])
async def test_an_archive_that_leads_out_is_refused(
    volumes: Volumes, transfers: VolumeTransfers, name: str
) -> None:
    with pytest.raises(InvalidParameter):
        await transfers.import_("copy", archive(("first", b"x"), (name, b"y")))
    assert await names(volumes) == ["data"]


async def test_a_renamed_volume_keeps_what_it_is(
    volumes: Volumes, transfers: VolumeTransfers, store: SqliteStore, tmp_path: Path
) -> None:
    renamed = await transfers.rename("data", "other")
    assert (renamed.name, renamed.labels) == ("other", {"a": "b"})
    assert (renamed.mountpoint / "link").read_text() == "here"
    after = Volumes({"local": Local(tmp_path / "local")}, store)
    await after.load()
    assert await names(after) == ["other"]


async def test_what_cannot_be_renamed(volumes: Volumes, transfers: VolumeTransfers) -> None:
    await volumes.create("other", driver="fixed")
    await volumes.create("used", user="container")
    for name, new, kind in (
        ("nothing", "x1", NotFound), ("data", "other", Conflict), ("data", "data", Conflict),
        ("data", "../up", InvalidParameter), ("other", "x1", NotImplemented), ("used", "x1", Conflict),
    ):  # fmt: skip
        with pytest.raises(kind):
            await transfers.rename(name, new)
    assert await names(volumes) == ["data", "other", "used"]


@pytest.mark.parametrize("moved", [False, True])
async def test_a_crash_in_mid_rename_leaves_one_of_the_two(
    volumes: Volumes, store: SqliteStore, tmp_path: Path, moved: bool
) -> None:
    table = Table(store, "volumes", VolumeRecord)
    await table.save("other", msgspec.structs.replace((await table.load())["data"], name="other"))
    local = Local(tmp_path / "local")
    if moved:
        await local.rename("data", "other")
    after = Volumes({"local": local}, store)
    await after.load()
    (left,) = await after.list()
    assert (left.name, left.labels) == ("other" if moved else "data", {"a": "b"})
