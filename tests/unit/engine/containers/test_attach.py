"""This file is about the keys that detach a client, as words and as bytes."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.engine.containers.attach import parse_detach_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", b"\x10\x11"), ("ctrl-a,a", b"\x01a"), ("DEL", b"\x7f"), ("ctrl-@,ctrl-[,ctrl-_", b"\x00\x1b\x1f")],
)
def test_words_are_keys(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-A,a", "ctrl-", "ctrl-1", "ab", "del", "a,", "ä"])
def test_words_that_are_no_keys(text: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse_detach_keys(text)
    assert refused.value.message == f"Invalid detach keys ({text}) provided"
