"""Layers that are unpacked while they come, by us: the same trees as containerd's own differ makes."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from moby.core.descriptor import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Descriptor
from moby.core.digest import chain_id
from moby.core.errors import DataLoss, InvalidParameter, MobyError
from moby.core.images import StoredImage
from moby.images.stores.containerd import ContainerdImages
from moby.images.unpack import Chains, DifferUnpacker, Tap
from moby.testing.image_stores import chunks, digest_of

pytestmark = [
    pytest.mark.containerd,
    pytest.mark.skipif(os.geteuid() != 0, reason="overlays are root's"),
]
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000").decode(errors="surrogateescape")


def entry(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(content), 1_000_000_000, 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def directory(name: str, mode: int = 0o755, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.DIRTYPE, mode=mode, **fields)


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


LOWEST = tar(
    directory("etc"),
    entry("etc/passwd", b"root:x:0:0\n" * 5000, uid=3, gid=4, mode=0o600),
    directory("tmp", 0o1777),
    directory("home", 0o711, uid=12),
    directory("home/user", 0o700, uid=1000, gid=1000),
    entry("home/user/a", b"a"),
    directory("old"),
    entry("old/x", b"x"),
    entry("su", b"#!", mode=0o4755),
    entry("ping", b"#!", mode=0o755, pax_headers={"SCHILY.xattr.security.capability": CAPABILITY}),
    entry("hard", type=tarfile.LNKTYPE, linkname="su", mode=0o4755),
    entry("soft", type=tarfile.SYMTYPE, linkname="/etc/passwd", mode=0o777),
    entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666, gid=5),
    entry("pipe", type=tarfile.FIFOTYPE),
    entry("long" * 40, b"x", uid=2_500_000),
)
MIDDLE = tar(
    entry("tmp/implied", b"1"),
    entry("home/user/b", b"b", uid=1000),
    entry("old/.wh..wh..opq"),
    entry("old/y", b"y"),
    entry(".wh.su"),
    entry("etc/.wh.passwd"),
    entry("lib", type=tarfile.SYMTYPE, linkname="usr/lib", mode=0o777),
    entry("lib/so", b"\x7fELF"),
)
TOP = tar(
    entry("home/user/c/d/e", b"c"),
    directory("fresh", 0o2775, gid=7),
    entry("fresh/x", b"1"),
    entry("fresh/x", b"2"),
)
TARS = (LOWEST, MIDDLE, TOP)


async def layers_of(
    store: ContainerdImages, tars: tuple[bytes, ...] = TARS, kind: str = OCI_LAYER_GZIP
) -> tuple[list[Descriptor], list[str]]:
    packers: dict[str, Callable[[bytes], bytes]] = {
        OCI_LAYER: bytes,
        OCI_LAYER_GZIP: gzip.compress,
        OCI_LAYER_ZSTD: zstandard.compress,
    }
    layers = []
    for number, data in enumerate(tars):
        info = await store.content.write(f"t-{number}-{os.urandom(3).hex()}", chunks(packers[kind](data)))
        layers.append(Descriptor(kind, info.digest, info.size))
    return layers, [digest_of(data) for data in tars]


async def directory_of(store: ContainerdImages, chain: str) -> Path:
    """Where a committed snapshot's own files are: below a child of it they are the topmost."""
    mounts = await store.snapshotter.prepare(f"look-{os.urandom(3).hex()}", chain)
    options = [option for option in mounts[0].options if option.startswith("lowerdir=")]
    return Path(options[0].removeprefix("lowerdir=").split(":")[0])


def listing(root: Path) -> dict[str, object]:
    """All that can be told of a tree; the root itself is its snapshotter's."""
    found: dict[str, object] = {}
    inodes: dict[int, str] = {}
    for top, directories, files in os.walk(root):
        for name in sorted(directories + files):
            path = Path(top) / name
            status = path.lstat()
            shown = str(path.relative_to(root))
            kind = stat.S_IFMT(status.st_mode)
            content: object = None
            if kind == stat.S_IFREG:
                content = (path.read_bytes(), inodes.setdefault(status.st_ino, shown))
            elif kind == stat.S_IFLNK:
                content = os.readlink(path)
            attributes = {
                key: os.getxattr(path, key, follow_symlinks=False)
                for key in os.listxattr(path, follow_symlinks=False)
            }
            # Whiteouts have the time of their making; so have, with the differ, directories of other layers.
            timeless = kind == stat.S_IFCHR or (kind == stat.S_IFDIR and status.st_mtime_ns != 10**18)
            time = (
                0 if timeless or shown in ("tmp", "home", "home/user", "old", "etc") else status.st_mtime_ns
            )
            found[shown] = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_rdev,
                time,
                content,
                attributes,
            )
    return found


