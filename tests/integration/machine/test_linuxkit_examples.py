"""Assemblies as people write them for LinuxKit, with its images and its keys: built by a map, and booted."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moby.cli.moby import run
from tests.integration.machine.machines import moby

HERE = Path(__file__).parent / "linuxkit"
MAPS = ("--map", "linuxkit", "--map", str(HERE / "hub.yml"))

pytestmark = [
    pytest.mark.boots,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machines are run on x86-64"),
]


def test_assemblies_for_linuxkit_come_up(tmp_path: Path) -> None:
    (tmp_path / "user").write_text(
        '{"ssh": {"entries": {"authorized_keys": {"content": "ssh-ed25519 AAAA own-key"}}}}'
    )
    data = tmp_path / "data.img"
    assert run(["metadata", "create", str(data), "--file", str(tmp_path / "user")]) == 0
    # What asks for /dev/sda has it.
    disks = [f"{tmp_path / name}.img,size=48M,bus=scsi" for name in ("secret", "other")]
    given = {
        "web.yml": [],
        "net.yml": [],
        "disks.yml": [word for disk in (*disks, str(data)) for word in ("--disk", disk)],
    }

    def comes_up(name: str) -> str:
        console = tmp_path / f"{name}.console"
        try:
            return moby(
                "test", *MAPS, "--accel", "tcg", "--console", str(console), *given[name], str(HERE / name)
            )
        except AssertionError as error:
            shown = console.read_text(errors="replace")[-3000:] if console.exists() else ""
            raise AssertionError(f"{name}: {error}\n{shown}") from error

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(comes_up, given))
    assert [each.split(": ")[1] for each in said] == [
        "8 checks passed\n",
        "4 checks passed\n",
        "5 checks passed\n",
    ]
