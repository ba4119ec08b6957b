"""This file is about making components' images: from a recipe to an image in the cache, always the same.

An image's tag is the hash of its recipe, so that it is made once; what packages it was made of stands in its
label, and a lock makes it of the same ones again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from moby.core.codec import encode
from moby.core.descriptor import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor
from moby.core.errors import MobyError
from moby.core.platform import Platform
from moby.core.reference import DEFAULT_DOMAIN, Reference
from moby.core.types.images import ImageConfig
from moby.host.threads import finishing
from moby.images.documents import Document, HistoryDocument, ImageDocument, RootFSDocument
from moby.machine.cache import ImageCache, full_name
from moby.machine.component_tree import component_tree
from moby.machine.container_spec import LABEL
from moby.machine.job import scratch_folder
from moby.machine.kernel_component import kernel_tree
from moby.machine.lock import Locked
from moby.machine.packages import Apt, Package, content, control, debian_architecture, select
from moby.machine.python_component import add_python
from moby.machine.recipes import NAMESPACE, Component, library, read_component
from moby.machine.resolving import PACKAGES_LABEL
from moby.machine.streams import tar_stream
from moby.machine.tree import Tree

_EPOCH = "1970-01-01T00:00:00Z"


class Library:
    """Components in folders, and their images in a cache."""

    def __init__(
        self,
        cache: ImageCache,
        platform: Platform,
        folders: Mapping[str, Path] | None = None,
        tell: Callable[[str], None] = lambda _step: None,
    ) -> None:
        self._cache = cache
        self._platform = platform
        self._folders = library() if folders is None else folders
        self._tell = tell

    def names(self) -> list[str]:
        """Every component."""
        return sorted(self._folders)

    def component(self, name: str) -> Component:
        """One by its name. Raises NotFound, InvalidParameter."""
        return read_component(self._folders.get(name, Path(name)))

    async def update(self) -> None:
        """Fetch the lists of packages anew. Raises System."""
        areas = {tuple(read_component(folder).recipe.areas) for folder in self._folders.values()}
        for each in sorted(areas):
            await Apt(self._cache.root, self._platform, each).update(force=True)

    def has(self, reference: Reference) -> bool:
        """See `Components.has`."""
        name = reference.path.removeprefix(f"{NAMESPACE}/")
        if reference.domain != DEFAULT_DOMAIN or name == reference.path or name not in self._folders:
            return False
        return reference.tag in ("", "latest") or reference.tag == self.component(name).tag(self._platform)

    async def image(self, reference: Reference, locked: Locked | None) -> Descriptor:
        """See `Components.image`. Raises MobyError."""
        component = self.component(reference.path.removeprefix(f"{NAMESPACE}/"))
        known = self._known(component)
        if known is not None and (locked is None or locked.digest == known.digest):
            return known
        if locked is not None and self._cache.has(locked.digest):
            data = self._cache.read(locked.digest)
            return Descriptor(OCI_MANIFEST, locked.digest, len(data))
        return await self.build(component, locked)

    async def build(self, component: Component, locked: Locked | None = None) -> Descriptor:
        """Make the image, whether or not it is there; of the locked packages, if there are any.

        Raises MobyError. What fails or is cancelled leaves no image.
        """
        self._tell(f"component {component.name}")
        recipe = component.recipe
        apt = Apt(self._cache.root, self._platform, recipe.areas)
        packages: list[Package] = []
        if locked is not None and locked.packages:
            packages = [Package(*each.split("=", 1)) for each in locked.packages]
        elif recipe.packages:
            own = debian_architecture(self._platform)
            every = await apt.closure([name.replace("{arch}", own) for name in recipe.packages])
            packages = select(every, recipe.only, recipe.without)
        files = await apt.fetch(packages) if packages else {}
        try:
            with scratch_folder(self._cache.root / "scratch") as scratch:
                tree = await self._tree(component, files, scratch)
                layer = await finishing(self._cache.write, tar_stream(tree))
                target = await finishing(self._finish, component, layer, packages)
        except MobyError as error:
            raise type(error)(f"component {component.name}: {error.message}", hint=error.hint) from error
        self._cache.name(full_name(component.reference(self._platform)), target)
        return target

    def _known(self, component: Component) -> Descriptor | None:
        target = self._cache.names().get(full_name(component.reference(self._platform)))
        try:
            return target if target is None else self._cache.image(target, self._platform).target
        except MobyError:
            return None

    async def _tree(self, component: Component, files: Mapping[Package, Path], scratch: Path) -> Tree:
        archives: dict[str, Path] = {}
        controls: dict[str, str] = {}
        for package, path in sorted(files.items()):
            archives[package.name] = scratch / f"{package.name}.tar"
            await content(path, archives[package.name])
            controls[package.name] = await control(path)
        tree = await finishing(component_tree, component, archives, controls)
        if component.recipe.kernel is not None:
            tree = await kernel_tree(tree, component.recipe.kernel, scratch)
        if component.recipe.python is not None:
            await add_python(tree, component, self._cache.root, self._platform, scratch)
        return tree

    def _finish(self, component: Component, layer: Descriptor, packages: Sequence[Package]) -> Descriptor:
        recipe = component.recipe
        labels = dict(recipe.image.labels)
        container = msgspec.to_builtins(recipe.container)
        if container:
            labels[LABEL] = msgspec.json.encode(_without_nothing(container), order="sorted").decode()
        labels["org.opencontainers.image.title"] = f"{NAMESPACE}/{component.name}"
        labels["org.opencontainers.image.description"] = recipe.about
        if packages:
            labels[PACKAGES_LABEL] = " ".join(str(package) for package in packages)
        document = ImageDocument(
            created=_EPOCH,
            architecture=self._platform.architecture,
            os=self._platform.os,
            variant=self._platform.variant,
            config=ImageConfig(
                env=recipe.image.env,
                entrypoint=recipe.image.entrypoint,
                cmd=recipe.image.cmd,
                working_dir=recipe.image.workdir,
                labels={key: labels[key] for key in sorted(labels)},
            ),
            rootfs=RootFSDocument(diff_ids=[layer.digest]),
            history=[HistoryDocument(created=_EPOCH, created_by=f"components/{component.name}")],
        )
        config = self._cache.write([encode(document)])
        manifest = Document(
            media_type=OCI_MANIFEST,
            config=msgspec.structs.replace(config, media_type=OCI_CONFIG),
            layers=[msgspec.structs.replace(layer, media_type=OCI_LAYER)],
        )
        return msgspec.structs.replace(self._cache.write([encode(manifest)]), media_type=OCI_MANIFEST)


def _without_nothing(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value
