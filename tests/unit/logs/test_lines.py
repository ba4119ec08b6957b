"""Output as messages: lines, long lines in parts, streams apart."""

from __future__ import annotations

import pytest

from moby.core.logs import Stream
from moby.logs.lines import LINE_LIMIT, Lines, LineWriter, Message

NOW = 1_700_000_000_000_000_000


def test_lines_of_both_streams_are_joined_apart() -> None:
    lines = Lines()
    assert lines.feed("stdout", b"a\nb", NOW) == [Message("stdout", b"a", NOW)]
    assert lines.feed("stderr", b"c", NOW + 1) == []
    assert lines.feed("stdout", b"d\n\n", NOW + 2) == [
        Message("stdout", b"bd", NOW + 2),
        Message("stdout", b"", NOW + 2),
    ]
    [end] = lines.end(NOW + 3)
    assert end[:3] == ("stderr", b"c", NOW + 3)
    assert end.partial is not None
    assert (end.partial.ordinal, end.partial.last) == (1, False)
    assert lines.end(NOW) == []


@pytest.mark.parametrize("step", [1000, LINE_LIMIT, LINE_LIMIT + 1, 100_000])
def test_a_long_line_is_parts_of_one_identifier_and_time(step: int) -> None:
    lines, data = Lines(), b"x" * 50_000 + b"\nshort\n"
    found = []
    for number, start in enumerate(range(0, len(data), step)):
        found += lines.feed("stdout", data[start : start + step], NOW + number)
    *parts, short = found
    assert b"".join(part.line for part in parts) == b"x" * 50_000
    assert [part.partial.ordinal for part in parts if part.partial] == [1, 2, 3, 4]
    assert [part.partial.last for part in parts if part.partial] == [False, False, False, True]
    assert len({part.partial.id for part in parts if part.partial}) == 1
    assert len({part.time_ns for part in parts}) == 1
    assert (short.line, short.partial) == (b"short", None)


def test_no_character_is_cut() -> None:
    found = Lines().feed("stdout", "€".encode() * 10_000, NOW)
    assert all(part.line.decode() for part in found)


def test_a_writer_of_lines_gives_the_last_one_without_an_end_when_it_is_closed() -> None:
    class Kept(LineWriter):
        def __init__(self) -> None:
            super().__init__()
            self.said: list[tuple[Stream, bytes]] = []

        def send(self, messages: list[Message]) -> None:
            self.said += [(message.stream, message.line) for message in messages]

        def release(self) -> None:
            self.said.append(("stderr", b"released"))

    kept = Kept()
    kept.write("stdout", b"a\nb", NOW)
    kept.close()
    assert kept.said == [("stdout", b"a"), ("stdout", b"b"), ("stderr", b"released")]


def test_short_lines_need_not_become_messages() -> None:
    lines = Lines()
    assert lines.plain("stdout", b"a\nb") == [b"a"]
    assert lines.plain("stdout", b"c") == []
    assert lines.plain("stdout", b"d\n\n") == [b"bcd", b""]
    assert lines.plain("stdout", b"x" * (LINE_LIMIT + 1)) is None
    assert [message.line for message in lines.feed("stdout", b"y" * LINE_LIMIT + b"z", NOW)] == [
        b"y" * LINE_LIMIT
    ]
    assert lines.plain("stdout", b"\n") is None
    assert [message.line for message in lines.feed("stdout", b"\n", NOW)] == [b"z"]
    assert lines.plain("stdout", b"again\n") == [b"again"]
