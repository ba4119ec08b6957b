"""This file is about queries and content types as Go reads them."""

from __future__ import annotations

import pytest

from moby.api.request import check_json, parse_query
from moby.core.errors import InvalidParameter


def test_query() -> None:
    assert parse_query("a=1&a=2&b&&c=%2F+x") == {"a": ["1", "2"], "b": [""], "c": ["/ x"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=%zz", 'invalid URL escape "%zz"'),
        ("a=%4", 'invalid URL escape "%4"'),
        ("a=1;b=2", "invalid semicolon separator in query"),
    ],
)
def test_no_query(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        parse_query(text)
    assert raised.value.message == message


@pytest.mark.parametrize(
    "text", ["application/json", "Application/JSON; charset=utf-8", 'application/json; a="b;c"']
)
def test_json(text: str) -> None:
    check_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "malformed Content-Type header (): mime: no media type"),
        (
            "application/json; =",
            "malformed Content-Type header (application/json; =): mime: invalid media parameter",
        ),
        ("text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
    ],
)
def test_no_json(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        check_json(text)
    assert raised.value.message == message
