"""This file is about TLS on the daemon's TCP listeners."""

from __future__ import annotations

import ssl

from moby.core.errors import InvalidParameter
from moby.engine.config import EngineConfig

_DIRECTORY = "/root/.docker"


def server_context(config: EngineConfig) -> ssl.SSLContext | None:
    """None without TLS. Raises InvalidParameter for keys that cannot be used."""
    if not (config.tls or config.tlsverify):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate = config.tlscert or f"{_DIRECTORY}/cert.pem"
    key = config.tlskey or f"{_DIRECTORY}/key.pem"
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise InvalidParameter(
            "invalid TLS configuration: could not load X509 key pair "
            f'(cert: "{certificate}", key: "{key}"): {_why(error)}'
        ) from error
    if config.tlsverify:
        authority = config.tlscacert or f"{_DIRECTORY}/ca.pem"
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise InvalidParameter(
                f'invalid TLS configuration: could not read CA certificate "{authority}": {_why(error)}'
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _why(error: OSError) -> str:
    return str(error) if isinstance(error, ssl.SSLError) else (error.strerror or str(error)).lower()
