"""This file is about a kernel's image, made of a package: `kernel`, and its modules in `kernel.tar`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from moby.core.errors import InvalidParameter
from moby.host.threads import blocking
from moby.machine.job import write_chunks
from moby.machine.native import native
from moby.machine.recipes import KernelRecipe, matches
from moby.machine.streams import cpio_stream, tar_stream
from moby.machine.tree import Node, Slice, Tree

_KERNEL = re.compile(r"boot/vmlinuz-(.+)")
# busybox reads these; those that end in .bin are for kmod alone and say the same.
_INDEXES = ("modules.alias", "modules.dep", "modules.devname", "modules.softdep", "modules.symbols")
# What packages have, and what the kernel looks for first of all (its Documentation/x86/microcode.rst).
_MICROCODE = {
    "intel-ucode.cpio": ("lib/firmware/intel-ucode/", "GenuineIntel.bin"),
    "amd-ucode.cpio": ("lib/firmware/amd-ucode/", "AuthenticAMD.bin"),
}
_GIVEN = ("modules.builtin", "modules.builtin.modinfo", "modules.order")


async def kernel_tree(tree: Tree, recipe: KernelRecipe, scratch: Path) -> Tree:
    """The image's tree, of the package's. Raises InvalidParameter if there is not one kernel in it."""
    found = [(match[1], node) for path, node in tree.sorted() if (match := _KERNEL.fullmatch(path))]
    if len(found) != 1:
        raise InvalidParameter(f"there is not one kernel in the packages, but {len(found)}")
    version, kernel = found[0]
    modules = _modules(tree, f"lib/modules/{version}", recipe.without)
    await _index(modules, version, scratch)
    for path, node in tree.sorted():
        if node.kind == "file" and path.endswith(".dtb") and matches(path, recipe.device_trees):
            modules.put(path, node)
    archive = scratch / "kernel.tar"
    size = await blocking(write_chunks, archive, tar_stream(modules))
    result = Tree()
    result.put("kernel", Node(mode=0o644, content=kernel.content))
    result.put("kernel.tar", Node(mode=0o644, content=Slice(archive, 0, size)))
    if recipe.microcode:
        for name, data in microcode(tree).items():
            result.put(name, Node(mode=0o644, content=data))
    for path, node in tree.sorted():
        if path.startswith("var/lib/dpkg/"):
            result.put(path, node)
    return result


def microcode(tree: Tree) -> dict[str, bytes]:
    """Archives that go before a RAM disk: updates of processors, all of a maker's in one file."""
    found = {}
    for name, (folder, binary) in _MICROCODE.items():
        parts = [
            node.read()
            for path, node in tree.sorted()
            if path.removeprefix("usr/").startswith(folder) and node.kind == "file"
            if "/" not in path.rpartition(folder)[2] and not path.endswith((".asc", "README"))
        ]
        if parts:
            early = Tree()
            early.put(f"kernel/x86/microcode/{binary}", Node(mode=0o644, content=b"".join(parts)))
            found[name] = b"".join(cpio_stream(early, 0))
    return found


def _modules(tree: Tree, folder: str, without: list[str]) -> Tree:
    found = Tree()
    found.make_directories(folder)
    for path, node in tree.sorted():
        name = path.removeprefix(f"{folder}/")
        wanted = name.endswith(".ko") or name in _GIVEN
        left_out = matches(name.removeprefix("kernel/"), without)
        if node.kind == "file" and name != path and wanted and not left_out:
            found.put(path, node)
    return found


async def _index(modules: Tree, version: str, scratch: Path) -> None:
    """Let depmod write which module needs which, and put that to them."""
    root = scratch / "modules"
    folder = f"lib/modules/{version}"
    await blocking(_unpack, modules, root)
    await native("depmod", "-b", root, version)
    for name in _INDEXES:
        path = root / folder / name
        if path.exists():
            modules.put(f"{folder}/{name}", Node(content=await blocking(path.read_bytes)))


def _unpack(modules: Tree, root: Path) -> None:
    for path, node in modules.sorted():
        target = root / path
        if node.kind == "directory":
            os.makedirs(target, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_chunks(target, node.chunks())
