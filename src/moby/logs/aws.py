"""This file is about Amazon's services, as a log driver needs them: the region, the keys, calls.

Calls are JSON over HTTP, signed with the keys (Signature Version 4). Keys come from the environment, a shared
file, a container's or a machine's own service, in the order of Amazon's own libraries.
"""

from __future__ import annotations

import configparser
import hashlib
import hmac
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from moby.core.errors import MobyError, Unavailable
from moby.logs.dialing import parse_url
from moby.logs.posting import Answer, Client

CONTAINER_SERVICE = "http://169.254.170.2"
_MACHINE_SERVICE = "http://169.254.169.254"
_METADATA_LIMIT_S = 5.0
_EARLY_S = 300.0


class Keys(msgspec.Struct, frozen=True):
    """What signs a call, as services give it; without an `expiration` for good."""

    access: str = msgspec.field(name="AccessKeyId")
    secret: str = msgspec.field(name="SecretAccessKey")
    token: str = msgspec.field(name="Token", default="")
    expiration: datetime | None = msgspec.field(name="Expiration", default=None)


class CallFailed(Unavailable):
    """A service refused a call; `kind` is its name for why, `expected` the token that it waits for."""

    def __init__(self, message: str, kind: str, expected: str, *, again: bool) -> None:
        super().__init__(message)
        self.kind = kind
        self.expected = expected
        self.again = again


class _Refusal(msgspec.Struct, frozen=True):
    kind: str = msgspec.field(name="__type", default="")
    message: str = ""
    capital: str = msgspec.field(name="Message", default="")
    expected: str = msgspec.field(name="expectedSequenceToken", default="")


def region(chosen: str) -> str:
    """The region: as chosen, of the environment, or of this machine. Raises Unavailable."""
    if found := chosen or os.environ.get("AWS_REGION", ""):
        return found
    try:
        return _machine("/latest/meta-data/placement/region").decode()
    except MobyError as error:
        raise Unavailable(f"cannot determine region for awslogs driver: {error.message}") from error


def keys_from(endpoint: str) -> Callable[[], Keys]:
    """Where keys come from; asked again shortly before they expire. Raises Unavailable when asked."""
    held: list[Keys] = []

    def keys() -> Keys:
        if not held or _expires(held[0]):
            held[:] = [_container(CONTAINER_SERVICE + endpoint) if endpoint else _found()]
        return held[0]

    return keys


def _expires(keys: Keys) -> bool:
    return keys.expiration is not None and keys.expiration.timestamp() - time.time() < _EARLY_S


def _found() -> Keys:
    environment = os.environ
    if (access := environment.get("AWS_ACCESS_KEY_ID")) and (
        secret := environment.get("AWS_SECRET_ACCESS_KEY")
    ):
        return Keys(access, secret, environment.get("AWS_SESSION_TOKEN", ""))
    if (shared := _shared()) is not None:
        return shared
    if path := environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return _container(CONTAINER_SERVICE + path)
    if address := environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return _container(address)
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise Unavailable("failed to retrieve credentials: no EC2 IMDS role found")
    roles = "/latest/meta-data/iam/security-credentials/"
    role = _machine(roles).decode().split("\n")[0]
    return _decoded(_machine(roles + role))


def _shared() -> Keys | None:
    """Of the profile in the file that Amazon's tools share."""
    path = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials"
    file = configparser.RawConfigParser()
    try:
        file.read(path)
        profile = file[os.environ.get("AWS_PROFILE", "default")]
        return Keys(
            profile["aws_access_key_id"],
            profile["aws_secret_access_key"],
            profile.get("aws_session_token", ""),
        )
    except (OSError, KeyError, configparser.Error, UnicodeDecodeError):
        return None


def _container(address: str) -> Keys:
    token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    return _decoded(_fetched("GET", address, {"Authorization": token} if token else {}))


def _machine(path: str) -> bytes:
    service = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _MACHINE_SERVICE).rstrip("/")
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
    token = _fetched("PUT", f"{service}/latest/api/token", lifetime).decode()
    return _fetched("GET", service + path, {"X-aws-ec2-metadata-token": token})


def _fetched(method: str, address: str, headers: Mapping[str, str]) -> bytes:
    url = parse_url(address)
    client = Client(url, limit_s=_METADATA_LIMIT_S)
    try:
        answer = client.ask(method, url.path or "/", headers)
    finally:
        client.close()
    if answer.status != 200:
        raise Unavailable(f"{address}: {answer.status} {answer.reason}")
    return answer.body


def _decoded(data: bytes) -> Keys:
    try:
        return msgspec.json.decode(data, type=Keys)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"failed to retrieve credentials: {error}") from error


class Service:
    """One service in one region."""

    def __init__(self, name: str, target: str, place: str, address: str, keys: Callable[[], Keys]) -> None:
        suffix = ".cn" if place.startswith("cn-") else ""
        self._url = parse_url(address or f"https://{name}.{place}.amazonaws.com{suffix}")
        self._name, self._target, self._place = name, target, place
        self._keys = keys
        self._client = Client(self._url)

    def call(self, operation: str, arguments: object, extra: Mapping[str, str] | None = None) -> bytes:
        """Raises CallFailed and Unavailable."""
        body = msgspec.json.encode(arguments)
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "Host": self._url.authority,
            "X-Amz-Target": f"{self._target}.{operation}",
            "User-Agent": "Docker",
            **(extra or {}),
        }
        path = self._url.path or "/"
        now = datetime.fromtimestamp(time.time(), UTC)
        signed_headers = signed(self._keys(), self._place, self._name, path, headers, body, now)
        answer = self._client.ask("POST", path, signed_headers, body)
        if answer.status != 200:
            raise self._failure(operation, answer)
        return answer.body

    def _failure(self, operation: str, answer: Answer) -> CallFailed:
        try:
            found = msgspec.json.decode(answer.body, type=_Refusal)
        except msgspec.MsgspecError:
            found = _Refusal()
        kind = found.kind.rpartition("#")[2] or "UnknownError"
        request = answer.headers.get("x-amzn-requestid", "")
        words = f"{kind}: {found.message or found.capital or answer.reason}"
        return CallFailed(
            f"operation error CloudWatch Logs: {operation}, https response error "
            f"StatusCode: {answer.status}, RequestID: {request}, {words}",
            kind,
            found.expected,
            again=answer.status >= 500 or kind in ("ThrottlingException", "ServiceUnavailableException"),
        )

    def close(self) -> None:
        """No more calls."""
        self._client.close()


def signed(
    keys: Keys, place: str, service: str, path: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> dict[str, str]:
    """The headers of a POST, with the ones that prove who sends it."""
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    found = {**headers, "X-Amz-Date": stamp}
    if keys.token:
        found["X-Amz-Security-Token"] = keys.token
    lowered = sorted((name.lower(), value.strip()) for name, value in found.items())
    names = ";".join(name for name, _ in lowered)
    listed = "".join(f"{name}:{value}\n" for name, value in lowered)
    request = f"POST\n{path}\n\n{listed}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{place}/{service}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    secret = f"AWS4{keys.secret}".encode()
    for part in (day, place, service, "aws4_request"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    found["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return found
