from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.engine.containers.signals import parse_signal, sent_signal


@pytest.mark.parametrize(
    ("text", "number"),
    [("9", 9), ("KILL", 9), ("SIGKILL", 9), ("sigterm", 15), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("64", 64)],
)
def test_names_and_numbers(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "NOSUCH", "RTMIN+99", "RTMIN+x", "9 "])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid signal"):
        parse_signal(text)


@pytest.mark.parametrize("text", ["-1", "65", "99999"])
def test_a_number_that_is_no_signals(text: str) -> None:
    with pytest.raises(InvalidParameter, match=f"the linux daemon does not support signal {text}"):
        sent_signal(text)


def test_what_is_sent() -> None:
    assert (sent_signal("HUP"), sent_signal("64"), sent_signal("9")) == (1, 64, 9)
    for wrong in ("0", "", "x"):
        with pytest.raises(InvalidParameter, match=f"invalid signal: {wrong}"):
            sent_signal(wrong)
