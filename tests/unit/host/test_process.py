"""Programs that are run to their end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moby.core.errors import NotFound, System
from moby.host.process import check, run


async def test_a_program_runs_to_its_end() -> None:
    result = await run(["sh", "-c", "cat; echo wrong >&2; exit 3"], stdin=b"said")
    assert (result.code, result.out, result.err) == (3, b"said", b"wrong\n")


async def test_environment_and_directory_are_the_ones_given(tmp_path: Path) -> None:
    result = await run(["/bin/sh", "-c", "echo $A; pwd"], env={"A": "b"}, cwd=tmp_path)
    assert result.out.decode().split() == ["b", str(tmp_path.resolve())]


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(NotFound, match="no such program"):
        await run(["moby-no-such-program"])


async def test_a_program_that_may_not_run(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nothing")
    with pytest.raises(System, match=r"cannot run .*permission denied"):
        await run([str(tmp_path / "x")])


async def test_a_program_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(System, match=r"did not end within 0\.2 s"):
        await run(["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"], limit_s=0.2)
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


async def test_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(["sh", "-c", f"echo $$ > {pid}; exec sleep 60"]))
        while not (pid.exists() and pid.read_text().strip()):
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert not Path("/proc", pid.read_text().strip()).exists()


async def test_check_raises_with_the_last_words() -> None:
    assert await check(["echo", "fine"]) == b"fine\n"
    with pytest.raises(System, match="sh: second"):
        await check(["sh", "-c", "echo first >&2; echo second >&2; exit 1"])
    with pytest.raises(System, match="sh: exit code 4"):
        await check(["sh", "-c", "exit 4"])
