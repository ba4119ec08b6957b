"""This file is about recipes: `components/NAME/build.yml`, which says what a component's image is made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

import msgspec
import yaml

from moby.core.errors import InvalidParameter, NotFound
from moby.core.platform import Platform
from moby.core.reference import Reference
from moby.framework.machine import ContainerConfig, File
from moby.host.files import translation

NAMESPACE = "moby"
FILE = "build.yml"
TEST = "test.yml"
# The image does not depend on these.
_BESIDE = ("README.md", TEST)
LIBRARY = Path(__file__).parent / "library"
# Raised when the same recipe would give another image: every tag then changes.
_FORMAT = 2
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image's own configuration."""

    entrypoint: list[str] = []
    cmd: list[str] = []
    env: list[str] = msgspec.field(default_factory=lambda: [PATH])
    workdir: str = ""
    labels: dict[str, str] = {}


class KernelRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image is a kernel's: which modules are left out, by patterns of their paths."""

    without: list[str] = []
    device_trees: list[str] = []
    """Patterns of device trees that come with the modules."""
    microcode: bool = False
    """With `intel-ucode.cpio` and `amd-ucode.cpio`, of the updates of processors in the packages."""


class PythonRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Python packages, all compiled ahead: wheels, and one that is installed here."""

    requirements: str
    """A file beside the recipe: each wheel with its version and hashes."""
    module: str = ""
    """A package of Python code, as it is here; its source is a part of the recipe."""
    without: list[str] = []
    """Patterns of paths, below the directory of packages, that are left out."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an image is made of."""

    about: str
    packages: list[str] = []
    """Debian packages, with all that they depend on; `{arch}` is Debian's word for the platform."""
    areas: list[str] = []
    """Parts of Debian's archive that they are in, beside `main`: `non-free-firmware`."""
    only: list[str] = []
    """Of these packages only those whose names match."""
    without: list[str] = []
    """Packages that are left out."""
    keep: list[str] = []
    """Patterns of the paths that are kept; everything but documentation, if there are none."""
    programs: list[str] = []
    """Patterns of programs and plug-ins that are kept with the libraries that they need, and no others."""
    drop: list[str] = []
    """Patterns of paths that are left out."""
    files: list[File] = []
    """As an assembly's."""
    links: dict[str, list[str]] = {}
    """Names beside a program that are links to it."""
    concatenate: dict[str, str] = {}
    """Files made of all those that match a pattern, in order."""
    kernel: KernelRecipe | None = None
    python: PythonRecipe | None = None
    image: ImageSettings = ImageSettings()
    container: ContainerConfig = ContainerConfig()
    """How its containers run, in the image's label."""


@dataclass(frozen=True, slots=True)
class Component:
    """A recipe and where it is."""

    name: str
    folder: Path
    recipe: Recipe

    def tag(self, platform: Platform) -> str:
        """The hash of the recipe, of what it takes from its folder and from our code, and of the platform."""
        found = hashlib.sha256(f"{_FORMAT} {platform}\n".encode())
        with translation(f"cannot read component {self.name}"):
            for path in sorted(self.folder.rglob("*")):
                if path.is_file() and path.suffix != ".pyc" and path.name not in _BESIDE:
                    mode = "x" if os.access(path, os.X_OK) else "-"
                    data = hashlib.sha256(path.read_bytes()).hexdigest()
                    found.update(f"{path.relative_to(self.folder)} {mode} {data}\n".encode())
            for name, path in module_files(self.recipe.python).items():
                found.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return found.hexdigest()[:16]

    def reference(self, platform: Platform) -> Reference:
        """The full name of its image."""
        return Reference("docker.io", f"{NAMESPACE}/{self.name}", self.tag(platform))


def read_component(folder: Path) -> Component:
    """The component in a folder. Raises NotFound, InvalidParameter."""
    path = folder / FILE
    try:
        text = path.read_text()
    except OSError as error:
        raise NotFound(f"there is no component in {folder}") from error
    try:
        recipe = msgspec.convert(yaml.safe_load(text), Recipe)
    except (msgspec.ValidationError, yaml.YAMLError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise InvalidParameter(f"{path}: {words}") from error
    return Component(folder.resolve().name, folder.resolve(), recipe)


def module_files(python: PythonRecipe | None) -> dict[str, Path]:
    """The files of a recipe's own package, by their places among packages. Raises NotFound."""
    if python is None or not python.module:
        return {}
    spec = find_spec(python.module)
    if spec is None or not spec.submodule_search_locations:
        raise NotFound(f"there is no Python package {python.module!r} here")
    found = {}
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).rglob("*")):
            name = f"{python.module}/{path.relative_to(folder)}"
            if path.is_file() and "__pycache__" not in path.parts and not matches(name, python.without):
                found[name] = path
    return found


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Does a pattern match a path, or a directory above it?"""
    parts = path.split("/")
    above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    return any(fnmatchcase(each, pattern) for pattern in patterns for each in above)


def library(folder: Path = LIBRARY) -> Mapping[str, Path]:
    """The components that ship: each name with its folder."""
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{FILE}"))}
