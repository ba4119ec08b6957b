"""This file is about what software is in an image: the packages of Debian and Alpine that it lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from moby.machine.tree import Tree

_STATUS, _STATUS_FOLDER, _APK = "var/lib/dpkg/status", "var/lib/dpkg/status.d", "lib/apk/db/installed"


@dataclass(frozen=True, slots=True, order=True)
class Software:
    """A package that is in an image."""

    name: str
    version: str
    architecture: str
    kind: str = "deb"
    distribution: str = "debian"
    supplier: str = ""
    licence: str = ""

    @property
    def purl(self) -> str:
        """Its package URL."""
        name, version = quote(self.name, safe=""), quote(self.version, safe="")
        return (
            f"pkg:{self.kind}/{self.distribution}/{name}@{version}?arch={quote(self.architecture, safe='')}"
        )


def software(tree: Tree) -> list[Software]:
    """Every package of an image, sorted; none for an image that does not say."""
    distribution = _distribution(tree)
    found: set[Software] = set()
    for path in (_STATUS, *tree.children(_STATUS_FOLDER)):
        for entry in _stanzas(_text(tree, path)):
            # A folder's entries have no status: what is there is installed.
            if "installed" in entry.get("Status", "install ok installed").split() and "Package" in entry:
                found.add(_debian(entry, distribution or "debian"))
    for entry in _apk_entries(_text(tree, _APK)):
        if "P" in entry:
            found.add(
                Software(
                    entry["P"],
                    entry.get("V", ""),
                    entry.get("A", ""),
                    "apk",
                    distribution or "alpine",
                    licence=entry.get("L", ""),
                )
            )
    return sorted(found)


def _debian(entry: dict[str, str], distribution: str) -> Software:
    return Software(
        entry["Package"],
        entry.get("Version", ""),
        entry.get("Architecture", ""),
        distribution=distribution,
        supplier=entry.get("Maintainer", ""),
    )


def _text(tree: Tree, path: str) -> str:
    node = tree.lookup(path)
    return "" if node is None or node.kind != "file" else node.read().decode(errors="replace")


def _distribution(tree: Tree) -> str:
    for path in ("etc/os-release", "usr/lib/os-release"):
        for line in _text(tree, path).splitlines():
            if line.startswith("ID="):
                return line[3:].strip("\"' ")
    return ""


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        entry: dict[str, str] = {}
        for line in block.splitlines():
            key, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):
                entry.setdefault(key, value.strip())
        if entry:
            yield entry


def _apk_entries(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        entry: dict[str, str] = {}
        for line in block.splitlines():
            if line[1:2] == ":":
                entry.setdefault(line[0], line[2:].strip())
        if entry:
            yield entry
