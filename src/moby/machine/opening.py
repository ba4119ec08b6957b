"""This file is about what a name stands for, an assembly, archive or image, opened as one file system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.framework.assembly import Assembly
from moby.framework.machine import Container, MachineSections
from moby.host.threads import finishing
from moby.machine.building import Settings, find_images, read_machine
from moby.machine.cache import Image, ImageCache
from moby.machine.image_roots import image_tree
from moby.machine.layers import apply_layer
from moby.machine.rootfs import Parts, root_tree
from moby.machine.tree import Tree

_ASSEMBLIES = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class Opened:
    """A file system, and the images that it is made of, if they are known: their names are its origins."""

    name: str
    tree: Tree
    images: dict[str, Image] = field(default_factory=dict)
    cache: ImageCache | None = None


async def open_all(name: str, settings: Settings, tell: Callable[[str], None] = lambda _step: None) -> Opened:
    """Open `FILE.yml` as the machine it makes, `FILE.tar` as the root that was written, all else as an image.

    Raises MobyError.
    """
    path = Path(name)
    if path.suffix in _ASSEMBLIES:
        assembly = read_machine(path)
        cache, images = await find_images(path, assembly, settings, tell)
        tree = await finishing(root_tree, Parts(assembly, images, cache, path.resolve().parent))
        return Opened(assembly.name, tree, images, cache)
    if path.suffix == ".tar" and not path.name.endswith("-oci.tar") and path.exists():
        tree = Tree()
        await finishing(apply_layer, tree, path, path.name)
        return Opened(path.name, tree)
    if path.exists() and not path.is_dir() and path.suffix != ".tar":
        raise InvalidParameter(
            f"{name} cannot be looked into",
            hint="an assembly, an archive of a root, an OCI layout, or an image",
        )
    return await _image(name, settings, tell)


async def _image(name: str, settings: Settings, tell: Callable[[str], None]) -> Opened:
    path = Path(name)
    named = str(path.resolve()) if path.exists() else name
    machine = MachineSections(services=[Container(name="it", image=named)])
    assembly = Assembly(name, (), machine)
    try:
        cache, images = await find_images(Path("it"), assembly, settings, tell)
    except MobyError as error:
        # There is no file whose line could be told.
        raise type(error)(error.message.partition(".image: ")[2] or error.message, hint=error.hint) from error
    image = images.get(named)
    if image is None:
        raise NotFound(f"there is no image {name}")
    tree = await finishing(image_tree, cache, image)
    return Opened(name, tree, {named: image}, cache)
