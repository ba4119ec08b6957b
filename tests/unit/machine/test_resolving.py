"""Which image a name stands for: the lock, our components, the cache, a registry, in this order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from moby.core.descriptor import Descriptor
from moby.core.errors import MobyError, NotFound
from moby.core.platform import host_platform
from moby.core.reference import Reference
from moby.framework.assembly import parse
from moby.machine.cache import ImageCache
from moby.machine.lock import Locked
from moby.machine.pulling import Fetcher
from moby.machine.resolving import Sources, locks, resolve
from tests.unit.machine.made import archive, kept, layer, member

NAME = "docker.io/library/app:1"


class FakeRegistry:
    """Has what it was given, and tells what it was asked for."""

    def __init__(self, **images: Descriptor) -> None:
        self.images = images
        self.asked: list[str] = []

    async def fetch(self, reference: Reference) -> Descriptor:
        self.asked.append(str(reference))
        try:
            return self.images[reference.path.rpartition("/")[2]]
        except KeyError:
            raise NotFound("not there") from None


def sources(cache: ImageCache, folder: Path, registry: FakeRegistry, **more: Any) -> Sources:
    return Sources(cache, cast("Fetcher", registry), host_platform(), folder, **more)


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "cache")


async def test_an_archive_beside_the_assembly(cache: ImageCache, tmp_path: Path) -> None:
    (tmp_path / "app.tar").write_bytes(archive(layer(member("x"))))
    found = await resolve(parse("init: [./app.tar]", "a.yml"), sources(cache, tmp_path, FakeRegistry()))
    digest = found["./app.tar"].target.digest
    assert locks(found) == {"./app.tar": Locked(digest)}
    other = {"./app.tar": Locked(f"sha256:{'0' * 64}")}
    with pytest.raises(MobyError, match=r"^a.yml:1: init\[0\]: ./app.tar: is sha256.* in the lock"):
        await resolve(
            parse("init: [./app.tar]", "a.yml"), sources(cache, tmp_path, FakeRegistry(), lock=other)
        )


async def test_the_cache_is_asked_before_the_registry(cache: ImageCache, tmp_path: Path) -> None:
    image = kept(cache, tmp_path, layer(member("x")))
    newer = kept(cache, tmp_path, layer(member("y")))
    registry = FakeRegistry(app=newer.target)
    assembly = parse("init: ['app:1', 'app:1']", "a.yml")
    found = await resolve(assembly, sources(cache, tmp_path, registry))
    assert (found["app:1"].target.digest, registry.asked) == (newer.target.digest, [NAME])
    cache.name(NAME, image.target)
    found = await resolve(assembly, sources(cache, tmp_path, registry))
    assert (found["app:1"].target.digest, len(registry.asked)) == (image.target.digest, 1)
    found = await resolve(assembly, sources(cache, tmp_path, registry, pull=True))
    assert (found["app:1"].target.digest, len(registry.asked)) == (newer.target.digest, 2)


async def test_a_locked_image_is_that_one_wherever_its_name_points_now(
    cache: ImageCache, tmp_path: Path
) -> None:
    image = kept(cache, tmp_path, layer(member("x")))
    newer = kept(cache, tmp_path, layer(member("y")))
    cache.name(NAME, newer.target)
    registry = FakeRegistry(app=image.target)
    lock = {"app:1": Locked(image.target.digest)}
    for _again in range(2):
        found = await resolve(
            parse("init: ['app:1']", "a.yml"), sources(cache, tmp_path, registry, lock=lock)
        )
        assert found["app:1"].target.digest == image.target.digest
    assert registry.asked == [f"{NAME}@{image.target.digest}"]


async def test_what_is_not_to_be_had_is_told_with_its_place(cache: ImageCache, tmp_path: Path) -> None:
    assembly = parse("services:\n - name: a\n   image: gone\n", "a.yml")
    with pytest.raises(NotFound, match=r"^a.yml:3: services\[0\].image: gone: not there"):
        await resolve(assembly, sources(cache, tmp_path, FakeRegistry()))
    with pytest.raises(NotFound, match="registries are not asked"):
        await resolve(assembly, sources(cache, tmp_path, FakeRegistry(), offline=True))
    with pytest.raises(MobyError, match="is not in the lock"):
        await resolve(assembly, sources(cache, tmp_path, FakeRegistry(), locked_only=True))


class FakeComponents:
    """Has one component."""

    def __init__(self, target: Descriptor) -> None:
        self.target = target

    def has(self, reference: Reference) -> bool:
        return reference.familiar_name == "moby/init"

    async def image(self, reference: Reference, locked: Locked | None) -> Descriptor:
        return self.target


async def test_our_components_are_made_here(cache: ImageCache, tmp_path: Path) -> None:
    image = kept(cache, tmp_path, layer(member("x")))
    registry = FakeRegistry()
    given = sources(cache, tmp_path, registry, components=FakeComponents(image.target))
    found = await resolve(parse("init: [moby/init]", "a.yml"), given)
    assert (found["moby/init"].target.digest, registry.asked) == (image.target.digest, [])
