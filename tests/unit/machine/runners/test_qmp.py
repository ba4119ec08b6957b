"""Talking to a running qemu, or to what stands for it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from moby.core.errors import System, Unavailable
from moby.host.process import running
from moby.machine.runners.qmp import owner, talking

STAND_IN = Path(__file__).with_name("stand_in.py")


async def test_questions_are_answered_between_events(tmp_path: Path) -> None:
    async with running([sys.executable, str(STAND_IN), str(tmp_path / "qmp")], output=tmp_path / "log"):
        async with asyncio.timeout(30):
            while not owner(tmp_path):
                await asyncio.sleep(0.01)
        async with talking(tmp_path) as qemu:
            assert await qemu.execute("query-status") == {}
            with pytest.raises(System, match="qemu: no nonsense"):
                await qemu.execute("nonsense")
            assert qemu.pid > 1


async def test_nobody_is_there(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        assert owner(folder) == 0
        with pytest.raises(Unavailable, match="does not run"):
            async with talking(folder):
                pass
