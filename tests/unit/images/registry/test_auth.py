"""Challenges, tokens and passwords."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moby.core.errors import Unauthorized
from moby.core.types.registries import AuthConfig
from moby.images.registry.auth import Challenge, Credentials, Token, parse_challenges, read_token

BEARER = 'Bearer realm="https://auth.x/token",service="x",scope="repository:a/b:pull"'
SCOPE = "repository:a/b:pull"


def test_challenges_of_all_shapes() -> None:
    assert parse_challenges([BEARER]) == [
        Challenge("bearer", {"realm": "https://auth.x/token", "service": "x", "scope": SCOPE})
    ]
    assert parse_challenges(['Basic realm="a \\"b\\"", Bearer realm=x,error=y', "Negotiate"]) == [
        Challenge("basic", {"realm": 'a "b"'}),
        Challenge("bearer", {"realm": "x", "error": "y"}),
        Challenge("negotiate", {}),
    ]
    assert parse_challenges(["", "=", '"']) == []


@given(st.lists(st.text(max_size=80), max_size=3))
def test_noise_is_left_out(headers: list[str]) -> None:
    parse_challenges(headers)


def test_anonymous_token() -> None:
    credentials = Credentials(None)
    assert credentials.header(SCOPE) == ""
    request = credentials.answer(parse_challenges([BEARER]), SCOPE, tls=True)
    assert request is not None
    assert request.url == "https://auth.x/token?service=x&scope=repository%3Aa%2Fb%3Apull"
    assert (request.headers, request.body) == ({}, None)
    credentials.keep(SCOPE, Token("t", time.monotonic() + 100))
    assert credentials.header(SCOPE) == "Bearer t"
    assert credentials.header("other") == ""
    credentials.keep(SCOPE, Token("t", time.monotonic() - 1))
    assert credentials.header(SCOPE) == ""


def test_password_goes_to_the_token_server() -> None:
    credentials = Credentials(AuthConfig(username="u", password="p"))
    request = credentials.answer(parse_challenges([BEARER]), SCOPE, tls=True)
    assert request is not None
    assert request.headers == {"Authorization": "Basic dTpw"}
    assert "account=u" in request.url
    assert "dTpw" not in repr(request)


def test_identity_token_is_posted() -> None:
    credentials = Credentials(AuthConfig(identity_token="i"))
    request = credentials.answer(parse_challenges([BEARER]), SCOPE, tls=True)
    assert request is not None
    assert request.body is not None
    assert b"refresh_token=i" in request.body


def test_credentials_do_not_go_where_there_is_no_tls() -> None:
    plain = parse_challenges([BEARER.replace("https", "http")])
    with pytest.raises(Unauthorized, match="without TLS"):
        Credentials(AuthConfig(username="u", password="p")).answer(plain, SCOPE, tls=True)
    assert Credentials(None).answer(plain, SCOPE, tls=True) is not None
    for realm in ("", "file:///etc/passwd", "//x"):
        with pytest.raises(Unauthorized, match="no valid realm"):
            Credentials(None).answer([Challenge("bearer", {"realm": realm})], SCOPE, tls=True)


def test_basic_is_tried_once() -> None:
    challenges = [Challenge("basic", {})]
    with pytest.raises(Unauthorized, match="no basic auth credentials"):
        Credentials(None).answer(challenges, SCOPE, tls=True)
    credentials = Credentials(AuthConfig(auth="dTpw"))
    assert credentials.answer(challenges, SCOPE, tls=True) is None
    assert credentials.header(SCOPE) == "Basic dTpw"
    with pytest.raises(Unauthorized):
        credentials.answer(challenges, SCOPE, tls=True)


def test_token_answers() -> None:
    assert read_token(b'{"access_token": "a"}').value == "a"
    assert read_token(b'{"token": "t", "expires_in": 300}').until > time.monotonic() + 200
    for bad in (b"", b"{}", b"[]", b'{"token": ""}', b'{"token": "a\\nb"}', b'{"token": 5}', b"\xff"):
        with pytest.raises(Unauthorized):
            read_token(bad)
