"""This file is about asking a running engine for what the docker command has no words for."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import msgspec

from moby.core.codec import encode
from moby.core.errors import InvalidParameter, MobyError, Unavailable
from moby.core.types.errors import ErrorResponse

DEFAULT_HOST = "unix:///var/run/docker.sock"
_VERSION = "v1.55"
_JSON = {"Content-Type": "application/json"}


def ask(
    host: str,
    method: str,
    path: str,
    query: dict[str, str] | None = None,
    body: dict[str, object] | None = None,
) -> bytes:
    """The body of the answer. Raises MobyError with the engine's own words, Unavailable if it is not there.

    `host` is as for the docker command, empty for what `DOCKER_HOST` says; `DOCKER_TLS_VERIFY` and
    `DOCKER_CERT_PATH` mean what they mean there.
    """
    where = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    return asyncio.run(_ask(where, method, path, query or {}, encode(body) if body is not None else None))


async def _ask(host: str, method: str, path: str, query: dict[str, str], data: bytes | None) -> bytes:
    from aiohttp import ClientError, ClientSession, TCPConnector, UnixConnector

    scheme, separator, address = host.partition("://")
    if not separator or scheme not in ("unix", "tcp"):
        raise InvalidParameter(f"cannot speak to {host}: it is neither unix://PATH nor tcp://HOST:PORT")
    tls = _tls() if scheme == "tcp" else None
    base = "http://engine" if scheme == "unix" else f"{'https' if tls else 'http'}://{address}"
    connector = UnixConnector(address) if scheme == "unix" else TCPConnector(ssl=tls or False)
    try:
        async with (
            ClientSession(base, connector=connector) as session,
            session.request(method, f"/{_VERSION}{path}", params=query, data=data, headers=_JSON) as answer,
        ):
            body = await answer.read()
    except (ClientError, OSError) as error:
        raise Unavailable(f"cannot reach the engine at {host}: {error}") from error
    if answer.status >= 400:
        raise MobyError(_words(body) or f"the engine answers {answer.status}")
    return body


def _tls() -> ssl.SSLContext | None:
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except (OSError, ssl.SSLError) as error:
        raise InvalidParameter(f"cannot read the certificates in {folder}: {error}") from error
    return context


def _words(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=ErrorResponse).message
    except msgspec.MsgspecError:
        return ""
