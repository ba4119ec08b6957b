from __future__ import annotations

import pytest

from moby.monitor.shim.ttrpc import NOT_FOUND, Frames, Request, Response, failure, request, response


def test_frames_are_put_together_again_whatever_the_pieces() -> None:
    sent = (
        request(1, "a.Service", "Do", b"what") + request(3, "a.Service", "Undo", b"") + response(1, b"done")
    )
    expected = [
        Request(1, "a.Service", "Do", b"what"),
        Request(3, "a.Service", "Undo", b""),
        Response(1, 0, "", b"done"),
    ]
    for size in (1, 7, 10, len(sent)):
        frames = Frames()
        found: list[Request | Response] = []
        for start in range(0, len(sent), size):
            found += frames.feed(sent[start : start + size])
        assert found == expected


def test_a_failure_has_its_code_and_its_words() -> None:
    assert list(Frames().feed(failure(5, NOT_FOUND, "no such thing"))) == [
        Response(5, NOT_FOUND, "no such thing", b"")
    ]


def test_other_kinds_of_frames_are_passed_over() -> None:
    data = b"\0\0\0\2\0\0\0\1\3\0hi"
    assert list(Frames().feed(data + response(1, b""))) == [Response(1, 0, "", b"")]


def test_what_is_no_ttrpc_is_refused() -> None:
    with pytest.raises(ValueError, match="a frame of"):
        list(Frames().feed(b"GET / HTTP/1.1\r\n"))
