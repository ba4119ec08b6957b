"""This file is about undo beside do: a stack of steps that run in reverse when a block fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

log = logging.getLogger(__name__)

STEP_LIMIT_S = 10.0


class Undo:
    """Runs the pushed steps in reverse if the block does not reach `keep()`; nothing otherwise.

    Steps run shielded from the cancellation that caused them, each within `limit_s`; a step that fails is
    logged and the next one runs. The exception that ended the block goes on to the caller.
    """

    def __init__(self, *, limit_s: float = STEP_LIMIT_S) -> None:
        self._limit_s = limit_s
        self._steps: list[tuple[Callable[..., Awaitable[object] | object], tuple[Any, ...]]] = []
        self._kept = False

    def push(self, step: Callable[..., Awaitable[object] | object], *args: Any) -> None:
        """Add a step; `step(*args)` may be a coroutine function or a plain one."""
        self._steps.append((step, args))

    def keep(self) -> None:
        """The block succeeded: nothing is undone."""
        self._kept = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept or not self._steps:
            return
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._run())
            cancelled: asyncio.CancelledError | None = None
            while not task.done():
                try:
                    await asyncio.shield(task)
                except asyncio.CancelledError as again:
                    cancelled = again
        if cancelled is not None and error is None:
            raise cancelled

    async def _run(self) -> None:
        while self._steps:
            step, args = self._steps.pop()
            try:
                async with asyncio.timeout(self._limit_s):
                    result = step(*args)
                    if isinstance(result, Awaitable):
                        await result
            except Exception:
                log.exception("undo step failed", extra={"step": getattr(step, "__qualname__", repr(step))})
