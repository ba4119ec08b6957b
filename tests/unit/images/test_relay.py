"""Work in two steps, in one thread or in two."""

from __future__ import annotations

import threading

import pytest

from moby.images import relay
from moby.images.relay import Relay


@pytest.fixture(params=[0, 4], ids=["busy", "idle"])
def processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(relay._TURNS, "_processors", request.param)
    return int(request.param)


def test_pieces_are_used_in_order(processors: int) -> None:
    used: list[bytes] = []
    threads = set()

    def use(piece: bytes) -> None:
        used.append(piece[:1])
        threads.add(threading.current_thread())

    found = Relay(use)
    for turn in range(3):
        with found.turn():
            for number in range(4):
                found.put(bytes([turn * 4 + number]) * 300_000)
    found.join()
    found.put(b"x")
    assert used == [*(bytes([number]) for number in range(12)), b"x"]
    assert (len(threads) > 1) == (processors > 0)


def test_what_goes_wrong_is_told(processors: int) -> None:
    def use(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    found = Relay(use)

    def work() -> None:
        with found.turn():
            found.put(b"one")
        found.join()

    with pytest.raises(OSError, match="No space"):
        work()
    found.close()


def test_closing_waits_for_what_is_in_use(processors: int) -> None:
    going, used = threading.Event(), []

    def use(piece: bytes) -> None:
        going.wait(10)
        used.append(piece)

    found = Relay(use)
    if not processors:
        going.set()
    with found.turn():
        found.put(b"one")
    going.set()
    found.close()
    assert used == [b"one"]
