"""This file is about sandboxes as the kernel sees them: a namespace at a path. Everything here blocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from moby.host import namespaces, netlink, sysctl

_LOOPBACK = 1


def make(path: Path) -> None:
    """A namespace whose loopback device is up; what a crash left at the path is removed first."""
    namespaces.remove(path)
    with namespaces.make(path, netlink.RoutingSocket) as routing:
        routing.change([netlink.set_link(index=_LOOPBACK, up=True)])


def configure(path: Path, sysctls: Mapping[str, str]) -> None:
    """Set kernel settings inside. Raises NotFound and InvalidParameter as `sysctl.write` does."""

    def write() -> None:
        for name, value in sysctls.items():
            sysctl.write(name, value)

    namespaces.inside(path, write)


def lives(path: Path) -> bool:
    """Is there a namespace at the path?"""
    return namespaces.is_namespace(path)


def free(path: Path) -> None:
    """Let the kernel have it back; no error if it is gone."""
    namespaces.remove(path)


def sweep(directory: Path, known: frozenset[Path]) -> None:
    """Free what is in the directory and nobody knows of: a crash came before it was written down."""
    for path in directory.iterdir():
        if path not in known:
            namespaces.remove(path)