@pytest.mark.parametrize("kind", [OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD])
async def test_trees_are_those_that_the_differ_makes(store: ContainerdImages, kind: str) -> None:
    async with store.leases.hold():
        layers, diff_ids = await layers_of(store, kind=kind)
        parent, expected = "", []
        for layer, diff_id in zip(layers, diff_ids, strict=True):
            chain = f"{chain_id([parent.removesuffix('-d'), diff_id]) if parent else diff_id}-d"
            await DifferUnpacker(store).unpack(layer, diff_id, chain, parent)
            expected.append(listing(await directory_of(store, chain)))
            parent = chain
        await Chains(store).unpack(layers, diff_ids)
        parent = ""
        for number, diff_id in enumerate(diff_ids):
            parent = chain_id([parent, diff_id]) if parent else diff_id
            assert listing(await directory_of(store, parent)) == expected[number]
        assert (await store.content.info(layers[2].digest)).labels["containerd.io/uncompressed"] == diff_ids[
            2
        ]
        left = [info.name async for info in store.snapshotter.walk() if info.name.startswith("extract-")]
        assert not left


async def test_what_came_by_is_not_read_again(store: ContainerdImages) -> None:
    """A layer that is fetched is unpacked meanwhile, in any order and in pieces of any size."""

    async def fetch(layer: Descriptor, tap: Tap | None) -> bool:
        assert tap is not None
        number = layers.index(layer)
        if number == 0:
            await last.wait()
        for begin in range(0, len(packed[number]), 700):
            await tap.feed(packed[number][begin : begin + 700])
        if number == 2:
            last.set()
        await store.content.write(f"w-{number}", chunks(packed[number]), digest=layer.digest)
        return True

    last = asyncio.Event()
    packed = [gzip.compress(data) for data in TARS]
    layers = [Descriptor(OCI_LAYER_GZIP, digest_of(data), len(data)) for data in packed]
    async with store.leases.hold():
        chain = await Chains(store).unpack(layers, [digest_of(data) for data in TARS], fetch)
        assert (await directory_of(store, chain) / "home/user/c/d/e").read_bytes() == b"c"


async def snapshots(store: ContainerdImages) -> set[str]:
    return {info.name async for info in store.snapshotter.walk()}


async def failing(
    store: ContainerdImages, data: bytes, diff_id: str = "", kind: str = OCI_LAYER
) -> MobyError:
    """The error of a second layer, of which nothing may stay."""
    async with store.leases.hold():
        below, _ = await layers_of(store, (LOWEST,))
        info = await store.content.write(f"bad-{os.urandom(3).hex()}", chunks(data))
        bad = Descriptor(kind, info.digest, info.size)
        with pytest.raises(MobyError) as caught:
            await Chains(store).unpack([*below, bad], [digest_of(LOWEST), diff_id or info.digest])
        assert await snapshots(store) <= {digest_of(LOWEST)}
    return caught.value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(tar(entry("../x", b"x")), "is outside of the layer", id="dots"),
        pytest.param(tar(entry("h", type=tarfile.LNKTYPE, linkname="../../x")), "is outside of the layer", id="hard link"),
        pytest.param(tar(entry("h", type=tarfile.LNKTYPE, linkname="missing")), "/h: no such file", id="hard link to nothing"),
        pytest.param(tar(entry("a"), entry("a/b")), "/a/b: not a directory", id="file as directory"),
        pytest.param(tar(entry("x" * 256)), "file name too long", id="long name"),
        pytest.param(tar(entry(".wh...")), "invalid whiteout name", id="whiteout"),
        pytest.param(tar(entry("a", b"x" * 5000))[:3000], "unexpected EOF", id="truncated"),
        pytest.param(gzip.compress(tar(entry("a", os.urandom(5000))))[:3000], "unexpected EOF", id="truncated gzip"),
        pytest.param(zstandard.compress(tar(entry("a", os.urandom(5000))))[:3000], "wrong diff id", id="truncated zstd"),
        pytest.param(gzip.compress(LOWEST)[:40] + b"garbage" * 9, "cannot decompress", id="broken gzip"),
        pytest.param(b"BZh91AY&SY" + bytes(50), "not supported", id="bzip2"),
        pytest.param(b"no tar at all, " * 100, "invalid tar header", id="garbage"),
    ],
)  # fmt: skip
async def test_bad_layers_are_refused_and_leave_nothing(
    store: ContainerdImages, data: bytes, words: str
) -> None:
    assert words in (await failing(store, data)).message


