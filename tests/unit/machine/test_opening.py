"""Assemblies, archives and images, opened by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.machine.building import Settings
from moby.machine.opening import open_all
from moby.machine.streams import tar_stream
from moby.machine.tree import Node, Tree
from tests.unit.machine.made import archive, layer, member


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "cache", offline=True)


async def test_an_assembly_is_the_machine_that_it_makes(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "app.tar").write_bytes(archive(layer(member("app", b"run"))))
    (tmp_path / "m.yml").write_text(
        "init: [./app.tar]\nfiles: [{path: etc/x, contents: y}]\nservices: [{name: a, image: ./app.tar}]\n"
    )
    opened = await open_all(str(tmp_path / "m.yml"), settings)
    node = opened.tree.get("app")
    assert node is not None
    assert node.origin == "./app.tar"
    assert set(opened.images) == {"./app.tar"}


async def test_an_archive_of_a_root(tmp_path: Path, settings: Settings) -> None:
    tree = Tree()
    tree.put("etc/x", Node(content=b"y"))
    (tmp_path / "root.tar").write_bytes(b"".join(tar_stream(tree)))
    opened = await open_all(str(tmp_path / "root.tar"), settings)
    assert "etc/x" in opened.tree
    assert opened.images == {}


async def test_an_image_in_a_file(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "it-oci.tar").write_bytes(archive(layer(member("app", b"run"))))
    opened = await open_all(str(tmp_path / "it-oci.tar"), settings)
    assert "app" in opened.tree
    assert len(opened.images) == 1


async def test_what_cannot_be_opened_is_told(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "disk.img").write_bytes(b"x")
    with pytest.raises(InvalidParameter, match="cannot be looked into"):
        await open_all(str(tmp_path / "disk.img"), settings)
    with pytest.raises(NotFound, match=r"^nowhere:1: "):
        await open_all("nowhere:1", settings)
    with pytest.raises(MobyError):
        await open_all(str(tmp_path / "missing.yml"), settings)
