"""This file is about a component's file system: what of its packages is kept, and what is put to it."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound
from moby.framework.machine import File
from moby.host.files import translation
from moby.machine.elf import with_needs
from moby.machine.layers import apply_layer
from moby.machine.recipes import Component, Recipe, matches
from moby.machine.rules import identity, mode_of, place_of
from moby.machine.tree import Node, Tree

# What no machine reads.
_DOCUMENTATION = (
    "usr/share/doc/*", "usr/share/doc-base/*", "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*",
    "usr/share/lintian/*", "usr/share/bash-completion/*", "usr/share/zsh/*", "usr/share/bug/*",
    "usr/share/gdb/*", "usr/lib/*/gconv/*", "usr/share/initramfs-tools/*",
)  # fmt: skip
_STATUS = "var/lib/dpkg/status.d"


def component_tree(component: Component, archives: Mapping[str, Path], controls: Mapping[str, str]) -> Tree:
    """The tree of a component whose packages' files and descriptions are here. Raises MobyError."""
    recipe = component.recipe
    tree = Tree()
    for name in sorted(archives):
        apply_layer(tree, archives[name], name)
    for path, pattern in sorted(recipe.concatenate.items()):
        tree.put(place_of(path), Node(content=_joined(tree, pattern)))
    tree = _kept(tree, recipe)
    present = {node.origin for _path, node in tree.sorted() if node.kind != "directory"}
    for name, text in sorted(controls.items()):
        # Where scanners look for the packages of images without dpkg; of one without files nothing is here.
        if name in present or recipe.concatenate or recipe.kernel is not None:
            tree.put(f"{_STATUS}/{name}", Node(content=text.encode()))
    for program, names in sorted(recipe.links.items()):
        _links(tree, program, names)
    for file in recipe.files:
        _file(tree, component, file)
    return tree


def _kept(tree: Tree, recipe: Recipe) -> Tree:
    found = Tree()
    chosen = bool(recipe.keep or recipe.programs)
    needed = _programs(tree, recipe.programs)
    for path, node in tree.sorted():
        dropped = matches(path, recipe.drop) or (not chosen and matches(path, _DOCUMENTATION))
        if path not in needed and (dropped or (chosen and not matches(path, recipe.keep))):
            continue
        # Directories come back with what is kept in them.
        if node.kind == "directory" and chosen:
            continue
        found.put(path, node)
    for path, node in tree.sorted():
        if path in found and node.kind == "directory":
            found.put(path, node)
    return found


def _programs(tree: Tree, patterns: list[str]) -> set[str]:
    named: list[str] = []
    for pattern in patterns:
        matching = [
            path for path, node in tree.sorted() if node.kind != "directory" and fnmatchcase(path, pattern)
        ]
        if not matching:
            raise NotFound(f"nothing matches {pattern}")
        named += matching
    return with_needs(tree, named)


def _joined(tree: Tree, pattern: str) -> bytes:
    found = [node for path, node in tree.sorted() if node.kind == "file" and fnmatchcase(path, pattern)]
    if not found:
        raise NotFound(f"nothing matches {pattern}")
    return b"".join(node.read() for node in found)


def _links(tree: Tree, program: str, names: list[str]) -> None:
    place = place_of(program)
    if tree.lookup(place) is None:
        raise NotFound(f"there is no {program} to link to")
    for name in names:
        path = name if "/" in name else f"{place.rpartition('/')[0]}/{name}"
        if tree.get(path) is None:
            tree.put(path, Node("symlink", 0o777, target=f"/{place}"))


def _file(tree: Tree, component: Component, file: File) -> None:
    place = place_of(file.path)
    uid, gid = identity(file.uid, {}), identity(file.gid, {})
    if file.directory:
        tree.make_directories(place)
        tree.put(place, Node("directory", mode_of(file.mode, 0o755), uid, gid))
        return
    if file.symlink:
        tree.put(place, Node("symlink", 0o777, uid, gid, target=file.symlink))
        return
    if file.metadata or file.optional:
        raise InvalidParameter(f"{file.path}: a component's file has contents or a source")
    with translation(f"component {component.name}"):
        data = (file.contents or "").encode() if not file.source else _source(component, file.source)
    tree.put(place, Node("file", mode_of(file.mode, 0o644), uid, gid, data))


def _source(component: Component, source: str) -> bytes:
    path = (component.folder / source).resolve()
    if not path.is_relative_to(component.folder):
        raise InvalidParameter(f"{source} is not in the component's folder")
    return path.read_bytes()