async def test_a_wrong_diff_id_is_refused(store: ContainerdImages) -> None:
    error = await failing(store, gzip.compress(MIDDLE), digest_of(b"other"), OCI_LAYER_GZIP)
    assert isinstance(error, DataLoss)
    assert "wrong diff id calculated on extraction" in error.message


async def test_a_cancelled_one_leaves_nothing_and_can_be_done_again(store: ContainerdImages) -> None:
    async def stuck(layer: Descriptor, tap: Tap | None) -> bool:
        assert tap is not None
        await tap.feed(gzip.compress(LOWEST))
        begun.set()
        await asyncio.Event().wait()
        return True

    async with store.leases.hold():
        layers, diff_ids = await layers_of(store)
        chains = Chains(store)
        async with asyncio.TaskGroup() as group:
            begun = asyncio.Event()
            task = group.create_task(chains.unpack(layers, diff_ids, stuck))
            await begun.wait()
            task.cancel()
        assert not [info async for info in store.snapshotter.walk() if info.kind == "committed"]
        assert await chains.exists(await chains.unpack(layers, diff_ids))
    # A call that was cancelled may have been done all the same: what it made is collected.
    await store.put(StoredImage("collect", layers[0]))
    await store.delete("collect", sync=True)
    assert not await snapshots(store)


async def test_many_at_once_do_it_once_and_agree(store: ContainerdImages) -> None:
    """Images that share layers, in several orders, and one with a layer twice."""
    async with store.leases.hold():
        layers, diff_ids = await layers_of(store)
        orders = [(0, 1, 2), (0, 1), (0, 2, 1), (1, 0, 1, 2), (0, 0, 0), (0, 1, 2)]
        chains = Chains(store)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(chains.unpack([layers[n] for n in order], [diff_ids[n] for n in order]))
                for order in orders
            ]
        for task, order in zip(tasks, orders, strict=True):
            assert task.result() == chain_id([diff_ids[n] for n in order])
        assert not [name for name in await snapshots(store) if name.startswith("extract-")]


async def test_another_process_that_was_quicker_is_fine(store: ContainerdImages) -> None:
    async with store.leases.hold():
        layers, diff_ids = await layers_of(store)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(Chains(store).unpack(layers, diff_ids))
        assert not [name for name in await snapshots(store) if name.startswith("extract-")]


async def test_a_full_disk_is_told_and_leaves_nothing(
    store: ContainerdImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moby.host.archives.layers._SPARE_BYTES", 1 << 62)
    large = tar(entry("large", bytes(20 << 20)))
    assert (
        "/large: no space left on device"
        in (await failing(store, gzip.compress(large), digest_of(large), OCI_LAYER_GZIP)).message
    )


async def test_containers_see_the_layers_together(store: ContainerdImages, tmp_path: Path) -> None:
    async with store.leases.hold():
        layers, diff_ids = await layers_of(store)
        mounts = await store.snapshotter.prepare("c", await Chains(store).unpack(layers, diff_ids))
        subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", ",".join(mounts[0].options), tmp_path], check=True
        )
        try:
            assert sorted(os.listdir(tmp_path / "old")) == ["y"]
            assert not (tmp_path / "su").exists()
            assert not (tmp_path / "etc/passwd").exists()
            assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) == 0o1777
            assert (tmp_path / "home/user").stat().st_uid == 1000
            assert sorted(os.listdir(tmp_path / "home/user")) == ["a", "b", "c"]
        finally:
            subprocess.run(["umount", tmp_path], check=True)


async def test_snapshots_that_are_no_directories_are_left_to_the_differ(
    containerd_address: str, store: ContainerdImages
) -> None:
    native = ContainerdImages(store._content._client, "native")
    async with native.leases.hold():
        layers, diff_ids = await layers_of(native)
        chain = await Chains(native).unpack(layers, diff_ids)
        assert (await native.snapshotter.info(chain)).kind == "committed"


async def test_a_broken_fetch_is_what_is_told(store: ContainerdImages) -> None:
    async def fetch(layer: Descriptor, tap: Tap | None) -> bool:
        raise InvalidParameter("no such thing")

    async with store.leases.hold():
        layers, diff_ids = await layers_of(store)
        with pytest.raises(InvalidParameter, match="no such thing"):
            await Chains(store).unpack(layers, diff_ids, fetch)
        assert not await snapshots(store)
