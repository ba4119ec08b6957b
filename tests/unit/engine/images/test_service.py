"""Images as the API sees them, over a store in memory: loaded, listed, tagged, removed, pruned, saved."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator

import pytest

from moby.core.errors import Conflict, InvalidParameter, NotFound
from moby.core.filters import Filters
from moby.engine.events import Events
from moby.engine.images.lookup import ImageUser
from moby.engine.images.service import ImageService
from moby.engine.images.transfers import ImageTransfers
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.testing.image_stores import digest_of, layer
from moby.testing.images import MemoryImages


def docker_archive(*tags: str, content: str = "1", cut: bool = False, **config: object) -> bytes:
    """What `docker save` wrote for years."""
    plain = layer(a=content)
    described = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["/bin/sh"], "Labels": {"l": content}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(plain)]},
        "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "made"}, {"empty_layer": True}],
        **config,
    }
    encoded = json.dumps(described).encode()
    files = {
        "c.json": encoded,
        "l/layer.tar": plain,
        "manifest.json": json.dumps(
            [{"Config": "c.json", "RepoTags": list(tags), "Layers": ["l/layer.tar"]}]
        ).encode(),
    }
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, part in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(part)
            tar.addfile(info, io.BytesIO(part))
    return data.getvalue()[:700] if cut else data.getvalue()


async def stream(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 997):
        yield data[start : start + 997]


class Engine:
    """Everything about images, without an engine."""

    def __init__(self, transfers: ImageTransfers, images: ImageService, store: MemoryImages, events: Events):
        self.transfers, self.images, self.store, self.events = transfers, images, store, events
        self.users: list[ImageUser] = []

    async def load(self, data: bytes) -> str:
        return "".join([m.stream async for m in self.transfers.load(stream(data))])

    def happened(self) -> list[str]:
        return [event.action for event in self.events._past]


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    store, events = MemoryImages(), Events()
    users: list[ImageUser] = []
    images = ImageService(store, events, lambda: users)
    async with (
        Registries(RegistryConfig) as registries,
        ImageTransfers(store, registries, images) as transfers,
    ):
        found = Engine(transfers, images, store, events)
        found.users = users
        yield found


async def test_load_list_inspect_history(engine: Engine) -> None:
    assert await engine.load(docker_archive("app:1", "x.io/app:2")) == (
        "Loaded image: app:1\nLoaded image: x.io/app:2\n"
    )
    (summary,) = await engine.images.list(filters=Filters())
    assert (summary.repo_tags, summary.created, summary.labels) == (
        ["app:1", "x.io/app:2"],
        1704164645,
        {"l": "1"},
    )
    assert summary.repo_digests == [f"app@{summary.id}", f"x.io/app@{summary.id}"]
    for name in (summary.id, summary.id[7:19], f"app@{summary.id}"):
        assert (await engine.images.inspect(name)).id == summary.id
    found = await engine.images.inspect("app:1")
    assert found.config is not None
    assert (found.config.cmd, found.architecture, len(found.root_fs.layers)) == (["/bin/sh"], "amd64", 1)
    history = await engine.images.history("app:1")
    assert [item.id for item in history] == [summary.id, "<missing>"]
    assert (history[1].created_by, history[1].size) == ("made", 1000)
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        await engine.images.inspect("nope")
    with pytest.raises(NotFound):
        await engine.images.inspect(f"other@{summary.id}")


async def test_saved_archive_loads_again(engine: Engine) -> None:
    await engine.load(docker_archive("app:1"))
    target = (await engine.images.inspect("app:1")).id
    by_name = b"".join([chunk async for chunk in engine.transfers.save(["app"])])
    by_id = b"".join([chunk async for chunk in engine.transfers.save([target[7:20]])])
    with tarfile.open(fileobj=io.BytesIO(by_name)) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert {"index.json", "oci-layout", "manifest.json"} <= set(names)
    assert manifest[0]["RepoTags"] == ["app:1"]
    await engine.images.remove("app:1")
    assert engine.store.blobs == {}
    assert await engine.load(by_name) == "Loaded image: app:1\n"
    await engine.images.remove("app:1")
    assert await engine.load(by_id) == f"Loaded image ID: {target}\n"
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        await anext(engine.transfers.save(["nope"]))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"x" * 5000, id="noise"),
        pytest.param(docker_archive("app:1", cut=True), id="cut"),
        pytest.param(docker_archive("app:1", rootfs={"type": "layers", "diff_ids": []}), id="layers missing"),
        pytest.param(
            docker_archive("app:1", rootfs={"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}),
            id="diff ID",
        ),
    ],
)
async def test_bad_archive_leaves_nothing(engine: Engine, data: bytes) -> None:
    with pytest.raises((InvalidParameter, NotFound)):
        await engine.load(data)
    assert (engine.store.blobs, engine.store.snapshots, engine.store.names) == ({}, {}, {})
    assert engine.store.leased == {}


async def test_new_image_takes_the_name_and_the_old_one_stays(engine: Engine) -> None:
    await engine.load(docker_archive("app:1"))
    old = (await engine.images.inspect("app:1")).id
    await engine.load(docker_archive("app:1", content="2"))
    assert (await engine.images.inspect(old)).repo_tags == []
    dangling = await engine.images.list(filters=Filters({"dangling": ["true"]}))
    assert [summary.id for summary in dangling] == [old]
    report = await engine.images.prune(Filters())
    assert report.images_deleted is not None
    assert [line.deleted for line in report.images_deleted if line.deleted] == [old]
    assert report.space_reclaimed > 1000
    assert [summary.repo_tags for summary in await engine.images.list(filters=Filters())] == [["app:1"]]


async def test_tags_and_removal(engine: Engine) -> None:
    await engine.load(docker_archive("app:1"))
    await engine.images.tag("app:1", "other", "")
    target = (await engine.images.inspect("other")).id
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is referenced in multiple repositories"):
        await engine.images.remove(target)
    assert [line.untagged for line in await engine.images.remove("app:1")] == ["app:1"]
    done = await engine.images.remove("other")
    assert [(line.untagged, line.deleted) for line in done] == [("other:latest", ""), ("", target)]
    assert engine.store.blobs == {}
    assert engine.happened() == ["load", "tag", "untag", "untag", "delete"]
    with pytest.raises(InvalidParameter):
        await engine.images.tag("x", "Bad", "")


async def test_used_images_are_kept(engine: Engine) -> None:
    await engine.load(docker_archive("app:1"))
    target = (await engine.images.inspect("app:1")).id
    short, container = target[7:19], "c" * 64
    engine.users.append(ImageUser(container, target, target, "app:1", running=False))
    with pytest.raises(Conflict) as caught:
        await engine.images.remove("app:1")
    assert caught.value.message == (
        f"conflict: unable to delete app:1 (must be forced) - container {container[:12]} "
        f"is using its referenced image {short}"
    )
    with pytest.raises(Conflict, match="image is being used by stopped container"):
        await engine.images.remove(short)
    assert (await engine.images.prune(Filters({"dangling": ["false"]}))).images_deleted is None
    assert (await engine.images.list(filters=Filters()))[0].containers == 1
    engine.users[0] = ImageUser(container, target, target, "app:1", running=True)
    with pytest.raises(Conflict, match=r"\(cannot be forced\) - image is being used by running container"):
        await engine.images.remove(short, force=True)
    assert [line.untagged for line in await engine.images.remove("app:1", force=True)] == ["app:1"]
    assert (await engine.images.inspect(short)).repo_tags == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"reference": ["app"]}, ["app:1"]),
        ({"reference": ["a*:1"]}, ["app:1"]),
        ({"reference": ["*/app"]}, []),
        ({"reference": ["x.io/*/app"]}, ["x.io/y/app:2"]),
        ({"label": ["l=2"]}, ["x.io/y/app:2"]),
        ({"label!": ["l=2"]}, ["app:1"]),
        ({"label": ["l"], "dangling": ["true"]}, []),
        ({"before": ["x.io/y/app:2"]}, ["app:1"]),
        ({"since": ["app:1"]}, ["x.io/y/app:2"]),
        ({"until": ["1s"]}, []),
    ],
)
async def test_filters(engine: Engine, filters: dict[str, list[str]], found: list[str]) -> None:
    await engine.load(docker_archive("app:1"))
    await engine.load(docker_archive("x.io/y/app:2", content="2", created="2024-02-02T03:04:05.123456789Z"))
    listed = await engine.images.list(filters=Filters(filters))
    assert [tag for summary in listed for tag in summary.repo_tags] == found


async def test_bad_filters(engine: Engine) -> None:
    for bad in ({"nope": ["x"]}, {"until": ["x"]}, {"dangling": ["maybe"]}):
        with pytest.raises(InvalidParameter):
            await engine.images.list(filters=Filters(bad))
    with pytest.raises(InvalidParameter):
        await engine.images.prune(Filters({"reference": ["x"]}))


async def test_import(engine: Engine) -> None:
    messages = engine.transfers.import_(
        stream(layer(a="1")), repository="imported", message="hello", changes=["CMD x", "ENV A=1"]
    )
    (said,) = [message.status async for message in messages]
    found = await engine.images.inspect("imported:latest")
    assert (found.id, found.comment) == (said, "hello")
    assert found.config is not None
    assert found.config.env == ["A=1"]
    with pytest.raises(InvalidParameter, match="RUN is not a valid change command"):
        await anext(engine.transfers.import_(stream(b""), changes=["RUN x"]))
