"""This file is about Python packages as material: wheels that pip fetches and nobody installs.

Which ones stands in a file of requirements, each with its version and the hashes of its wheels; pip verifies
them, and takes the index, proxies and certificates of the host. No code of a package is run.
"""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moby.core.errors import InvalidParameter, NotFound, System
from moby.core.platform import Platform
from moby.host.files import translation
from moby.host.process import run
from moby.machine.elf import without_symbols
from moby.machine.job import scratch_folder
from moby.machine.tree import Node, Slice, Tree

SITE = "usr/lib/python3/dist-packages"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Wheels say which glibc they need: from the oldest that wheels are made for to the one of Debian 12.
_GLIBC_MINORS = range(5, 37)
_LIBRARY = re.compile(r"usr/lib/python(3\.\d+)/os\.py")
_FETCH_LIMIT_S = 900


def python_version(tree: Tree) -> str:
    """The version of the Python in a tree, as `3.11`. Raises InvalidParameter if there is not one."""
    found = [match[1] for path, _node in tree.sorted() if (match := _LIBRARY.fullmatch(path))]
    if len(found) != 1:
        raise InvalidParameter(f"there is not one Python in the packages, but {len(found)}")
    return found[0]


@dataclass(frozen=True, slots=True)
class Wheels:
    """Wheels for one Python on one platform, kept below `root`."""

    root: Path
    platform: Platform
    version: str

    async def fetch(self, requirements: Path) -> list[Path]:
        """Every wheel that a file of requirements names, sorted. Raises MobyError."""
        machine = _MACHINES.get(self.platform.architecture)
        if machine is None:
            raise InvalidParameter(f"there are no wheels for {self.platform}")
        with translation("cannot read the requirements"):
            text = requirements.read_bytes()
        key = hashlib.sha256(f"{self.platform} {self.version}\n".encode() + text).hexdigest()[:16]
        folder = self.root / "wheels" / key
        if not folder.exists():
            with scratch_folder(folder.parent) as scratch:
                await self._download(requirements, machine, scratch / "wheels")
                with translation("cannot keep the wheels"):
                    if not folder.exists():
                        (scratch / "wheels").rename(folder)
        return sorted(folder.glob("*.whl"))

    async def _download(self, requirements: Path, machine: str, target: Path) -> None:
        platforms = [f"manylinux2014_{machine}", *(f"manylinux_2_{n}_{machine}" for n in _GLIBC_MINORS)]
        argv = [
            sys.executable, "-m", "pip", "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary", ":all:",
            "--implementation", "cp",
            "--python-version", self.version,
            *(f"--platform={platform}" for platform in platforms),
            "--dest", str(target),
            "--requirement", str(requirements),
        ]  # fmt: skip
        result = await run(argv, limit_s=_FETCH_LIMIT_S)
        if result.code == 0:
            return
        words = result.err.decode(errors="replace")
        if "No module named pip" in words:
            raise NotFound("pip is not installed", hint="apt-get install python3-pip")
        last = [line for line in words.splitlines() if line.startswith("ERROR")] or words.split("\n")[:1]
        raise System(f"the wheels cannot be fetched: {last[-1].removeprefix('ERROR: ')}")


def unpack(tree: Tree, wheels: Sequence[Path], store: Path) -> None:
    """Put what is in wheels where Debian's Python looks; the content is written to `store`, without symbols.

    Raises InvalidParameter for a wheel that cannot be read or leads out of its place.
    """
    with store.open("xb") as file:
        for wheel in wheels:
            for path, mode, data in _members(wheel):
                offset = file.tell()
                file.write(data)
                tree.put(path, Node(mode=mode, content=Slice(store, offset, len(data)) if data else b""))


def _members(wheel: Path) -> Iterator[tuple[str, int, bytes]]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                if info.is_dir() or (path := _place(info.filename)) is None:
                    continue
                mode = 0o755 if info.external_attr >> 16 & 0o100 else 0o644
                yield path, mode, without_symbols(archive.read(info))
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise InvalidParameter(f"{wheel.name} cannot be read: {error}") from error


def _place(name: str) -> str | None:
    """Where a wheel's file goes, as PEP 427 has it; nowhere for headers and scripts, which nobody uses."""
    parts = name.split("/")
    if ".." in parts or name.startswith("/"):
        raise InvalidParameter(f"{name!r} leads out of its place")
    if not parts[0].endswith(".data"):
        return f"{SITE}/{name}"
    return f"{SITE}/{'/'.join(parts[2:])}" if parts[1] in ("purelib", "platlib") else None
