"""Frames, there and back, and log entries as clients get them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moby.core.logs import LogEntry, Stream
from moby.logs.framing import Deframer, frame, frames, header, json_lines

STREAMS = st.sampled_from(["stdout", "stderr"])
ENTRY = LogEntry("hello\n", "stderr", "2024-01-02T03:04:05.12Z", {"b": "2", "a": "1"})


def test_a_frame_is_a_header_and_a_payload() -> None:
    """Stream, three zeros, length."""
    assert frame("stdout", b"abc") == b"\1\0\0\0\0\0\0\3abc"
    assert frame("stderr", b"") == header("stderr", 0) == b"\2\0\0\0\0\0\0\0"


def test_entries_as_docker_logs_shows_them() -> None:
    """Plain, framed, with time stamps of nine digits, with details."""
    assert frames([ENTRY], multiplexed=False) == b"hello\n"
    assert frames([ENTRY]) == frame("stderr", b"hello\n")
    assert frames([ENTRY], multiplexed=False, timestamps=True) == b"2024-01-02T03:04:05.120000000Z hello\n"
    assert frames([ENTRY], multiplexed=False, details=True) == b"a=1,b=2 hello\n"
    both = frames([ENTRY], multiplexed=False, details=True, timestamps=True)
    assert both == b"2024-01-02T03:04:05.120000000Z a=1,b=2 hello\n"
    bare = LogEntry("x\n", "stdout", "2024-01-02T03:04:05Z")
    assert frames([bare], multiplexed=False, timestamps=True).startswith(b"2024-01-02T03:04:05.000000000Z ")


def test_lengths_are_of_bytes() -> None:
    """And the longest entries are framed as well as the short ones."""
    for text in ("ü€\n", "x" * 100_000):
        assert frames([LogEntry(text, "stdout", "")]) == frame("stdout", text.encode())


@given(st.lists(st.tuples(STREAMS, st.text(st.characters(codec="utf-8"), max_size=300))))
def test_any_entries_are_framed_one_by_one(said: list[tuple[Stream, str]]) -> None:
    """Whatever they say, and in whichever streams."""
    entries = [LogEntry(text, stream, "") for stream, text in said]
    assert frames(entries) == b"".join(frame(stream, text.encode()) for stream, text in said)


@given(st.lists(st.tuples(STREAMS, st.binary(max_size=50))), st.lists(st.integers(0, 200)))
def test_frames_survive_any_cut(sent: list[tuple[Stream, bytes]], cuts: list[int]) -> None:
    """However the bytes come in, the same frames come out."""
    data = b"".join(frame(stream, payload) for stream, payload in sent)
    deframer, got, start = Deframer(), [], 0
    for end in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        got += list(deframer.feed(data[start:end]))
        start = end
    assert got == sent


def test_json_lines() -> None:
    entries = [
        LogEntry("one\n", "stdout", "2026-01-02T03:04:05.6Z", {"b": "2", "a": "1"}),
        LogEntry("bytes \udcff", "stderr", "2026-01-02T03:04:06Z"),
    ]
    assert json_lines(entries).splitlines() == [
        b'{"Line":"one\\n","Source":"stdout","Timestamp":"2026-01-02T03:04:05.6Z"}',
        '{"Line":"bytes \ufffd","Source":"stderr","Timestamp":"2026-01-02T03:04:06Z"}'.encode(),
    ]
    detailed = json_lines(entries[:1], details=True, prefix=b"\x1e")
    assert detailed == (
        b'\x1e{"Line":"one\\n","Source":"stdout","Timestamp":"2026-01-02T03:04:05.6Z",'
        b'"Attrs":[{"Key":"a","Value":"1"},{"Key":"b","Value":"2"}]}\n'
    )
