"""Every form that a machine boots from, in qemu, to a service that answers over HTTP."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moby.cli.moby import run
from moby.machine.runners.boot import efi_firmware
from tests.integration.machine.machines import answers, free_ports, machine, until

ASSEMBLIES = Path(__file__).resolve().parents[3] / "assemblies"
FORMS = {
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


def test_every_form_boots_to_a_service_that_answers(tmp_path: Path) -> None:
    efi_firmware()
    made, state = tmp_path / "made", tmp_path / "state"
    asked = [word for form in FORMS for word in ("-f", form)]
    assert run(["build", str(ASSEMBLIES / "minimal.yml"), "-q", "--no-sbom", "-o", str(made), *asked]) == 0
    ports = dict(zip(FORMS, free_ports(len(FORMS)), strict=True))

    def boots(form: str) -> None:
        name = form.replace("+", "-")
        given = ["--memory", "512", "--publish", f"{ports[form]}:80", str(made / FORMS[form])]
        with machine(state, name, *given) as console:
            until(lambda: answers(ports[form], "built by moby"), _LIMIT_S, console)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(boots, form) for form in FORMS]:
            done.result()
