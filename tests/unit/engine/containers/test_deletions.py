from __future__ import annotations

import asyncio
from typing import cast

from moby.core.errors import Unavailable
from moby.core.runtime import Runtime
from moby.engine.containers.deletions import Deletions


class Tasks:
    """A runtime that deletes when it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.asked: list[str] = []
        self.deleted: list[str] = []

    async def delete(self, task: str) -> None:
        """See `Runtime.delete`."""
        self.asked.append(task)
        await self.let.wait()
        if task == "stubborn":
            raise Unavailable("no answer")
        self.deleted.append(task)


async def test_they_are_deleted_while_nobody_waits() -> None:
    tasks = Tasks()
    deletions = Deletions(cast("Runtime", tasks))
    running = asyncio.create_task(deletions.run())
    first, again, stubborn = deletions.add("a"), deletions.add("a"), deletions.add("stubborn")
    assert again is first
    assert "a" in deletions
    tasks.let.set()
    await first.wait()
    await stubborn.wait()
    assert tasks.deleted == ["a"]
    assert "a" not in deletions
    assert "stubborn" not in deletions
    running.cancel()


async def test_the_end_leaves_nothing_undone() -> None:
    tasks = Tasks()
    deletions = Deletions(cast("Runtime", tasks))
    running = asyncio.create_task(deletions.run())
    begun = deletions.add("begun")
    while not tasks.asked:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    late = deletions.add("late")
    tasks.let.set()
    await deletions.finish()
    assert sorted(tasks.deleted) == ["begun", "late"]
    assert begun.is_set()
    assert late.is_set()
