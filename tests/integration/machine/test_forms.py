"""Every form that a machine boots from, in qemu, to a service that answers over HTTP."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moby.machine.runners.boot import efi_firmware
from tests.integration.machine.machines import Built, answers, free_ports, machine, until

BOOTED = {
    "kernel+initrd": "minimal",
    "kernel+squashfs": "minimal-squashfs.img",
    "kernel+erofs": "minimal-erofs.img",
    "kernel+iso": "minimal-iso.img",
    "iso-bios": "minimal.iso",
    "iso-efi": "minimal-efi.iso",
    "iso-efi-initrd": "minimal-efi-initrd.iso",
    "raw-bios": "minimal-bios.img",
    "raw-efi": "minimal-efi.img",
    "qcow2-bios": "minimal.qcow2",
    "qcow2-efi": "minimal-efi.qcow2",
}
# The machine that runs these has two processors.
AT_ONCE = 2
_LIMIT_S = 400

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
]


def test_every_form_boots_to_a_service_that_answers(minimal: Built, tmp_path: Path) -> None:
    efi_firmware()
    ports = dict(zip(BOOTED, free_ports(len(BOOTED)), strict=True))

    def boots(form: str) -> None:
        name = form.replace("+", "-")
        given = ["--memory", "512", "--publish", f"{ports[form]}:80", str(minimal.folder / BOOTED[form])]
        with machine(tmp_path / "state", name, *given) as console:
            until(lambda: answers(ports[form], "built by moby"), _LIMIT_S, console)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(boots, form) for form in BOOTED]:
            done.result()
