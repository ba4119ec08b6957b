"""This file is about running a machine here and now: what serves it, and qemu on this terminal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from moby.host.process import running


async def serve(argv: Sequence[str], servers: Sequence[Sequence[str]], folder: Path) -> int:
    """qemu's exit status, when it has ended. Raises NotFound. Cancellation: all is ended."""
    async with AsyncExitStack() as stack:
        for number, each in enumerate(servers):
            await stack.enter_async_context(running(each, output=folder / f"server{number}.log"))
        machine = await stack.enter_async_context(running(argv))
        return await machine.wait()
