"""This file is about durations in Go's form, read and written."""

from __future__ import annotations

import pytest

from moby.core.durations import format_duration, is_duration, parse_duration
from moby.core.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h1.5s", 3601.5),
        ("-2ms", -0.002),
        ("0", 0),
        ("+3m", 180),
        (".5s", 0.5),
        ("10µs", 1e-5),
        ("7ns", 7e-9),
    ],
)
def test_seconds_of_a_duration(text: str, seconds: float) -> None:
    assert is_duration(text)
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "1d", "1h-2m", "٣s"])
def test_what_is_no_duration(text: str) -> None:
    assert not is_duration(text)
    with pytest.raises(InvalidParameter) as refused:
        parse_duration(text)
    assert refused.value.message == f'time: invalid duration "{text}"'


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (50_000_000, "50ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_661_001_000_000, "1h1m1.001s"),
    ],
)
def test_durations_as_words(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text
