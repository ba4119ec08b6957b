"""This file is about `hosts.toml`: where to ask for what one registry keeps, in containerd's own form.

It lies beside a registry's certificates, in `HOST`, `HOST_PORT_` or, for all others, `_default`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from moby.core.errors import System

Capability = Literal["pull", "resolve", "push", "referrers"]
_EVERY: tuple[Capability, ...] = ("pull", "resolve", "push")


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one place is spoken to; files are relative to the directory of the `hosts.toml`."""

    capabilities: tuple[Capability, ...] = _EVERY
    ca: str | tuple[str, ...] = ()
    client: str | tuple[str | tuple[str, str], ...] = ()
    skip_verify: bool = False
    override_path: bool = False
    header: dict[str, str | tuple[str, ...]] = msgspec.field(default_factory=dict)

    def authorities(self, directory: Path) -> tuple[Path, ...]:
        """Certificates of those who vouch for it."""
        names = (self.ca,) if isinstance(self.ca, str) else self.ca
        return tuple(directory / name for name in names)

    def clients(self, directory: Path) -> tuple[tuple[Path, Path], ...]:
        """Our certificates there, each with its key; both may be in one file."""
        entries = (self.client,) if isinstance(self.client, str) else self.client
        pairs = [(each, each) if isinstance(each, str) else (each[0], each[1] or each[0]) for each in entries]
        return tuple((directory / certificate, directory / key) for certificate, key in pairs)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What is said with every request."""
        return tuple(
            (name, text if isinstance(text, str) else ", ".join(text)) for name, text in self.header.items()
        )


class HostsFile(Host, frozen=True, forbid_unknown_fields=True):
    """Places to ask in this order, and last the registry itself (`server`, if it is not the name's own)."""

    server: str = ""
    host: dict[str, Host] = msgspec.field(default_factory=dict)


def hosts_file(domain: str, certs_dir: str) -> tuple[HostsFile, Path] | None:
    """The file for a registry, and the directory it is in. Raises System if it cannot be used."""
    host, colon, port = domain.rpartition(":")
    names = [domain, f"{host}_{port}_", "_default"] if colon else [domain, "_default"]
    for name in names:
        directory = Path(certs_dir) / name
        try:
            data = (directory / "hosts.toml").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise System(f"open {directory}/hosts.toml: {error.strerror}") from error
        try:
            return msgspec.toml.decode(data, type=HostsFile), directory
        except (msgspec.MsgspecError, ValueError) as error:
            raise System(f"failed to parse {directory}/hosts.toml: {error}") from error
    return None
