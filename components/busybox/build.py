"""Builds the busybox image from Debian's static busybox, as a reproducible docker archive."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

NAME = "busybox:latest"
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

DIRECTORIES = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o755, "root": 0o700, "sys": 0o755,
    "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "var": 0o755, "var/spool": 0o755, "var/tmp": 0o1777,
}  # fmt: skip

FILES = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "www-data:x:33:33:www-data:/var/www:/bin/false\n"
        "nobody:x:65534:65534:nobody:/home:/bin/false\n"
    ),
    "etc/group": "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/hostname": "busybox\n",
}


def find_busybox() -> Path:
    """The static busybox of this machine; Debian's package busybox-static puts it at one of two places."""
    for candidate in (Path("/bin/busybox"), Path("/usr/bin/busybox")):
        if candidate.exists():
            return candidate
    raise SystemExit("There is no /bin/busybox: install the package busybox-static.")


def entry(
    name: str, mode: int, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = ""
) -> tarfile.TarInfo:
    """A tar header owned by root and dated at the epoch: the archive depends on its contents alone."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, size, link, EPOCH
    info.uname = info.gname = "root"
    return info


def layer(busybox: Path) -> bytes:
    """The root file system: busybox, a hard link an applet, and the few files that programs look for."""
    program = busybox.read_bytes()
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode in DIRECTORIES.items():
            tar.addfile(entry(name, mode, tarfile.DIRTYPE))
        tar.addfile(entry("bin/busybox", 0o755, size=len(program)), io.BytesIO(program))
        for applet in sorted(set(applets) - {"busybox"}):
            tar.addfile(entry(f"bin/{applet}", 0o755, tarfile.LNKTYPE, link="bin/busybox"))
        tar.addfile(entry("usr/bin/env", 0o777, tarfile.SYMTYPE, link="../../bin/env"))
        for name, text in FILES.items():
            tar.addfile(entry(name, 0o644, size=len(text)), io.BytesIO(text.encode()))
    return out.getvalue()


def image_config(diff_id: str) -> bytes:
    """The image's configuration: what runs by default, and the digest of its one layer."""
    machine = platform.machine()
    config = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "config": {
            "Cmd": ["sh"],
            "Env": [f"PATH={PATH}"],
        },
        "created": "1970-01-01T00:00:00Z",
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "components/busybox"}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    return json.dumps(config, sort_keys=True).encode()


def build(target: Path, name: str = NAME) -> None:
    """Writes the image to `target` in the form that `docker load` reads; whole or not at all."""
    rootfs = layer(find_busybox())
    digest = hashlib.sha256(rootfs).hexdigest()
    config = image_config(f"sha256:{digest}")
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    unfinished = target.with_name(target.name + ".unfinished")
    with tarfile.open(unfinished, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(entry(digest, 0o755, tarfile.DIRTYPE))
        for path, data in (
            (f"{digest}/layer.tar", rootfs),
            (config_name, config),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            tar.addfile(entry(path, 0o644, size=len(data)), io.BytesIO(data))
    unfinished.replace(target)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit("usage: build.py ARCHIVE.tar")
    build(Path(sys.argv[1]))
