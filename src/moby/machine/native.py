"""This file is about native programs that a build uses, and the Debian packages that have them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from moby.core.errors import NotFound, System
from moby.host.process import run

PACKAGES = {
    "apt-get": "apt",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "fakeroot": "fakeroot",
    "grub-mkimage": "grub-common",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "mkfs.erofs": "erofs-utils",
    "mkfs.vfat": "dosfstools",
    "ssh": "openssh-client",
    "mksquashfs": "squashfs-tools",
    "mmd": "mtools",
    "openssl": "openssl",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-img": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-x86_64-static": "qemu-user-static",
    "sfdisk": "fdisk",
    "xorriso": "xorriso",
}
# An ordinary user's PATH often lacks these.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
# Words and dates of programs must not depend on who calls them.
_FIXED = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}


def program(name: str) -> str:
    """The path of a native program. Raises NotFound, naming the Debian package that has it."""
    path = f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}"
    found = shutil.which(name, path=path)
    if found is None:
        raise NotFound(f"{name} is not installed", hint=f"apt-get install {PACKAGES.get(name, name)}")
    return found


async def native(
    name: str,
    *arguments: str | Path,
    stdin: bytes | Path | None = None,
    limit_s: float = 1800,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> bytes:
    """What a native program prints. Raises NotFound, and System with its last words if it fails."""
    argv = [program(name), *(str(argument) for argument in arguments)]
    result = await run(
        argv, stdin=stdin, limit_s=limit_s, env={**os.environ, **_FIXED, **(env or {})}, cwd=cwd
    )
    if result.code != 0:
        words = (result.err or result.out).decode(errors="replace").strip().splitlines()
        raise System(f"{name}: {words[-1] if words else f'exit code {result.code}'}")
    return result.out
