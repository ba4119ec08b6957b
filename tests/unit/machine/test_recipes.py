"""Recipes, and tags that are hashes of what they are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.core.platform import Platform
from moby.machine.building import read_machine
from moby.machine.recipes import library, read_component

AMD64, ARM64 = Platform("amd64", "linux"), Platform("arm64", "linux")


def written(folder: Path, text: str, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "build.yml").write_text(text)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def test_a_tag_is_the_hash_of_everything_in_the_folder(tmp_path: Path) -> None:
    one = written(tmp_path / "one", "about: x\n", script="a")
    tag = read_component(one).tag(AMD64)
    assert read_component(one).tag(AMD64) == tag
    assert read_component(one).tag(ARM64) != tag
    assert str(read_component(one).reference(AMD64)) == f"docker.io/moby/one:{tag}"
    (one / "README.md").write_text("words")
    (one / "test.yml").write_text("words")
    assert read_component(one).tag(AMD64) == tag
    two = written(tmp_path / "two", "about: x\n", script="a")
    assert read_component(two).tag(AMD64) == tag
    (two / "script").chmod(0o755)
    assert read_component(two).tag(AMD64) != tag
    written(one, "about: x\n", script="b")
    assert read_component(one).tag(AMD64) != tag


@pytest.mark.parametrize(
    "text", ["about: x\npackage: [a]\n", "packages: [a]\n", "about: x\npackages: a\n", "a: [", "[]"]
)
def test_a_wrong_recipe_is_one_line_with_its_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"one/build\.yml: ") as error:
        read_component(written(tmp_path / "one", text))
    assert "\n" not in error.value.message


def test_a_folder_without_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no component in"):
        read_component(tmp_path)


def test_every_component_that_ships_can_be_read() -> None:
    found = library()
    assert {
        "kernel",
        "init",
        "runc",
        "crun",
        "containerd",
        "dhcp",
        "getty",
        "sshd",
        "http",
        "poweroff",
    } <= set(found)
    for name, folder in found.items():
        component = read_component(folder)
        assert component.name == name
        assert component.recipe.about


@pytest.mark.parametrize("name", sorted(library()))
def test_every_component_has_a_page_whose_example_is_an_assembly(name: str, tmp_path: Path) -> None:
    page = (library()[name] / "README.md").read_text()
    assert page.startswith(f"# {name}\n")
    example = tmp_path / "example.yml"
    example.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    assert read_machine(example).machine.images()
    assert f"moby/{name}" in example.read_text()
