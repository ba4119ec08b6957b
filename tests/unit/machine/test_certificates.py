"""Certificates for an engine that listens on TCP, and for its clients."""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
from pathlib import Path

import pytest

from moby.core.errors import Conflict, InvalidParameter
from moby.machine.certificates import make_certificates

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def shake_hands(folder: Path, host: str) -> None:
    """Both sides in memory, each asking the other for a certificate."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
    client.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    for side in (server, client):
        side.load_verify_locations(folder / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    pipes = [ssl.MemoryBIO() for _ in range(4)]
    ends = [
        client.wrap_bio(pipes[0], pipes[1], server_hostname=host),
        server.wrap_bio(pipes[2], pipes[3], server_side=True),
    ]
    for _step in range(6):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            pipes[2].write(pipes[1].read())
            pipes[0].write(pipes[3].read())


@needs_openssl
async def test_server_and_client_trust_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    made = await make_certificates(folder, ["engine.example", "10.0.2.15"])
    assert {path.name for path in made} == {path.name for path in folder.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    for host in ("127.0.0.1", "localhost", "engine.example", "10.0.2.15"):
        shake_hands(folder, host)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folder, "elsewhere.example")
    told = json.loads((folder / "data.json").read_text())["docker"]["entries"]
    assert told["server-key.pem"]["content"] == (folder / "server-key.pem").read_text()
    assert set(told) == {"ca.pem", "server-cert.pem", "server-key.pem"}
    with pytest.raises(Conflict, match="certificates in"):
        await make_certificates(folder)


async def test_what_is_no_host_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="is no name of a host"):
        await make_certificates(tmp_path / "certs", ["a,IP:1.2.3.4"])
    assert not (tmp_path / "certs").exists()
