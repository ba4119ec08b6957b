"""Folders of the host in a machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moby.cli.moby import run
from moby.core.errors import NotFound
from moby.machine.runners.hardware import Share
from moby.machine.runners.qemu import servers
from tests.integration.machine.machines import answers, free_ports, machine, until

ASSEMBLY = """
kernel: {image: moby/kernel, cmdline: console=ttyS0}
init: [moby/init, moby/crun]
onboot:
  - {name: dhcp, image: moby/dhcp}
services:
  - name: http
    image: moby/http
    binds: ["/var/shared:/www"]
    readonly: false
    command: [sh, -c, "echo written by the machine > /www/written; exec httpd -f -p 80 -h /www"]
    runtime: {mounts: [{type: virtiofs, source: own, destination: /var/shared}]}
"""
_LIMIT_S = 400

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
]


def test_a_machine_serves_what_is_in_a_folder_of_the_host(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    try:
        servers([Share(shared, "own")], tmp_path)
    except NotFound as error:
        pytest.skip(error.message)
    (shared / "index.html").write_text("shared by the host")
    (tmp_path / "m.yml").write_text(ASSEMBLY)
    assert run(["build", str(tmp_path / "m.yml"), "-q", "--no-sbom", "-o", str(tmp_path)]) == 0
    [port] = free_ports(1)
    given = ["--memory", "512", "-p", f"{port}:80", "--share", f"{shared}:own", str(tmp_path / "m")]
    with machine(tmp_path / "state", "shares", *given) as console:
        until(lambda: answers(port, "shared by the host"), _LIMIT_S, console)
        assert (shared / "written").read_text() == "written by the machine\n"
