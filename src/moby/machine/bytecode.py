"""This file is about Python's code in a machine, compiled ahead: what lies in memory is compiled at no start.

The machine's own Python does it, so that the result depends on the machine alone.
"""

from __future__ import annotations

import os
from pathlib import Path

from moby.core.errors import InvalidParameter, System
from moby.core.platform import Platform, host_platform
from moby.host.process import run
from moby.host.threads import finishing
from moby.machine.native import program
from moby.machine.tree import Node, Slice, Tree
from moby.machine.wheels import SITE

_LOADERS = {"amd64": "lib64/ld-linux-x86-64.so.2", "arm64": "lib/ld-linux-aarch64.so.1"}
_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_EMULATORS = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}
_LIMIT_S = 900


async def compile_python(tree: Tree, version: str, platform: Platform, scratch: Path) -> None:
    """Put `__pycache__` beside every module. `scratch` has to stay until the tree was written.

    Raises NotFound if the machine's programs do not run here and there is no emulator, System.
    """
    root = scratch / "python"
    await finishing(_unpacked, tree, root)
    modules = [f"usr/lib/python{version}", SITE]
    argv = [
        *_loader(root, platform),
        str(root / f"usr/bin/python{version}"),
        # -s: no site of a user's; -S: nor the machine's own, which nothing is looked for in
        "-s", "-S",
        "-m", "compileall",
        "-q",
        "-j", "1",
        "--invalidation-mode", "unchecked-hash",
        "-s", str(root),
        "-p", "/",
        *(str(root / folder) for folder in modules),
    ]  # fmt: skip
    # Of these, sets of names would be written in another order each time.
    fixed = {"PYTHONHASHSEED": "0", "PYTHONHOME": str(root / "usr"), "PYTHONDONTWRITEBYTECODE": "1"}
    result = await run(argv, limit_s=_LIMIT_S, env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **fixed})
    if result.code != 0:
        words = (result.err or result.out).decode(errors="replace").strip().splitlines()
        raise System(
            f"Python's code cannot be compiled: {words[-1] if words else f'exit code {result.code}'}"
        )
    for folder in modules:
        for path in sorted((root / folder).rglob("__pycache__/*.pyc")):
            place = str(path.relative_to(root))
            tree.put(place, Node(content=Slice(path, 0, path.stat().st_size)))


def _loader(root: Path, platform: Platform) -> list[str]:
    """What runs a program of the tree with the tree's own libraries."""
    loader = _LOADERS.get(platform.architecture)
    if loader is None:
        raise InvalidParameter(f"Python's code is not compiled for {platform}")
    triplet = _TRIPLETS[platform.architecture]
    argv = [str(root / loader), "--library-path", f"{root}/lib/{triplet}:{root}/usr/lib/{triplet}"]
    if platform.architecture == host_platform().architecture:
        return argv
    return [program(_EMULATORS[platform.architecture]), *argv]


def _unpacked(tree: Tree, root: Path) -> None:
    """The tree on disk, as far as Python needs it: directories, plain files and links inside it."""
    for path, node in tree.sorted():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if node.kind == "directory":
            target.mkdir(exist_ok=True)
        elif node.kind == "symlink":
            above = "/".join([".."] * path.count("/")) or "."
            target.symlink_to(node.target if not node.target.startswith("/") else f"{above}{node.target}")
        elif node.kind == "file":
            with target.open("xb") as file:
                for chunk in node.chunks():
                    file.write(chunk)
            target.chmod(0o755 if node.mode & 0o100 else 0o644)
