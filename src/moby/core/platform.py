"""This file is about platforms: `linux/arm64/v8` and which one of several fits a host."""

from __future__ import annotations

import os
import sys

import msgspec

from moby.core.errors import InvalidParameter

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
}
# The names that can stand alone (Go's GOARCH and GOOS, as containerd/platforms knows them).
_KNOWN = frozenset({
    "386", "amd64", "arm", "arm64", "arm64be", "armbe", "loong64", "mips", "mips64", "mips64le", "mipsle",
    "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm",
})  # fmt: skip


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """An operating system and a processor (OCI image spec, image-index.md, `platform`)."""

    architecture: str
    os: str
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def fits(self, wanted: Platform) -> bool:
        """Can what is built for this platform be taken where `wanted` is asked for?"""
        if (self.os, self.architecture) != (wanted.os, wanted.architecture):
            return False
        default = {"arm64": "v8", "amd64": "v1", "arm": "v7"}.get(self.architecture, "")
        mine, asked = self.variant or default, wanted.variant or default
        return mine == asked or (
            mine[1:].isdigit() and asked[1:].isdigit() and int(mine[1:]) <= int(asked[1:])
        )


def parse_platform(text: str) -> Platform:
    """`os/arch[/variant]`, `os` or `arch`, in any of the usual spellings. Raises InvalidParameter."""
    parts = text.strip().lower().split("/")
    if (
        not text
        or len(parts) > 3
        or not all(part and part.replace("_", "").replace("-", "").isalnum() for part in parts)
    ):
        raise InvalidParameter(f'"{text}": unknown operating system or architecture: invalid argument')
    host = host_platform()
    if len(parts) == 1:
        if parts[0] in ("linux", "windows", "darwin", "freebsd"):
            return Platform(host.architecture, parts[0], variant=host.variant)
        if parts[0] not in _ARCHITECTURES and parts[0] not in _KNOWN:
            raise InvalidParameter(f'"{text}": unknown operating system or architecture: invalid argument')
        parts.insert(0, host.os)
    architecture, variant = _ARCHITECTURES.get(parts[1], (parts[1], ""))
    if len(parts) == 3:
        variant = parts[2]
    if (architecture, variant) in (("arm64", "v8"), ("amd64", "v1")):
        variant = ""
    return Platform(architecture, parts[0], variant=variant)


def host_platform() -> Platform:
    """The platform that this process runs on."""
    machine = os.uname().machine
    architecture, variant = _ARCHITECTURES.get(machine, (machine, ""))
    return Platform(architecture, sys.platform, variant=variant)
