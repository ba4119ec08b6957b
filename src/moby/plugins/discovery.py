"""This file is about finding plugins: sockets in one directory, files that name addresses in others."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from moby.core.codec import decode
from moby.core.errors import InvalidParameter, System

_SPECS = (".spec", ".json")


class TlsOptions(msgspec.Struct, frozen=True, rename="pascal"):
    """How a plugin at an `https` address is to be trusted, and who we are to it."""

    ca_file: str = msgspec.field(default="", name="CAFile")
    cert_file: str = ""
    key_file: str = ""
    insecure_skip_verify: bool = False


class Found(msgspec.Struct, frozen=True):
    """A plugin by its name, where it is (`unix:///run/x.sock`, `https://host:1234`), and how to trust it."""

    name: str
    address: str
    tls: TlsOptions = TlsOptions(insecure_skip_verify=True)


class _Description(msgspec.Struct, frozen=True, rename="pascal"):
    addr: str = ""
    tls_config: TlsOptions | None = msgspec.field(default=None, name="TLSConfig")


class Discovery:
    """Looks for plugins where dockerd does: `NAME.sock`, or `NAME/NAME.sock`, then `.spec` and `.json`."""

    def __init__(self, sockets: Path, specs: Sequence[Path]) -> None:
        self._sockets = sockets
        self._specs = specs

    def find(self, name: str) -> Found | None:
        """The plugin of that name. Raises System for a file that does not say where it is."""
        if not name or "/" in name or name in (".", ".."):
            return None
        for path in _places(self._sockets, name, ".sock"):
            if _is_socket(path):
                return Found(name, f"unix://{path}")
        for directory in self._specs:
            for suffix in _SPECS:
                for path in _places(directory, name, suffix):
                    if path.exists():
                        return _read(name, path)
        return None

    def names(self) -> Sequence[str]:
        """Every plugin's, sorted."""
        found = {name for name in _entries(self._sockets, (".sock",)) if self._has_socket(name)}
        for directory in self._specs:
            found.update(_entries(directory, _SPECS))
        return sorted(found)

    def _has_socket(self, name: str) -> bool:
        return any(map(_is_socket, _places(self._sockets, name, ".sock")))


def _places(directory: Path, name: str, suffix: str) -> tuple[Path, Path]:
    return directory / f"{name}{suffix}", directory / name / f"{name}{suffix}"


def _entries(directory: Path, suffixes: Sequence[str]) -> Iterator[str]:
    """The names that files in a directory stand for, or files in a directory of that name."""
    try:
        entries = os.listdir(directory)
    except OSError:
        return
    for entry in entries:
        name, suffix = os.path.splitext(entry)
        if suffix in suffixes:
            yield name
        elif any((directory / entry / f"{entry}{one}").exists() for one in suffixes):
            yield entry


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _read(name: str, path: Path) -> Found:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise System(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    if path.suffix == ".spec":
        address = text.decode(errors="replace").strip()
        if not urlsplit(address).scheme:
            raise System("Unknown protocol")
        return Found(name, address)
    try:
        described = decode(text, _Description)
    except InvalidParameter as error:
        raise System(f"{path}: {error.message}") from error
    tls = described.tls_config or TlsOptions()
    if not tls.ca_file:
        tls = msgspec.structs.replace(tls, insecure_skip_verify=described.tls_config is not None)
    return Found(name, described.addr, tls)
