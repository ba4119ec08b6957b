"""This file is about filters and the times in them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from moby.core.errors import InvalidParameter
from moby.core.filters import Filters, parse_time


@pytest.mark.parametrize(
    "text",
    ['{"label":["a","b=c"],"id":[]}', '{"label":{"a":true,"b=c":true},"id":{}}'],
    ids=["lists", "maps"],
)
def test_both_forms(text: str) -> None:
    filters = Filters.parse(text)
    assert filters.values("label") == ["a", "b=c"]
    assert list(filters) == ["label", "id"]
    assert "id" in filters
    assert filters.values("name") == []


@pytest.mark.parametrize("text", ["", "null", "{}"])
def test_nothing(text: str) -> None:
    assert len(Filters.parse(text)) == 0


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"a":5}', '{"a":[5]}', '{"a":{"b":5}}', '{"a":["b"],"c":{"d":true}}']
)
def test_nonsense(text: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        Filters.parse(text)
    assert raised.value.message == "invalid filter"


def test_unknown_key_is_named() -> None:
    with pytest.raises(InvalidParameter) as raised:
        Filters({"label": ["a"], "nonsense": ["b"]}).check({"label"})
    assert raised.value.message == "invalid filter 'nonsense'"


def test_flags() -> None:
    assert Filters({"dangling": ["1"]}).flag("dangling", default=False)
    assert not Filters({"dangling": ["false"]}).flag("dangling", default=True)
    assert Filters().flag("dangling", default=True)
    for values, shown in ((["true", "false"], "=[true false]"), (["x"], "=[x]"), ([], "")):
        with pytest.raises(InvalidParameter) as raised:
            Filters({"dangling": values}).flag("dangling", default=True)
        assert raised.value.message == f"invalid filter 'dangling{shown}'"


def test_texts() -> None:
    """A value is the whole text, or a pattern of a part; what is no pattern is found in nothing else."""
    filters = Filters({"name": ["^b", "[x"]})
    assert [text for text in ("abc", "bc", "[x", "y[x") if filters.text_matches("name", text)] == ["bc", "[x"]
    assert Filters({"name": []}).text_matches("name", "x")


def test_labels() -> None:
    filters = Filters({"label": ["a", "b=c"]})
    assert filters.labels_match("label", {"a": "x", "b": "c"})
    assert not filters.labels_match("label", {"a": "x", "b": "d"})
    assert not filters.labels_match("label", {"b": "c"})
    assert Filters().labels_match("label", {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", (1700000000, 0)),
        ("1700000000.5", (1700000000, 500_000_000)),
        ("1700000000.0000000012", (1700000000, 1)),
        ("-1", (-1, 0)),
        ("2024-01-01T00:00:00.123456789Z", (1704067200, 123_456_789)),
        ("2024-01-01T02:00:00+02:00", (1704067200, 0)),
        ("1h30m", (1704067200 - 5400, 0)),
    ],
)
def test_times(text: str, expected: tuple[int, int]) -> None:
    assert parse_time(text, datetime(2024, 1, 1, tzinfo=UTC)) == expected


@pytest.mark.parametrize("text", ["", "x", "2024-13-01", "1e9", "9" * 18, "2024-01-01T00:00:00X", "h"])
def test_no_times(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_time(text)
