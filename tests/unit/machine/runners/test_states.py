"""Machines that run by themselves, on a program that stands for qemu."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moby.core.errors import Conflict, InvalidParameter, NotFound, System
from moby.machine.runners import states
from moby.machine.runners.states import Machine, State, default_states, described, every

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture
async def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[State]:
    monkeypatch.setattr(states, "_BUTTON_S", 0.1)
    # Longer than the name of a socket may be.
    found = State(tmp_path / ("long" * 30), "web")
    yield found
    if found.folder.exists() and (found.folder / "machine.json").exists():
        await found.stop(0)


def saved(state: State, *words: str) -> None:
    state.folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, str(STAND_IN), "qmp", *words]
    # Its own path would be too long for the stand-in.
    state.save(
        Machine(
            ["sh", "-c", 'cd "$0" && exec "$@"', str(state.folder), *argv], source="web.yml", ports=["80"]
        )
    )


async def test_a_machine_is_started_stopped_and_started_again(state: State) -> None:
    saved(state, "slow")
    await state.start()
    assert await described(state) == ("web", "running", "web.yml", "80")
    pid = await state.pid()
    assert pid > 1
    with pytest.raises(Conflict, match="runs already"):
        await state.start()
    with pytest.raises(Conflict, match="the machine web runs"):
        await state.remove()
    assert await state.stop(30)
    assert await state.pid() == 0
    assert (await described(state))[1] == "stopped"
    assert await state.stop(30)
    await state.start()
    assert await state.pid() not in (0, pid)


async def test_one_that_does_not_shut_down_is_ended(state: State) -> None:
    saved(state, "stubborn")
    await state.start()
    assert not await state.stop(0.3)
    assert await state.pid() == 0
    await state.remove()
    assert not state.folder.exists()


async def test_one_that_does_not_answer_still_runs_and_is_ended(state: State) -> None:
    saved(state, "silent")
    await state.start()
    with pytest.raises(Conflict, match="the machine web runs"):
        await state.remove()
    assert not await state.stop(0)
    assert await state.pid() == 0


async def test_one_that_cannot_start_says_why(state: State) -> None:
    saved(state, "broken")
    with pytest.raises(System, match=r"^qemu: -drive file=x: no such disk$"):
        await state.start()


async def test_nobody_else_is_at_it_meanwhile(state: State) -> None:
    other = State(state.folder.parent, "web")
    with state.locked(), pytest.raises(Conflict, match="somebody else"), other.locked():
        pass
    with state.locked():
        pass


async def test_names_and_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("", "../x", "a/b", "-x", "."):
        with pytest.raises(InvalidParameter):
            State(tmp_path, wrong)
    with pytest.raises(NotFound, match="there is no machine gone"):
        await State(tmp_path, "gone").start()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "machine.json").write_text("{")
    [odd] = every(tmp_path)
    assert (await described(odd))[1] == "broken"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_states() == Path("/state/moby/machines")
