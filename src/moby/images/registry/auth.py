"""This file is about who asks a registry: challenges, tokens and passwords. It does no I/O.

A registry answers 401 with a challenge. `Credentials.answer` says what to do about it: send a name and a
password along, or fetch a token first (`TokenRequest`), which `read_token` takes from the token server's
answer. Tokens are kept by scope until they end.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit

import msgspec

from moby.core.errors import Unauthorized
from moby.core.types.registries import AuthConfig

_SCHEME = re.compile(r"\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s+|$)")
_PAIR = re.compile(r"\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))")
CLIENT_ID = "docker"
_SHORTEST_S = 60.0


class Challenge(msgspec.Struct, frozen=True):
    """One way to say who asks; `scheme` in lower case."""

    scheme: str
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """The challenges of all `WWW-Authenticate` headers; what cannot be read is left out."""
    found = []
    for header in headers:
        position = 0
        while match := _SCHEME.match(header, position):
            scheme, position = match[1].lower(), match.end()
            parameters = {}
            while pair := _PAIR.match(header, position):
                quoted, plain = pair[2], pair[3]
                parameters[pair[1].lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                position = pair.end()
            found.append(Challenge(scheme, parameters))
            comma = re.compile(r"\s*,").match(header, position)
            if comma is None:
                break
            position = comma.end()
    return found


class TokenRequest(msgspec.Struct, frozen=True):
    """What to ask a token server; with a body it is a POST (OAuth 2), else a GET."""

    url: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"TokenRequest(url={self.url!r})"


class Token(msgspec.Struct, frozen=True):
    """What a token server gave, and until when it is good (monotonic seconds)."""

    value: str
    until: float
    identity: str = ""

    def __repr__(self) -> str:
        return f"Token(until={self.until})"


class Credentials:
    """Who asks one registry, and what it has been given so far."""

    def __init__(self, auth: AuthConfig | None) -> None:
        self._auth = auth or AuthConfig()
        self._tokens: dict[str, Token] = {}
        self._basic = False

    @property
    def given(self) -> bool:
        """Did the client say who it is?"""
        return bool(self._name_and_password()[0] or self._auth.identity_token or self._auth.registry_token)

    def header(self, scope: str) -> str:
        """What to send as `Authorization` from the start; empty if nothing is known to be wanted."""
        if self._auth.registry_token:
            return f"Bearer {self._auth.registry_token}"
        if self._basic:
            return self._basic_header()
        token = self._tokens.get(scope)
        if token is not None and token.until > time.monotonic():
            return f"Bearer {token.value}"
        return ""

    def answer(self, challenges: Sequence[Challenge], scope: str, *, tls: bool) -> TokenRequest | None:
        """What to do about a 401: None means that `header` knows better now. Raises Unauthorized."""
        self._tokens.pop(scope, None)
        if self._auth.registry_token:
            raise Unauthorized("authorization failed")
        for challenge in challenges:
            if challenge.scheme == "bearer":
                return self._token_request(challenge, scope, tls)
            if challenge.scheme == "basic":
                if not self._name_and_password()[0]:
                    raise Unauthorized("no basic auth credentials")
                if self._basic:
                    raise Unauthorized("authorization failed")
                self._basic = True
                return None
        raise Unauthorized("authorization failed")

    def _token_request(self, challenge: Challenge, scope: str, tls: bool) -> TokenRequest:
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unauthorized("no valid realm specified for token auth challenge")
        if parts.scheme == "http" and tls and self.given:
            raise Unauthorized(f"will not send credentials to {parts.hostname} without TLS")
        if (error := challenge.parameters.get("error")) and scope in self._tokens:
            raise Unauthorized(f"server message: {error}")
        wanted = scope or challenge.parameters.get("scope", "")
        if self._auth.identity_token:
            fields = {
                "grant_type": "refresh_token",
                "refresh_token": self._auth.identity_token,
                "client_id": CLIENT_ID,
                "service": service,
                "scope": wanted,
            }
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            return TokenRequest(realm, form, urlencode(fields).encode())
        query = [("service", service)] if service else []
        query += [("scope", each) for each in wanted.split() if each]
        name, _ = self._name_and_password()
        headers = {"Authorization": self._basic_header()} if name else {}
        if name:
            query.append(("account", name))
        joint = "&" if parts.query else "?"
        return TokenRequest(realm + (joint + urlencode(query) if query else ""), headers)

    def keep(self, scope: str, token: Token) -> None:
        """Use a token for requests of this scope."""
        self._tokens[scope] = token

    def _name_and_password(self) -> tuple[str, str]:
        if not self._auth.username and self._auth.auth:
            try:
                name, _, password = base64.b64decode(self._auth.auth).decode().partition(":")
            except ValueError:
                return "", ""
            return name, password
        return self._auth.username, self._auth.password

    def _basic_header(self) -> str:
        name, password = self._name_and_password()
        return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class _TokenAnswer(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None
    refresh_token: str | None = None


def read_token(body: bytes) -> Token:
    """A token out of a token server's answer. Raises Unauthorized."""
    try:
        answer = msgspec.json.decode(body, type=_TokenAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unauthorized("the token server's answer cannot be read") from error
    value = answer.token or answer.access_token
    if not value or not value.isascii() or not value.isprintable():
        raise Unauthorized("the token server gave no token")
    life_s = max(answer.expires_in or 0.0, _SHORTEST_S) - 10.0
    return Token(value, time.monotonic() + life_s, answer.refresh_token or "")
