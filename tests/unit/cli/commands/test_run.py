"""What runs a machine is ended in order."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from moby.cli.commands.run import interruptible


def test_sigterm_ends_work_as_an_interrupt_does() -> None:
    ended = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(interruptible(work()))
    assert ended == [True]
    assert asyncio.run(interruptible(asyncio.sleep(0, "result"))) == "result"
