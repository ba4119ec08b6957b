"""Delivery in a thread of its own: order, waiting, dropping, a destination that fails or hangs."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator

import pytest

from moby.core.logs import LogWriter, Stream
from moby.logs import delivery
from moby.logs.delivery import Delivery, Pieces, delivered

NOW = 1_700_000_000_000_000_000


class Gate(LogWriter):
    """A destination that takes nothing until it is opened."""

    def __init__(self, *, fails: bool = False) -> None:
        self.opened = threading.Event()
        self.asked = threading.Event()
        self.got: list[tuple[Stream, bytes, int]] = []
        self.fails = fails
        self.closed = False

    def write(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """Wait, then take."""
        self.asked.set()
        self.opened.wait(60)
        if self.fails and data.startswith(b"bad"):
            raise OSError("it is gone")
        self.got.append((stream, data, time_ns))

    def flush(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """No more."""
        self.closed = True

    @property
    def text(self) -> bytes:
        """All that it took."""
        return b"".join(data for _, data, _ in self.got)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """One that is opened in the end, so that no thread stays."""
    made = Gate()
    yield made
    made.opened.set()


def test_all_arrives_in_order_with_its_time(gate: Gate) -> None:
    gate.opened.set()
    log = delivered(gate, {})
    for number in range(1000):
        log.write("stdout" if number % 2 else "stderr", b"%d\n" % number, NOW + number)
    log.close()
    assert gate.got == [
        ("stdout" if number % 2 else "stderr", b"%d\n" % number, NOW + number) for number in range(1000)
    ]
    assert gate.closed


def test_a_full_one_asks_to_wait_and_says_when_there_is_room(gate: Gate) -> None:
    log = Delivery(gate, 10, dropping=False)
    log.write("stdout", b"first\n", NOW)
    gate.asked.wait(60)
    log.write("stdout", b"0123456789\n", NOW)
    assert log.full
    assert select.select([log.descriptor], [], [], 0)[0] == []
    gate.opened.set()
    assert select.select([log.descriptor], [], [], 60)[0] == [log.descriptor]
    log.room()
    log.close()
    assert gate.text == b"first\n0123456789\n"


def test_without_blocking_new_lines_are_dropped_whole(gate: Gate) -> None:
    log = delivered(gate, {"mode": "non-blocking", "max-buffer-size": "100"})
    log.write("stdout", b"first\n", NOW)
    gate.asked.wait(60)
    for number in range(100):
        log.write("stdout", b"line %d\nhalf" % number, NOW)
        assert not log.full
    gate.opened.set()
    log.close()
    lines = gate.text.split(b"\n")
    assert lines[0] == b"first"
    assert lines[1:13] == [b"line 0"] + [b"halfline %d" % number for number in range(1, 9)] + lines[10:13]
    assert 10 < len(lines) < 20
    assert all(line.startswith((b"halfline ", b"half", b"line 0", b"first")) or not line for line in lines)


def test_a_buffer_of_nothing_still_passes_one_at_a_time(gate: Gate) -> None:
    log = delivered(gate, {"mode": "non-blocking", "max-buffer-size": "0"})
    log.write("stdout", b"a" * 50 + b"\n", NOW)
    gate.asked.wait(60)
    log.write("stdout", b"b\n", NOW)
    log.write("stdout", b"c\n", NOW)
    gate.opened.set()
    log.close()
    assert gate.text == b"a" * 50 + b"\nb\n"


def test_a_destination_that_fails_loses_what_failed_only(capfd: pytest.CaptureFixture[str]) -> None:
    gate = Gate(fails=True)
    gate.opened.set()
    log = delivered(gate, {})
    for data in (b"a\n", b"bad\n", b"bad\n", b"b\n"):
        log.write("stdout", data, NOW)
    log.close()
    assert gate.text == b"a\nb\n"
    assert capfd.readouterr().err.count("it is gone") == 1


def test_a_destination_that_hangs_does_not_hold_up_the_end(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_END_LIMIT_S", 0.01)
    log = delivered(gate, {})
    log.write("stdout", b"a\n", NOW)
    log.close()
    assert gate.got == []


@pytest.mark.parametrize("step", [1, 7, 1000, 20_000, 1_000_000])
def test_pieces_are_whole_lines_and_nothing_is_lost(step: int) -> None:
    data = b"short\n" * 5000 + b"x" * 50_000 + b"\n" + "€".encode() * 10_000 + b"\nend"
    pieces = Pieces()
    found: list[bytes] = []
    for start in range(0, len(data), step):
        found += pieces.feed("stdout", data[start : start + step])
    assert b"".join([*found, *(rest for _, rest in pieces.end())]) == data
    assert max(map(len, found)) <= 16384
    for piece in found:
        assert piece.endswith(b"\n") or len(piece) > 16380
        piece.decode()
