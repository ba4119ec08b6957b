"""This file is about how processors are had: KVM where it really works, else emulation."""

from __future__ import annotations

import os
from pathlib import Path

from moby.core.errors import MobyError
from moby.core.platform import Platform, host_platform
from moby.host.process import run
from moby.machine.job import scratch_folder
from moby.machine.native import program

PROBE_LIMIT_S = 5.0
# Sixteen-bit code that writes 0x10 to the port of isa-debug-exit: qemu then exits with (0x10 << 1) | 1.
_PROBE_CODE = bytes.fromhex("baf400b010eef4ebfd")
_PROBE_EXIT = 33


async def choose_accel(wanted: str, platform: Platform) -> str:
    """`kvm` or `tcg`; `auto` tries. A KVM that is there may still hang: it has to boot something first."""
    if wanted != "auto":
        return wanted
    if platform.architecture != host_platform().architecture or platform.architecture != "amd64":
        return "tcg"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    return "kvm" if await _kvm_boots() else "tcg"


async def _kvm_boots() -> bool:
    with scratch_folder(Path(os.environ.get("TMPDIR") or "/var/tmp")) as scratch:  # noqa: S108
        image = scratch / "probe.img"
        image.write_bytes(_PROBE_CODE.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        argv = [
            program("qemu-system-x86_64"),
            "-machine", "q35,accel=kvm",
            "-cpu", "host",
            "-m", "32",
            "-nodefaults",
            "-display", "none",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
            "-drive", f"file={image},format=raw,if=ide",
        ]  # fmt: skip
        try:
            return (await run(argv, limit_s=PROBE_LIMIT_S)).code == _PROBE_EXIT
        except MobyError:
            return False
