"""A machine for another processor: components of Debian's packages for it, which are read and never run here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from moby.cli.moby import run
from tests.integration.machine.machines import answers, free_ports, machine, until

ASSEMBLIES = Path(__file__).resolve().parents[3] / "assemblies"
_LIMIT_S = 600

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(shutil.which("qemu-system-aarch64") is None, reason="needs qemu-system-arm"),
]


def test_the_minimal_machine_for_arm64_answers(tmp_path: Path) -> None:
    words = ["build", str(ASSEMBLIES / "minimal.yml"), "-q", "--no-sbom", "-o", str(tmp_path)]
    assert run([*words, "--arch", "arm64"]) == 0
    [port] = free_ports(1)
    given = ["--platform", "linux/arm64", "--memory", "768", "-p", f"{port}:80", str(tmp_path / "minimal")]
    with machine(tmp_path / "state", "arm64", *given) as console:
        until(lambda: answers(port, "built by moby"), _LIMIT_S, console)
        until(lambda: "moby: up" in console(), _LIMIT_S, console)
