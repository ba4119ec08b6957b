"""Requests that are refused before a handler sees them; whole ones are in the contract tests."""

from __future__ import annotations

import pytest
from aiohttp import HttpVersion, HttpVersion10, HttpVersion11
from aiohttp.test_utils import make_mocked_request

from moby.api.expectations import refusal


@pytest.mark.parametrize(
    ("path", "version", "headers", "status"),
    [
        ("/_ping", HttpVersion11, {}, 0),
        ("/_ping", HttpVersion10, {}, 0),
        ("/_ping", HttpVersion11, {"Expect": "100-continue"}, 0),
        ("/_ping?a=%zz", HttpVersion11, {}, 0),
        ("/_ping%2", HttpVersion11, {}, 400),
        ("/_ping", HttpVersion(0, 9), {}, 400),
        ("/_ping", HttpVersion(2, 0), {}, 505),
        ("/_ping", HttpVersion11, {"Expect": "more"}, 417),
    ],
)
def test_what_is_refused(path: str, version: HttpVersion, headers: dict[str, str], status: int) -> None:
    answer = refusal(make_mocked_request("GET", path, headers, version=version))
    assert (answer.status if answer is not None else 0) == status
