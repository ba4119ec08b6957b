"""This file is about the addresses at which the settings say that the API listens."""

from __future__ import annotations

from moby.core.errors import InvalidParameter
from moby.engine.config import EngineConfig


def addresses(config: EngineConfig) -> tuple[str, ...]:
    """Every address to listen at once, in full. Raises InvalidParameter."""
    tls = config.tls or config.tlsverify
    return tuple(dict.fromkeys(_full(host, tls=tls) for host in config.hosts or ("",)))


def _full(host: str, *, tls: bool) -> str:
    if not host:
        return "unix:///var/run/docker.sock"
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "tcp", host
    match scheme:
        case "unix":
            return f"unix://{rest or '/var/run/docker.sock'}"
        case "fd":
            return f"fd://{rest}"
        case "tcp":
            name, colon, port = rest.rpartition(":")
            if not colon or rest.endswith("]"):
                name, port = rest, ""
            if port and not (port.isdigit() and int(port) <= 65535):
                raise InvalidParameter(f"invalid bind address ({host}): invalid port number")
            return f"tcp://{name or '127.0.0.1'}:{port or (2376 if tls else 2375)}"
        case _:
            raise InvalidParameter(f"invalid bind address ({host}): unsupported protocol '{scheme}'")
