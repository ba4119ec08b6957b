"""This file is about Google's services, as a log driver needs them: who we are there, and this machine.

Credentials are found as Google's own libraries find them: a file that the environment names, the file of
Google's tools, this machine's own service (Application Default Credentials).
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from moby.core.errors import MobyError, Unavailable
from moby.logs.dialing import parse_url
from moby.logs.posting import Client, said

SCOPE = "https://www.googleapis.com/auth/logging.write"
_TOKENS = "https://oauth2.googleapis.com/token"
_MACHINE = "169.254.169.254"
_PRODUCT = Path("/sys/class/dmi/id/product_name")
_OURS = ("Google", "Google Compute Engine")
_LIMIT_S = 5.0
_EARLY_S = 225.0
_LIFETIME_S = 3600
# DER of the digest's algorithm (RFC 8017, 9.2, notes 1): what comes before a SHA-256 digest that is signed.
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


class Token(msgspec.Struct, frozen=True):
    """What opens a service for some time."""

    access_token: str
    expires_in: int = _LIFETIME_S


class _Account(msgspec.Struct, frozen=True):
    """A file of credentials: a service's account with its key, or a user's with a token for tokens."""

    type: str = ""
    project_id: str = ""
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = _TOKENS
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""


def on_google() -> bool:
    """Is this machine one of Google's?"""
    if os.environ.get("GCE_METADATA_HOST"):
        return True
    try:
        return _PRODUCT.read_text().strip() in _OURS
    except OSError:
        return False


def machine(path: str) -> str:
    """What this machine's own service says. Raises Unavailable."""
    host = os.environ.get("GCE_METADATA_HOST") or _MACHINE
    address = f"http://{host}/computeMetadata/v1/{path}"
    return _asked("GET", address, {"Metadata-Flavor": "Google"}).decode()


def tokens() -> Callable[[], str]:
    """Who we are; asked again shortly before that expires. Raises Unavailable when asked."""
    held: list[tuple[str, float]] = []

    def token() -> str:
        if not held or held[0][1] < time.time():
            found = _token()
            held[:] = [(found.access_token, time.time() + found.expires_in - _EARLY_S)]
        return held[0][0]

    return token


def _token() -> Token:
    account = _account()
    match account:
        case None:
            if not on_google():
                raise Unavailable(
                    "google: could not find default credentials. See "
                    "https://cloud.google.com/docs/authentication/external/set-up-adc for more information"
                )
            return _decoded(machine(f"instance/service-accounts/default/token?scopes={SCOPE}").encode())
        case _Account(type="service_account"):
            kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
            return _exchanged(
                account, {"grant_type": kind, "assertion": assertion(account, int(time.time()))}
            )
        case _Account(type="authorized_user"):
            return _exchanged(
                account,
                {
                    "grant_type": "refresh_token",
                    "client_id": account.client_id,
                    "client_secret": account.client_secret,
                    "refresh_token": account.refresh_token,
                },
            )
        case _:
            raise Unavailable(f'google: credentials of the type "{account.type}" are not supported')


def _account() -> _Account | None:
    """From a file, if there is one."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    usual = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config/gcloud")
    path = Path(named) if named else usual / "application_default_credentials.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Account)
    except FileNotFoundError:
        if not named:
            return None
        raise Unavailable(
            f"google: error getting credentials using GOOGLE_APPLICATION_CREDENTIALS environment variable: "
            f"open {path}: no such file or directory"
        ) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise Unavailable(f"google: cannot read credentials in {path}: {error}") from error


def _exchanged(account: _Account, form: Mapping[str, str]) -> Token:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return _decoded(_asked("POST", account.token_uri, headers, urlencode(form).encode()))


def _asked(method: str, address: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    url = parse_url(address)
    client = Client(url, limit_s=_LIMIT_S)
    try:
        answer = client.ask(method, url.path or "/", headers, body)
    finally:
        client.close()
    if answer.status != 200:
        raise Unavailable(f"{address.partition('?')[0]}: {said(answer)}")
    return answer.body


def _decoded(data: bytes) -> Token:
    try:
        return msgspec.json.decode(data, type=Token)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"google: cannot read a token: {error}") from error


def assertion(account: _Account, now: int) -> str:
    """What an account says of itself, signed (RFC 7523, RS256). Raises Unavailable for a key that is none."""
    head = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + _LIFETIME_S,
    }
    text = f"{_encoded(msgspec.json.encode(head))}.{_encoded(msgspec.json.encode(claims))}"
    return f"{text}.{_encoded(signature(account.private_key, text.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(key: str, data: bytes) -> bytes:
    """RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2), by a key in PEM. Raises Unavailable."""
    try:
        modulus, exponent = _numbers(key)
        length = (modulus.bit_length() + 7) // 8
        digest = _SHA256 + hashlib.sha256(data).digest()
        padded = b"\x00\x01" + b"\xff" * (length - len(digest) - 3) + b"\x00" + digest
        return pow(int.from_bytes(padded, "big"), exponent, modulus).to_bytes(length, "big")
    except (ValueError, IndexError, OverflowError) as error:
        raise Unavailable("google: private key should be a PEM or plain PKCS1 or PKCS8") from error


def _numbers(key: str) -> tuple[int, int]:
    """Modulus and private exponent of an RSA key (RFC 8017, A.1.2), alone or wrapped (RFC 5958)."""
    lines = [line.strip() for line in key.strip().splitlines()]
    if len(lines) < 3 or not lines[0].startswith("-----BEGIN"):
        raise ValueError("no PEM")
    outer = _parts(base64.b64decode("".join(lines[1:-1]), validate=True))[0][1]
    fields = _parts(outer)
    if fields[1][0] != 2:
        fields = _parts(_parts(fields[2][1])[0][1])
    return int.from_bytes(fields[1][1], "big"), int.from_bytes(fields[3][1], "big")


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """The elements of some DER, each its tag and its content."""
    found, at = [], 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + length > len(data):
            raise ValueError("truncated")
        found.append((tag, data[at : at + length]))
        at += length
    return found


def told(path: str) -> str:
    """As `machine`, but nothing where it says nothing: what is only shown."""
    try:
        return machine(path)
    except MobyError:
        return ""
