"""This file is about the numbers of ports, and what is none."""

from __future__ import annotations

import pytest

from moby.engine.containers.port_numbers import port_number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("80", 80), ("00080", 80), ("65535", 65535)])
def test_numbers(text: str, number: int) -> None:
    assert port_number(text) == number


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "value is empty"),
        ("x", "invalid syntax"),
        ("-1", "invalid syntax"),
        ("٣", "invalid syntax"),
        ("65536", "value out of range"),
        ("9" * 5000, "value out of range"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_none(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        port_number(text)
