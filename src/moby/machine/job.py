"""This file is about writing a machine out: what an output is given; files are whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from moby.core.errors import InvalidParameter
from moby.core.platform import Platform, host_platform
from moby.framework.machine import Output
from moby.host.files import translation
from moby.machine.rootfs import CMDLINE, KERNEL, UCODE
from moby.machine.tree import Node, Tree


@dataclass(frozen=True, slots=True)
class Job:
    """A machine to be written into `folder`, files named after `name`; `scratch` is removed afterwards.

    In `common` lies what several outputs of one build are made of; none of them changes it. It is `scratch`
    if none is given.
    """

    tree: Tree
    name: str
    folder: Path
    scratch: Path
    moment: int = 0
    options: Output = field(default_factory=lambda: Output(""))
    platform: Platform = field(default_factory=host_platform)
    common: Path | None = None

    @property
    def cmdline(self) -> str:
        """The words on the kernel's command line."""
        node = self.tree.get(CMDLINE)
        return "" if node is None else node.read().decode().strip()

    def kernel(self) -> Node:
        """The kernel. Raises InvalidParameter if the machine has none."""
        node = self.tree.get(KERNEL)
        if node is None:
            raise InvalidParameter("needs a kernel, and the assembly has none")
        return node

    def root(self) -> Tree:
        """The root without what the boot loader reads."""
        found = Tree()
        for path, node in self.tree.sorted():
            if path not in (KERNEL, CMDLINE, UCODE):
                found.put(path, node)
        return found


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` when the block ends well; else nothing changes."""
    with translation(f"cannot write {path}"):
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            yield unfinished
            unfinished.chmod(0o644)
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)


def write_chunks(path: Path, chunks: Iterable[bytes]) -> int:
    """Write a new file; its length."""
    size = 0
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            size += len(chunk)
    return size


def take_over(source: Path, target: Path) -> None:
    """A new file with the content of one that nobody changes any more: another name, if that can be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A directory for files on the way, on the same disk, removed at the end."""
    with translation(f"cannot write to {beside}"):
        beside.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".moby-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
