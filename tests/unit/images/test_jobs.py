"""Long work that several listen to."""

from __future__ import annotations

import asyncio

import pytest

from moby.core.errors import NotFound, System
from moby.images.jobs import Jobs, Report


async def test_listeners_share_one_run_and_latecomers_hear_what_was() -> None:
    runs = 0
    gate = asyncio.Event()

    async def work(report: Report) -> None:
        nonlocal runs
        runs += 1
        report.status("begin")
        report.progress("a", "Downloading", 1, 2)
        report.progress("a", "Downloading", 2, 2)
        await gate.wait()
        report.step("a", "Done")

    async with Jobs() as jobs:
        first = jobs.listen(work, "key")
        assert (await anext(first)).status == "begin"
        late = jobs.listen(work, "key")
        assert (await anext(late)).status == "begin"
        found = await anext(late)
        assert found.progress_detail is not None
        assert found.progress_detail.current == 2
        gate.set()
        assert [message.status async for message in late] == ["Done"]
        assert [message.status async for message in first] == ["Downloading", "Done"]
    assert runs == 1


async def test_error_reaches_every_listener_out_of_its_group() -> None:
    async def work(report: Report) -> None:
        report.status("begin")
        raise ExceptionGroup("", [ValueError("other"), ExceptionGroup("", [NotFound("gone")])])

    async with Jobs() as jobs:
        listener = jobs.listen(work)
        assert (await anext(listener)).status == "begin"
        with pytest.raises(NotFound, match="gone"):
            await anext(listener)


async def test_unexpected_error_is_ours() -> None:
    async def work(report: Report) -> None:
        raise ValueError("oops")

    async with Jobs() as jobs:
        with pytest.raises(System, match="oops"):
            await anext(jobs.listen(work))


async def test_last_listener_that_leaves_ends_the_work() -> None:
    ended = False

    async def work(report: Report) -> None:
        nonlocal ended
        report.status("begin")
        try:
            await asyncio.Event().wait()
        finally:
            ended = True

    async with Jobs() as jobs:
        first, second = jobs.listen(work, 1), jobs.listen(work, 1)
        await anext(first)
        await anext(second)
        await first.aclose()  # type: ignore[attr-defined]
        assert not ended
        await second.aclose()  # type: ignore[attr-defined]
        assert ended


async def test_end_of_the_engine_ends_the_work() -> None:
    async def work(report: Report) -> None:
        report.status("begin")
        await asyncio.Event().wait()

    async with Jobs() as jobs:
        listener = jobs.listen(work)
        await anext(listener)
    with pytest.raises(System, match="context canceled"):
        await anext(listener)
