"""Machines of real components, booted in qemu. Packages come from a Debian mirror, and are kept between runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from moby.cli.moby import run

ASSEMBLIES = Path(__file__).resolve().parents[3] / "assemblies"

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
]


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_minimal_machine_answers_over_http(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = tmp_path / "console"
    status = run(["test", str(ASSEMBLIES / "minimal.yml"), "--accel", "tcg", "--console", str(console)])
    shown = console.read_text(errors="replace")[-3000:] if console.exists() else ""
    assert status == 0, capsys.readouterr().err + shown
    assert "minimal.yml: 2 checks passed" in capsys.readouterr().out


def test_a_machine_goes_down_in_order_and_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "off.yml").write_text(
        "kernel: {image: moby/kernel, cmdline: console=ttyS0}\n"
        "init: [moby/init, moby/crun]\n"
        "onboot:\n"
        " - {name: first, image: moby/http, command: [sh, -c, 'echo one; echo kept > /www/x'], binds: ['data:/www'],"
        " runtime: {mkdir: [/run/made]}}\n"
        " - {name: second, image: moby/http, command: [sh, -c, 'read x < /www/x; echo $x and two'], binds: ['data:/www'],"
        " runtime: {bindNS: {net: /run/netns/own}}, net: new}\n"
        " - {name: fails, image: moby/http, command: [sh, -c, 'exit 7'], readonly: false}\n"
        "onshutdown: [{name: last, image: moby/http, command: [sh, -c, 'echo last words']}]\n"
        "services: [{name: bye, image: moby/poweroff, command: [/bin/sh, -c, 'sleep 1; poweroff']}]\n"
        "volumes: [{name: data}]\n"
        "checks:\n - {console: '^one$'}\n - {console: 'kept and two'}\n - {console: 'onboot 002-fails failed with status 7'}\n"
        " - {console: 'last words'}\n - {powers_off: true}\n"
    )
    console = tmp_path / "console"
    status = run(["test", str(tmp_path / "off.yml"), "--accel", "tcg", "--console", str(console)])
    shown = console.read_text(errors="replace")[-3000:] if console.exists() else ""
    assert status == 0, capsys.readouterr().err + shown


def test_a_machine_is_the_same_bytes_wherever_and_whenever_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    found = []
    for name, umask, zone in (("one", 0o022, "UTC"), ("two", 0o077, "Asia/Tokyo")):
        (tmp_path / name).mkdir()
        assembly = tmp_path / name / "machine.yml"
        assembly.write_text((ASSEMBLIES / "minimal.yml").read_text())
        monkeypatch.setenv("TZ", zone)
        before = os.umask(umask)
        try:
            target = tmp_path / f"out-{name}"
            assert (
                run(["build", str(assembly), "-q", "-f", "tar", "-f", "kernel+initrd", "-o", str(target)])
                == 0
            )
        finally:
            os.umask(before)
        found.append(sums(target))
    assert found[0] == found[1]
    assert len(found[0]) == 7
