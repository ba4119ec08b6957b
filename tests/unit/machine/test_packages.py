"""Debian packages by apt and dpkg-deb: from a mirror that is a folder here, without network and root."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from moby.core.errors import MobyError, NotFound
from moby.core.platform import host_platform
from moby.machine.cache import ImageCache
from moby.machine.components import Library
from moby.machine.image_roots import image_tree
from moby.machine.lock import Locked
from moby.machine.packages import Apt, Package, debian_architecture, select
from moby.machine.recipes import read_component
from moby.machine.resolving import packages as packages_of
from tests.unit.machine.made import shown

needs_apt = pytest.mark.skipif(
    shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None, reason="needs apt-get and dpkg-deb"
)


def debian(folder: Path, name: str, version: str, depends: str = "") -> str:
    """A package in the mirror; its entry in the list."""
    root = folder / f"{name}-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / name).write_text(version)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    control += f"Depends: {depends}\n" if depends else ""
    (root / "DEBIAN" / "control").write_text(control)
    path = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", root, path], check=True, capture_output=True)
    data = path.read_bytes()
    return (
        f"{control}Filename: ./{path.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    )


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror, and an apt that knows no other."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    listed = (
        debian(folder, "app", "1:2.0", "lib (>= 1)")
        + debian(folder, "app", "1:1.0", "lib")
        + debian(folder, "lib", "1")
    )
    (folder / "Packages.gz").write_bytes(gzip.compress(listed.encode()))
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb [trusted=yes] file:{folder} ./\n")
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::Etc::SourceList "{sources}";\nDir::Etc::SourceParts "/dev/null";\nDir::Etc::Parts "/dev/null";\n'
        'Dir::Etc::Main "/dev/null";\nDir::Etc::Preferences "/dev/null";\nDir::Etc::PreferencesParts "/dev/null";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))
    return folder


def component(folder: Path, recipe: str) -> Path:
    place = folder / "thing"
    place.mkdir(exist_ok=True)
    (place / "build.yml").write_text(f"about: a thing\n{recipe}")
    return place


@needs_apt
async def test_a_package_with_all_that_it_depends_on(mirror: Path, tmp_path: Path) -> None:
    apt = Apt(tmp_path / "cache", host_platform())
    assert await apt.closure(["app"]) == [Package("app", "1:2.0"), Package("lib", "1")]
    found = await apt.fetch([Package("app", "1:1.0")])
    assert [path.name for path in found.values()] == ["app_1%3a1.0_all.deb"]
    with pytest.raises(NotFound, match="the packages gone cannot be had"):
        await apt.closure(["gone"])
    with pytest.raises(NotFound, match="the mirror has not all of app=7"):
        await apt.fetch([Package("app", "7")])


@needs_apt
async def test_a_part_of_the_archive_that_the_host_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "archive"
    release = "Origin: Debian\nSuite: test\nCodename: test\nComponents: main firm\nArchitectures: all amd64 arm64\nSHA256:\n"
    for area, name in (("main", "app"), ("firm", "blob")):
        lists = root / "dists/test" / area / f"binary-{debian_architecture(host_platform())}"
        lists.mkdir(parents=True)
        (lists / "Packages").write_text(debian(root, name, "1"))
        data = (lists / "Packages").read_bytes()
        release += f" {hashlib.sha256(data).hexdigest()} {len(data)} {lists.relative_to(root / 'dists/test')}/Packages\n"
    (root / "dists/test/Release").write_text(release)
    (tmp_path / "sources.list").write_text(f"deb file:{root} test main\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{tmp_path}/sources.list";\nDir::Etc::SourceParts "/dev/null";\nDir::Etc::Parts "/dev/null";\n'
        'Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(NotFound, match="the packages blob cannot be had"):
        await Apt(tmp_path / "cache", host_platform()).closure(["blob"])
    thing = read_component(component(tmp_path, "packages: [blob]\nareas: [firm]\n"))
    cache = ImageCache(tmp_path / "cache")
    image = cache.image(await Library(cache, host_platform(), {}).build(thing), host_platform())
    assert packages_of(image) == ("blob=1",)


@needs_apt
async def test_a_component_is_the_same_image_each_time(mirror: Path, tmp_path: Path) -> None:
    thing = read_component(
        component(tmp_path, "packages: [app]\nimage: {cmd: [app]}\ncontainer: {readonly: true}\n")
    )
    caches = [ImageCache(tmp_path / name) for name in ("one", "two")]
    libraries = [Library(cache, host_platform(), {"thing": thing.folder}) for cache in caches]
    targets = [await library.build(thing) for library in libraries]
    cache = caches[0]
    assert not list((cache.root / "scratch").iterdir())
    assert targets[0] == targets[1]
    image = cache.image(targets[0], host_platform())
    assert packages_of(image) == ("app=1:2.0", "lib=1")
    assert image.config.config.labels["org.mobyproject.config"] == '{"readonly":true}'
    tree = shown(image_tree(cache, image))
    assert (tree["usr/bin/app"], tree["usr/bin/lib"]) == ("1:2.0", "1")


@needs_apt
async def test_a_component_is_made_once_and_a_lock_brings_its_packages_back(
    mirror: Path, tmp_path: Path
) -> None:
    thing = read_component(component(tmp_path, "packages: [app]\n"))
    platform = host_platform()
    first = ImageCache(tmp_path / "one")
    library = Library(first, platform, {"thing": thing.folder})
    assert library.has(thing.reference(platform))
    assert not library.has(thing.reference(platform).with_tag("other"))
    made = await library.image(thing.reference(platform), None)
    assert (await library.image(thing.reference(platform), None)).digest == made.digest
    old = Locked(digest=made.digest, packages=("app=1:1.0", "lib=1"))
    other = ImageCache(tmp_path / "two")
    again = await Library(other, platform, {"thing": thing.folder}).image(thing.reference(platform), old)
    assert packages_of(other.image(again, platform)) == ("app=1:1.0", "lib=1")


@needs_apt
async def test_of_several_packages_some_can_be_left_out(mirror: Path, tmp_path: Path) -> None:
    thing = read_component(component(tmp_path, "packages: [app]\nonly: ['a*']\n"))
    cache = ImageCache(tmp_path / "one")
    image = cache.image(await Library(cache, host_platform(), {}).build(thing), host_platform())
    assert packages_of(image) == ("app=1:2.0",)
    assert select([Package("a", "1"), Package("b", "1")], [], ["b"]) == [Package("a", "1")]


@needs_apt
async def test_what_cannot_be_made_leaves_no_image(mirror: Path, tmp_path: Path) -> None:
    thing = read_component(component(tmp_path, "packages: [app]\nlinks: {gone: [x]}\n"))
    cache = ImageCache(tmp_path / "one")
    with pytest.raises(MobyError, match="component thing: there is no gone"):
        await Library(cache, host_platform(), {}).build(thing)
    assert cache.names() == {}
    assert not list((cache.root / "scratch").iterdir())


@needs_apt
async def test_several_builds_at_once_share_the_lists(mirror: Path, tmp_path: Path) -> None:
    found = await asyncio.gather(
        *(Apt(tmp_path / "cache", host_platform()).closure(["lib"]) for _ in range(3))
    )
    assert found == [[Package("lib", "1")]] * 3
