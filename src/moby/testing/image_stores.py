"""This file is about what every image store must do: subclass `ImageStoreSuite` and give it a store."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator, Callable

import pytest

from moby.core.descriptor import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor
from moby.core.errors import Conflict, DataLoss, InvalidParameter, NotFound
from moby.core.images import ImageStore, StoredImage


def digest_of(data: bytes) -> str:
    """The digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    """`parts` as a stream."""
    for part in parts:
        yield part


def layer(**files: str) -> bytes:
    """A plain tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
    return data.getvalue()


class ImageStoreSuite:
    """A fixture `store` gives an empty store."""

    async def test_content_is_written_and_read(self, store: ImageStore) -> None:
        """In one piece, in chunks, from an offset."""
        data = os.urandom(3 << 20)
        async with store.leases.hold():
            info = await store.content.write("a", chunks(data[:100], data[100:]), size=len(data))
            assert info.digest == digest_of(data)
            assert (await store.content.info(info.digest)).size == len(data)
            assert await store.content.read(info.digest) == data
            tail = [chunk async for chunk in store.content.stream(info.digest, offset=len(data) - 5)]
            assert b"".join(tail) == data[-5:]
            with pytest.raises(InvalidParameter):
                await store.content.read(info.digest, limit=100)

    async def test_wrong_content_is_refused_and_not_kept(self, store: ImageStore) -> None:
        """Neither a wrong digest nor a wrong size is committed, and the right one can follow."""
        right, wrong = os.urandom(1000), os.urandom(1000)
        async with store.leases.hold():
            with pytest.raises(DataLoss):
                await store.content.write("b", chunks(wrong), size=1000, digest=digest_of(right))
            with pytest.raises(DataLoss):
                await store.content.write("c", chunks(right[:500]), size=1000, digest=digest_of(right))
            for data in (right, wrong):
                with pytest.raises(NotFound):
                    await store.content.info(digest_of(data))
            await store.content.write("b", chunks(right), size=1000, digest=digest_of(right))
            assert await store.content.read(digest_of(right)) == right

    async def test_content_that_is_there_is_not_read_again(self, store: ImageStore) -> None:
        """Its labels are merged."""
        data = os.urandom(100)
        async with store.leases.hold():
            await store.content.write("d", chunks(data), digest=digest_of(data), size=100, labels={"a": "1"})
            again = chunks(b"never read")
            await store.content.write("d", again, digest=digest_of(data), size=100, labels={"b": "2"})
            labels = (await store.content.info(digest_of(data))).labels
            assert (labels["a"], labels["b"]) == ("1", "2")
            await store.content.label(digest_of(data), {"a": ""})
            assert "a" not in (await store.content.info(digest_of(data))).labels

    async def test_broken_writes_are_gone_on_with(self, store: ImageStore) -> None:
        """Under no lease too; what turns out to be wrong is begun anew."""
        data = os.urandom(3 << 20)
        digest = digest_of(data)
        asked: list[int] = []

        def source(whole: bytes, end: int) -> Callable[[int], AsyncIterator[bytes]]:
            async def rest(offset: int) -> AsyncIterator[bytes]:
                asked.append(offset)
                for begin in range(offset, end, 1000_000):
                    yield whole[begin : min(begin + 1000_000, end)]
                if end < len(whole):
                    raise ConnectionResetError

            return rest

        for end in (1 << 20, 2 << 20):
            async with store.leases.hold():
                with pytest.raises(ConnectionResetError):
                    await store.content.resume("r", source(data, end), size=len(data), digest=digest)
        async with store.leases.hold():
            await store.content.resume("r", source(data, len(data)), size=len(data), digest=digest)
            assert await store.content.read(digest) == data
            assert asked == [0, 1 << 20, 2 << 20]
            data = data[::-1]
            digest = digest_of(data)
            with pytest.raises(ConnectionResetError):
                await store.content.resume("s", source(bytes(3 << 20), 100), size=len(data), digest=digest)
            with pytest.raises(DataLoss):
                await store.content.resume("s", source(data, len(data)), size=len(data), digest=digest)
            await store.content.resume("s", source(data, len(data)), size=len(data), digest=digest)
            assert asked[3:] == [0, 100, 0]
            await store.content.resume("s", source(data, len(data)), size=len(data), digest=digest)
            assert len(asked) == 6
            data = data[5:] + bytes(5)
            digest = digest_of(data)
            with pytest.raises(ConnectionResetError):
                await store.content.resume("t", source(data, 100), size=len(data), digest=digest)
            await store.content.abandon_all()
            await store.content.resume("t", source(data, len(data)), size=len(data), digest=digest)
            assert asked[6:] == [0, 0]

    async def test_what_is_kept_outlives_its_lease(self, store: ImageStore) -> None:
        """Until it is let go; and a lease keeps what was there before as well."""
        part, whole = os.urandom(60), os.urandom(70)
        async with store.leases.hold():
            await store.content.write("p", chunks(part))
            labels = {"containerd.io/gc.ref.content.0": digest_of(part)}
            await store.content.write("w", chunks(whole), labels=labels)
            for _ in range(2):
                await store.leases.keep(digest_of(whole))
        assert await store.content.read(digest_of(part)) == part
        async with store.leases.hold():
            await store.leases.hold_on("content", digest_of(whole))
            await store.leases.let_go()
            assert await store.content.read(digest_of(part)) == part
            await store.put(StoredImage("collect", Descriptor(OCI_MANIFEST, digest_of(whole), 70)))
        await store.delete("collect", sync=True)
        with pytest.raises(NotFound):
            await store.content.info(digest_of(part))
        await store.leases.let_go(digest_of(whole))

    async def test_names(self, store: ImageStore) -> None:
        """A name is made, moved and removed."""
        first = Descriptor(OCI_MANIFEST, digest_of(b"1"), 1)
        second = Descriptor(OCI_MANIFEST, digest_of(b"2"), 1)
        with pytest.raises(NotFound):
            await store.get("a")
        await store.put(StoredImage("a", first, {"l": "1"}))
        found = await store.get("a")
        assert (found.target.digest, found.labels["l"]) == (first.digest, "1")
        assert found.created_at is not None
        await store.put(StoredImage("a", second))
        assert (await store.get("a")).target.digest == second.digest
        assert [image.name for image in await store.list()] == ["a"]
        await store.delete("a", sync=True)
        with pytest.raises(NotFound):
            await store.delete("a")

    async def test_layers_are_unpacked_on_each_other(self, store: ImageStore) -> None:
        """Prepare, apply, commit; a parent cannot go before its child."""
        async with store.leases.hold():
            parent = ""
            for number, data in enumerate((layer(a="1"), layer(b="2"))):
                info = await store.content.write(f"l{number}", chunks(data))
                mounts = await store.snapshotter.prepare(f"extract-{number}", parent)
                found = await store.differ.apply(Descriptor(OCI_LAYER, info.digest, info.size), mounts)
                assert found == digest_of(data)
                await store.snapshotter.commit(f"layer-{number}", f"extract-{number}")
                assert (await store.snapshotter.info(f"layer-{number}")).parent == parent
                parent = f"layer-{number}"
            assert (await store.snapshotter.usage(parent)).size > 0
            with pytest.raises(NotFound):
                await store.snapshotter.info("extract-0")
            with pytest.raises(Conflict):
                await store.snapshotter.remove("layer-0")
            await store.snapshotter.remove("layer-1")
            await store.snapshotter.remove("layer-0")
            await store.snapshotter.remove("layer-0")

    async def test_name_keeps_what_labels_refer_to(self, store: ImageStore) -> None:
        """Content of a named image outlives its lease; without the name it is collected."""
        config, manifest = os.urandom(50), os.urandom(50)
        async with store.leases.hold():
            await store.content.write("c", chunks(config))
            labels = {"containerd.io/gc.ref.content.config": digest_of(config)}
            await store.content.write("m", chunks(manifest), labels=labels)
            await store.put(StoredImage("kept", Descriptor(OCI_CONFIG, digest_of(manifest), 50)))
        assert await store.content.read(digest_of(config)) == config
        await store.delete("kept", sync=True)
        with pytest.raises(NotFound):
            await store.content.info(digest_of(config))
