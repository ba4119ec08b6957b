"""TLS on the daemon's listeners: what is used, and what is said when it cannot be."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from moby.cli.tls import server_context
from moby.core.errors import InvalidParameter
from moby.engine.config import EngineConfig


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate that vouches for itself, and its key."""
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=d",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=place, check=True, capture_output=True,
    )  # fmt: skip
    return str(place / "cert.pem"), str(place / "key.pem")


def test_without_tls_there_is_none() -> None:
    assert server_context(EngineConfig(tlscert="/nowhere")) is None


def test_clients_are_verified_if_asked_for(pair: tuple[str, str]) -> None:
    certificate, key = pair
    plain = server_context(EngineConfig(tls=True, tlscert=certificate, tlskey=key))
    assert plain is not None
    assert plain.verify_mode is ssl.CERT_NONE
    verifying = server_context(
        EngineConfig(tlsverify=True, tlscert=certificate, tlskey=key, tlscacert=certificate)
    )
    assert verifying is not None
    assert verifying.verify_mode is ssl.CERT_REQUIRED
    assert verifying.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_file_that_cannot_be_used_is_named(pair: tuple[str, str], tmp_path: Path) -> None:
    certificate, key = pair
    with pytest.raises(InvalidParameter) as error:
        server_context(EngineConfig(tls=True, tlscert="/nowhere/c", tlskey=key))
    assert error.value.message == (
        "invalid TLS configuration: could not load X509 key pair "
        f'(cert: "/nowhere/c", key: "{key}"): no such file or directory'
    )
    with pytest.raises(InvalidParameter) as error:
        server_context(EngineConfig(tlsverify=True, tlscert=certificate, tlskey=key, tlscacert="/nowhere/ca"))
    assert error.value.message == (
        'invalid TLS configuration: could not read CA certificate "/nowhere/ca": no such file or directory'
    )
    (tmp_path / "ca").write_text("no certificate")
    with pytest.raises(InvalidParameter, match="could not read CA certificate"):
        server_context(
            EngineConfig(tlsverify=True, tlscert=certificate, tlskey=key, tlscacert=str(tmp_path / "ca"))
        )
