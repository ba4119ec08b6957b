"""This file is about a component's Python packages: wheels and code of our own beside Debian's Python."""

from __future__ import annotations

from pathlib import Path

from moby.core.errors import InvalidParameter
from moby.core.platform import Platform
from moby.host.files import translation
from moby.host.threads import finishing
from moby.machine.bytecode import compile_python
from moby.machine.recipes import Component, PythonRecipe, matches, module_files
from moby.machine.tree import Node, Tree
from moby.machine.wheels import SITE, Wheels, python_version, unpack


async def add_python(
    tree: Tree, component: Component, cache: Path, platform: Platform, scratch: Path
) -> None:
    """Put the packages to a component's tree. `scratch` has to stay until the tree was written.

    Raises MobyError.
    """
    recipe = component.recipe.python
    assert recipe is not None
    requirements = (component.folder / recipe.requirements).resolve()
    if not requirements.is_relative_to(component.folder):
        raise InvalidParameter(f"{recipe.requirements} is not in the component's folder")
    version = python_version(tree)
    wheels = await Wheels(cache, platform, version).fetch(requirements)
    await finishing(_put, tree, recipe, wheels, scratch / "wheels")
    await compile_python(tree, version, platform, scratch)


def _put(tree: Tree, recipe: PythonRecipe, wheels: list[Path], store: Path) -> None:
    unpack(tree, wheels, store)
    for place in tree.below(SITE):
        if matches(place.removeprefix(f"{SITE}/"), recipe.without):
            tree.remove(place)
    with translation("cannot read Python code"):
        for name, path in module_files(recipe).items():
            tree.put(f"{SITE}/{name}", Node(content=path.read_bytes()))
