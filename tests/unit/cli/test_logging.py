"""The daemon's own log: one line an event, whatever is in it."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from moby.cli.logging import Formatter, causes, set_level
from moby.core.errors import NotFound, System


def record(message: str, **extra: object) -> logging.LogRecord:
    """As `log.info(message, extra=extra)` makes it."""
    made = logging.LogRecord("moby", logging.WARNING, __file__, 1, message, None, None)
    vars(made).update(extra)
    return made


def test_a_line_holds_fields_in_quotes_where_they_need_some() -> None:
    line = Formatter(json=False).format(
        record("it is so", plain="word", quoted='a "b"\nc', empty="", none=None)
    )
    assert line.partition(" ")[0].startswith("time=")
    assert line.partition(" ")[2] == 'level=warn msg="it is so" plain=word quoted="a \\"b\\"\\nc" empty=""'
    assert "\n" not in line


def test_the_same_as_json() -> None:
    found = json.loads(Formatter(json=True).format(record("a\nb", name_="x")))
    assert (found["level"], found["msg"], found["name"]) == ("warn", "a\nb", "x")
    assert found["time"].endswith("Z")


def test_a_failure_tells_its_causes_and_only_ours_has_no_trace() -> None:
    def failing(error: Exception) -> dict[str, str]:
        try:
            raise error from ValueError("deep")
        except type(error):
            made = record("failed")
            made.exc_info = sys.exc_info()
            found: dict[str, str] = json.loads(Formatter(json=True).format(made))
            return found

    ours = failing(System("on top", hint="look below"))
    assert ours["error"] == "on top (look below): deep"
    assert "trace" not in ours
    foreign = failing(KeyError("k"))
    assert foreign["error"] == "'k': deep"
    assert "Traceback" in foreign["trace"]


def test_causes_end_even_in_a_circle_and_say_nothing_twice() -> None:
    one, two = NotFound("one: two"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert causes(one) == "one: two"
    assert causes(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(("level", "debug", "expected"), [
    ("info", False, 20), ("warn", False, 30), ("error", False, 40), ("fatal", False, 50), ("error", True, 10),
])  # fmt: skip
def test_levels(level: str, debug: bool, expected: int) -> None:
    root = logging.getLogger()
    before = root.level
    try:
        set_level(level, debug=debug)
        assert root.level == expected
    finally:
        root.setLevel(before)
