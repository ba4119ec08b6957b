"""The order of a machine's life. Packages come from a Debian mirror, and are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moby.cli.moby import run

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
]


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
        "checks:\n - {console: '^one$', within: 600}\n - {console: 'kept and two', within: 600}\n"
        " - {console: 'onboot 002-fails failed with status 7', within: 600}\n"
        " - {console: 'last words', within: 600}\n - {powers_off: true, within: 600}\n"
    )
    console = tmp_path / "console"
    status = run(["test", str(tmp_path / "off.yml"), "--accel", "tcg", "--console", str(console)])
    shown = console.read_text(errors="replace")[-3000:] if console.exists() else ""
    assert status == 0, capsys.readouterr().err + shown
