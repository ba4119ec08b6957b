"""This file is about Debian packages as material: fetched by apt, read by dpkg-deb, never installed.

apt keeps lists of its own in the cache, so that neither root nor the host's state is needed; it takes the
sources, keys and proxies of the host, and verifies what it fetches. No script of a package is run.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote

from moby.core.errors import MobyError, NotFound, System
from moby.core.platform import Platform
from moby.host.files import translation, write_atomic
from moby.host.threads import blocking
from moby.machine.native import native, program

LISTS_AGE_S = 24 * 3600
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ARCHITECTURES = {"arm": "armhf", "386": "i386", "ppc64le": "ppc64el"}
_URI = re.compile(r"^'[^']+' (?P<file>(?P<name>[a-z0-9][a-z0-9+.-]+)_(?P<version>[^_ ]+)_[a-z0-9]+\.deb) ")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package of one version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}={self.version}"


def debian_architecture(platform: Platform) -> str:
    """Debian's word for a platform."""
    return _ARCHITECTURES.get(platform.architecture, platform.architecture)


class Apt:
    """apt with a state of its own.

    `areas` are parts of Debian's archive that are asked beside `main`, also where the host's sources do not
    name them.
    """

    def __init__(self, root: Path, platform: Platform, areas: Sequence[str] = ()) -> None:
        self._root = root / "apt" / "+".join([platform.architecture, *areas])
        self._architecture = debian_architecture(platform)
        self._areas = areas
        self._plain = Apt(root, platform) if areas else None

    def _options(self) -> list[str]:
        root = self._root
        return [
            "-q",
            "-o", f"APT::Architecture={self._architecture}",
            "-o", f"APT::Architectures={self._architecture}",
            "-o", f"Dir::State={root}",
            "-o", f"Dir::State::lists={root}/lists",
            "-o", f"Dir::State::status={root}/status",
            "-o", f"Dir::Cache={root}/cache",
            "-o", "Debug::NoLocking=1",
            "-o", "APT::Sandbox::User=",
            "-o", "APT::Install-Recommends=0",
            "-o", "Acquire::Languages=none",
            "-o", "Acquire::Retries=3",
            "-o", "Binary::apt::APT::Keep-Downloaded-Packages=1",
            *self._own_sources(),
        ]  # fmt: skip

    def _own_sources(self) -> list[str]:
        if self._plain is None:
            return []
        return [
            "-o",
            f"Dir::Etc::SourceList={self._root}/sources.list",
            "-o",
            "Dir::Etc::SourceParts=/dev/null",
        ]

    async def update(self, *, force: bool = False) -> None:
        """Fetch the lists of packages if they are older than a day. Raises System, NotFound."""
        with translation("cannot make the lists of packages"):
            for folder in ("lists/partial", "cache/archives/partial", "debs"):
                (self._root / folder).mkdir(parents=True, exist_ok=True)
            (self._root / "status").touch()
            stamp = self._root / "updated"
            with (self._root / "lock").open("w") as lock:
                await blocking(fcntl.flock, lock, fcntl.LOCK_EX)
                fresh = stamp.exists() and time.time() - stamp.stat().st_mtime < LISTS_AGE_S
                if fresh and not force:
                    return
                if self._plain is not None:
                    await self._plain.update(force=force)
                    sources = _sources(await self._plain.targets(), self._areas)
                    write_atomic(self._root / "sources.list", sources.encode(), 0o644)
                try:
                    await native("apt-get", *self._options(), "update")
                except System as error:
                    raise System(f"the lists of packages cannot be fetched: {error.message}") from error
                stamp.touch()

    async def targets(self) -> str:
        """The lists that there are, a line each: who made it, part of the archive, where that is, release."""
        fields = "$(ORIGIN) $(COMPONENT) $(REPO_URI) $(RELEASE)"
        out = await native(
            "apt-get", *self._options(), "indextargets", "--format", fields, "Created-By: Packages"
        )
        return out.decode()

    async def closure(self, names: Sequence[str]) -> list[Package]:
        """These packages and all that they depend on, sorted. Raises NotFound, System."""
        await self.update()
        arguments = [*self._options(), "--yes", "--print-uris", "install", *names]
        try:
            out = await native("apt-get", *arguments)
        except System as error:
            raise NotFound(f"the packages {' '.join(names)} cannot be had: {error.message}") from error
        found = [
            Package(match["name"], unquote(match["version"]))
            for line in out.decode().splitlines()
            if (match := _URI.match(line))
        ]
        return sorted(found)

    async def fetch(self, packages: Sequence[Package]) -> dict[Package, Path]:
        """The packages' files; what is here is not fetched again. Raises NotFound, System."""
        await self.update()
        folder = self._root / "debs"
        missing = [package for package in packages if self._file(package) is None]
        if missing:
            names = [str(package) for package in missing]
            try:
                await native("apt-get", *self._options(), "download", *names, cwd=folder)
            except MobyError as error:
                raise NotFound(f"the mirror has not all of {' '.join(names)}: {error.message}") from error
        found = {package: self._file(package) for package in packages}
        return {package: path for package, path in found.items() if path is not None}

    def _file(self, package: Package) -> Path | None:
        version = package.version.replace(":", "%3a")
        return next((self._root / "debs").glob(f"{package.name}_{version}_*.deb"), None)


def _sources(targets: str, areas: Sequence[str]) -> str:
    """Debian's archives as the host has them, with more of their parts. Raises NotFound if it has none."""
    found = []
    for line in targets.splitlines():
        origin, component, *place = line.split()
        if origin == "Debian" and component == "main" and place not in found:
            found.append(place)
    if not found:
        wanted = " and ".join(areas)
        raise NotFound(f"the host's sources of packages have no Debian, whose {wanted} is needed")
    signed = f"[signed-by={_KEYS}] " if _KEYS.exists() else ""
    return "".join(f"deb {signed}{' '.join(place)} main {' '.join(areas)}\n" for place in found)


async def content(package: Path, target: Path) -> None:
    """Write a package's files as a plain tar archive."""
    # To a file: a kernel's would be hundreds of MiB in memory.
    await native("sh", "-c", 'exec "$0" --fsys-tarfile "$1" > "$2"', program("dpkg-deb"), package, target)


async def control(package: Path) -> str:
    """What a package says of itself."""
    return (await native("dpkg-deb", "--field", package)).decode()


def select(packages: Sequence[Package], only: Sequence[str], without: Sequence[str]) -> list[Package]:
    """Those whose names match a pattern of `only` (all, if it is empty) and none of `without`."""
    return [
        package
        for package in packages
        if (not only or any(fnmatchcase(package.name, pattern) for pattern in only))
        and not any(fnmatchcase(package.name, pattern) for pattern in without)
    ]
