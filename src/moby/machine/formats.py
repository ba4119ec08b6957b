"""This file is about every form that a machine can be written in, on one page."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from moby.core.errors import InvalidParameter
from moby.machine.job import Job

Writer = Callable[[Job], Awaitable[list[Path]]]

DEFAULT = "kernel+initrd"
FORMATS: dict[str, str] = {
    "tar": "moby.machine.outputs.tar:write",
    "kernel+initrd": "moby.machine.outputs.kernel_initrd:write",
    "tar-kernel-initrd": "moby.machine.outputs.tar_kernel_initrd:write",
    "kernel+squashfs": "moby.machine.outputs.kernel_squashfs:write",
    "kernel+erofs": "moby.machine.outputs.kernel_erofs:write",
    "kernel+iso": "moby.machine.outputs.kernel_iso:write",
    "iso-bios": "moby.machine.outputs.iso:write_bios",
    "iso-efi": "moby.machine.outputs.iso:write_efi",
    "iso-efi-initrd": "moby.machine.outputs.iso:write_efi_initrd",
    "raw-bios": "moby.machine.outputs.raw:write_bios",
    "raw-efi": "moby.machine.outputs.raw:write_efi",
    "qcow2-bios": "moby.machine.outputs.qcow2:write_bios",
    "qcow2-efi": "moby.machine.outputs.qcow2:write_efi",
    "vmdk": "moby.machine.outputs.vmdk:write",
    "vhd": "moby.machine.outputs.vhd:write_fixed",
    "dynamic-vhd": "moby.machine.outputs.vhd:write_dynamic",
    "gcp": "moby.machine.outputs.gcp:write",
    "aws": "moby.machine.outputs.aws:write",
    "rpi3": "moby.machine.outputs.rpi3:write",
    "oci": "moby.machine.outputs.oci:write",
}


def check_format(name: str) -> None:
    """Raises InvalidParameter if there is no such form."""
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, 1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise InvalidParameter(f"no output format {name!r}{meant}", hint=f"known: {', '.join(FORMATS)}")


def writer(name: str) -> Writer:
    """What writes a form. Raises InvalidParameter."""
    check_format(name)
    module, _, attribute = FORMATS[name].partition(":")
    return cast("Writer", getattr(import_module(module), attribute))
