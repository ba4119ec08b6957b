"""Requests that are refused before a handler sees them; whole ones are in the contract tests."""

from __future__ import annotations

import pytest
from aiohttp import HttpVersion, HttpVersion10, HttpVersion11
from aiohttp.test_utils import make_mocked_request

from moby.api.refusals import refusal


@pytest.mark.parametrize(
    ("path", "version", "status"),
    [
        ("/_ping", HttpVersion11, 0),
        ("/_ping", HttpVersion10, 0),
        ("/_ping?a=%zz", HttpVersion11, 0),
        ("/_ping%2", HttpVersion11, 400),
        ("/_ping", HttpVersion(0, 9), 400),
        ("/_ping", HttpVersion(2, 0), 505),
    ],
)
def test_what_is_refused(path: str, version: HttpVersion, status: int) -> None:
    answer = refusal(make_mocked_request("GET", path, version=version))
    assert (answer.status if answer is not None else 0) == status
