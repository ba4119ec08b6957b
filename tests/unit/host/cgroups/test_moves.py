"""The kernel is made ready for a move by one that changes nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from moby.host.cgroups import Moves


@pytest.mark.parametrize(
    ("own", "place"),
    [
        ("0::/system/mobyd\n", "system/mobyd"),
        ("5:cpu,cpuacct:/box\n1:name=systemd:/init\n0::/both\n", "unified/both"),
        ("5:cpu,cpuacct:/box\n1:name=systemd:/init\n", "cpu,cpuacct/box"),
        ("5:cpuset:/elsewhere\n1:name=systemd:/init\n", "systemd/init"),
    ],
    ids=["v2", "hybrid", "v1", "v1-not-mounted"],
)
async def test_it_stays_where_it_is(tmp_path: Path, own: str, place: str) -> None:
    listed = tmp_path / place / "cgroup.procs"
    listed.parent.mkdir(parents=True)
    listed.touch()
    (tmp_path / "own").write_text(own)
    Moves(tmp_path, tmp_path / "own").expect()
    async with asyncio.timeout(5):
        while listed.read_text() != str(os.getpid()):
            await asyncio.sleep(0.01)


async def test_where_there_are_no_control_groups_nothing_happens(tmp_path: Path) -> None:
    moves = Moves(tmp_path, tmp_path / "own")
    for _ in range(3):
        moves.expect()
        await asyncio.sleep(0.01)
    assert list(tmp_path.iterdir()) == []
