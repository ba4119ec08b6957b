from __future__ import annotations

import os

import pytest

from moby.monitor.loop import IN, Later, Loop, begin


def test_steps_go_on_when_what_they_wait_for_has_come() -> None:
    first: Later[int] = Later()
    second: Later[int] = Later()

    async def steps() -> int:
        return await first + await second

    outcome = begin(steps())
    second.give(2)
    assert not outcome.done
    first.give(1)
    first.give(7)
    assert outcome.result() == 3


def test_what_goes_wrong_reaches_whoever_waits() -> None:
    awaited: Later[int] = Later()

    async def inner() -> int:
        return await awaited

    async def outer() -> str:
        try:
            await inner()
        except LookupError as error:
            return str(error)
        return ""

    outcome, failed = begin(outer()), begin(inner())
    awaited.fail(LookupError("gone"))
    assert outcome.result() == "gone"
    with pytest.raises(LookupError):
        failed.result()


def test_the_loop_calls_who_waits_there_until_it_is_forgotten() -> None:
    loop, heard = Loop(), []
    reader, writer = os.pipe()
    try:
        loop.watch(reader, IN, lambda _: heard.append(os.read(reader, 10)))
        loop.after(0, lambda: heard.append(b"moment"))
        os.write(writer, b"data")
        loop.turn()
        assert sorted(heard) == [b"data", b"moment"]
        loop.forget(reader)
        loop.forget(reader)
        os.write(writer, b"more")
        loop.after(0, lambda: setattr(loop, "over", True))
        loop.run()
        assert sorted(heard) == [b"data", b"moment"]
    finally:
        os.close(reader)
        os.close(writer)
