"""This file is about how log drivers reach where they send to: addresses, TLS, errors in Go's words."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from typing import NamedTuple

from moby.core.errors import InvalidParameter, MobyError, Unavailable

CONNECT_LIMIT_S = 10.0


class Url(NamedTuple):
    """An address as options have it: `scheme://authority/path`."""

    scheme: str
    authority: str
    path: str


class Tls(NamedTuple):
    """How a server proves itself, and how we do."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True
    name: str = ""


class Unreachable(Unavailable):
    """A connection that could not be made."""


def parse_url(text: str) -> Url:
    """Raises InvalidParameter."""
    scheme, found, rest = text.partition("://")
    if not found:
        if ":" in text.partition("/")[0]:
            raise InvalidParameter(f'parse "{text}": first path segment in URL cannot contain colon')
        return Url("", "", text)
    authority, slash, path = rest.partition("/")
    port = authority.rpartition("]")[2].partition(":")[2]
    if authority.startswith("[") and "]" not in authority:
        raise InvalidParameter(f"parse \"{text}\": missing ']' in host")
    if port and not port.isdigit():
        raise InvalidParameter(f'parse "{text}": invalid port ":{port}" after host')
    return Url(scheme.lower(), authority, slash + path)


def host_port(authority: str, default: int | None = None) -> tuple[str, int]:
    """`host:port` and `[::1]:port` apart. Raises InvalidParameter without a port that there must be."""
    if authority.startswith("["):
        host, closed, rest = authority[1:].partition("]")
        if not closed:
            raise InvalidParameter(f"address {authority}: missing ']' in address")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = authority.rpartition(":")
        if not colon:
            host = authority
        elif ":" in host:
            raise InvalidParameter(f"address {authority}: too many colons in address")
    if not colon:
        if default is None:
            raise InvalidParameter(f"address {authority}: missing port in address")
        return host, default
    if not port.isdigit():
        raise InvalidParameter(f"address {port}: invalid port")
    if int(port) > 65535:
        raise InvalidParameter(f'invalid port: strconv.ParseUint: parsing "{port}": value out of range')
    return host, int(port)


def dial(network: str, host: str, port: int = 0, tls: Tls | None = None) -> socket.socket:
    """A connected socket (`tcp`, `udp`), with TLS if it is asked for. Raises Unreachable."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    kind = socket.SOCK_DGRAM if network == "udp" else socket.SOCK_STREAM
    try:
        places = socket.getaddrinfo(host or "localhost", port, type=kind)
    except OSError as error:
        raise Unreachable(f"dial {network}: lookup {host}: no such host") from error
    refused: OSError | None = None
    for family, _, _, _, address in places:
        connection = socket.socket(family, kind | socket.SOCK_CLOEXEC)
        connection.settimeout(CONNECT_LIMIT_S)
        try:
            connection.connect(address)
            if network != "udp":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return connection if tls is None else _secured(connection, host, tls)
        except OSError as error:
            connection.close()
            refused = refused or error
        except MobyError:
            connection.close()
            raise
    assert refused is not None
    raise Unreachable(f"dial {network} {shown}: {_words(refused)}") from refused


def dial_unix(path: str, *, stream: bool) -> socket.socket:
    """A connected local socket. Raises Unreachable."""
    kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    connection = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    connection.settimeout(CONNECT_LIMIT_S)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise Unreachable(f"dial {'unix' if stream else 'unixgram'} {path}: {_words(error)}") from error
    return connection


def gone(connection: socket.socket) -> bool:
    """Has the other side closed it, or is it broken?"""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def close(connection: socket.socket | None) -> None:
    """Close, after what was sent, if there is one."""
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.close()


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    words = os.strerror(error.errno) if error.errno else str(error)
    return f"connect: {words[:1].lower()}{words[1:]}"


def _secured(connection: socket.socket, host: str, tls: Tls) -> socket.socket:
    import ssl

    context = ssl.create_default_context()
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
        if tls.certificate or tls.key:
            context.load_cert_chain(tls.certificate, tls.key or None)
    except OSError as error:
        raise Unreachable(f"could not load X509 key pair or CA certificate: {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(connection, server_hostname=tls.name or host)
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"tls: failed to verify certificate: x509: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise Unreachable(f"remote error: tls: {error.reason or error}") from error
