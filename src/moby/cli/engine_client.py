"""This file is about asking a running engine for what the docker command has no words for."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from moby.core.codec import encode
from moby.core.errors import InvalidParameter, MobyError, System, Unavailable
from moby.core.types.errors import ErrorResponse

if TYPE_CHECKING:
    from aiohttp import ClientResponse

DEFAULT_HOST = "unix:///var/run/docker.sock"
_VERSION = "v1.55"
_JSON = {"Content-Type": "application/json"}
_TAR = {"Content-Type": "application/x-tar"}


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
    return asyncio.run(_ask(host, method, path, query or {}, encode(body) if body is not None else None))


def fetch(host: str, path: str, target: BinaryIO) -> None:
    """Write the body of an answer, as it comes. Raises as `ask`."""

    async def run() -> None:
        async with _answered(host, "GET", path, {}, None) as answer:
            async for chunk in answer.content.iter_any():
                _write(target, chunk)

    asyncio.run(run())


def _write(target: BinaryIO, data: bytes) -> None:
    try:
        target.write(data)
        target.flush()
    except OSError as error:
        raise System(f"cannot write the archive: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def send(host: str, path: str, source: BinaryIO) -> bytes:
    """The body of the answer to an archive. Raises as `ask`."""

    async def run() -> bytes:
        async with _answered(host, "PUT", path, {}, source, _TAR) as answer:
            return await answer.read()

    return asyncio.run(run())


async def _ask(host: str, method: str, path: str, query: dict[str, str], data: bytes | None) -> bytes:
    async with _answered(host, method, path, query, data) as answer:
        return await answer.read()


@asynccontextmanager
async def _answered(
    host: str,
    method: str,
    path: str,
    query: dict[str, str],
    data: bytes | BinaryIO | None,
    headers: Mapping[str, str] = _JSON,
) -> AsyncIterator[ClientResponse]:
    """An answer that is no error, its body still to be read."""
    from aiohttp import (
        ClientConnectorError,
        ClientError,
        ClientSession,
        ClientTimeout,
        TCPConnector,
        UnixConnector,
    )

    host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    scheme, separator, address = host.partition("://")
    if not separator or scheme not in ("unix", "tcp"):
        raise InvalidParameter(f"cannot speak to {host}: it is neither unix://PATH nor tcp://HOST:PORT")
    tls = _tls() if scheme == "tcp" else None
    base = "http://engine" if scheme == "unix" else f"{'https' if tls else 'http'}://{address}"
    connector = UnixConnector(address) if scheme == "unix" else TCPConnector(ssl=tls or False)
    target = f"/{_VERSION}{path}"
    try:
        async with (
            ClientSession(base, connector=connector, timeout=ClientTimeout(total=None)) as session,
            session.request(method, target, params=query, data=data, headers=headers) as answer,
        ):
            if answer.status >= 400:
                raise MobyError(_words(await answer.read()) or f"the engine answers {answer.status}")
            yield answer
    except ClientConnectorError as error:
        raise Unavailable(
            f"cannot connect to the engine at {host}: {_reason(error.os_error)}",
            hint="is it running? -H or DOCKER_HOST says where it listens",
        ) from error
    except ClientError as error:
        raise Unavailable(f"the connection to the engine at {host} broke off: {error}") from error


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
