from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from moby.core.errors import Unavailable
from moby.logs import google
from tests.log_servers import HttpServer, Request


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RSA key in PKCS#8."""
    path = tmp_path_factory.mktemp("key") / "key.pem"
    command = [
        "openssl",
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        str(path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HttpServer]:
    """Google's token service and a machine's own, and no file of this host's."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.delenv("GCE_METADATA_HOST", raising=False)
    monkeypatch.setattr(google, "_PRODUCT", tmp_path / "product_name")
    with HttpServer(
        lambda _: (200, b'{"access_token": "open", "expires_in": 3599, "token_type": "Bearer"}')
    ) as server:
        yield server


def credentials(path: Path, monkeypatch: pytest.MonkeyPatch, **fields: str) -> None:
    path.write_text(json.dumps(fields))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_signature_is_what_openssl_takes(key: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.pem"
    subprocess.run(
        ["openssl", "rsa", "-in", key, "-traditional", "-out", plain], check=True, capture_output=True
    )
    assert b"BEGIN RSA PRIVATE KEY" in plain.read_bytes()
    signature = google.signature(key.read_text(), b"said")
    assert signature == google.signature(plain.read_text(), b"said")
    (tmp_path / "sig").write_bytes(signature)
    (tmp_path / "said").write_bytes(b"said")
    signed, said = str(tmp_path / "sig"), str(tmp_path / "said")
    verify = ["openssl", "dgst", "-sha256", "-prverify", str(key), "-signature", signed, said]
    assert b"Verified OK" in subprocess.run(verify, check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN X-----\nAAAA\n-----END X-----", "-----BEGIN X-----\n=\n-----END X-----"]
)
def test_a_key_that_is_none(text: str) -> None:
    with pytest.raises(Unavailable, match="private key should be a PEM"):
        google.signature(text, b"")


def test_an_account_of_a_service_says_who_it_is(
    service: HttpServer, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials(
        tmp_path / "account.json", monkeypatch, type="service_account", client_email="me@there", private_key_id="k1",
        private_key=key.read_text(), token_uri=f"{service.url}/token",
    )  # fmt: skip
    token = google.tokens()
    assert token() == token() == "open"
    (request,) = service.requests
    form = dict(part.split("=") for part in request.body.decode().split("&"))
    assert form["grant_type"] == "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
    head, claims, _ = form["assertion"].split(".")
    assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    said = json.loads(decoded(claims))
    assert (said["iss"], said["aud"], said["scope"]) == ("me@there", f"{service.url}/token", google.SCOPE)
    assert said["exp"] - said["iat"] == 3600


def test_a_user_has_a_refresh_token(
    service: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "application_default_credentials.json").write_text(
        json.dumps({
            "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
            "token_uri": f"{service.url}/token",
        })
    )  # fmt: skip
    assert google.tokens()() == "open"
    assert service.requests[0].body == b"grant_type=refresh_token&client_id=i&client_secret=s&refresh_token=r"


def test_a_machine_of_theirs_knows(service: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not google.on_google()
    monkeypatch.setenv("GCE_METADATA_HOST", service.url.removeprefix("http://").rstrip("/"))
    assert google.on_google()
    assert google.tokens()() == "open"
    (request,) = service.requests
    assert request.headers["metadata-flavor"] == "Google"
    assert request.path.startswith("/computeMetadata/v1/instance/service-accounts/default/token")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type": "external_account"}', 'credentials of the type "external_account" are not supported'),
        ("nonsense", "cannot read credentials"),
        ('{"type": "service_account", "private_key": "x"}', "private key should be a PEM"),
        (None, "no such file or directory"),
    ],
)
def test_credentials_that_are_none(
    service: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "c").write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "c"))
    with pytest.raises(Unavailable, match=words):
        google.tokens()()


def test_nobody_at_all(service: HttpServer) -> None:
    with pytest.raises(Unavailable, match="could not find default credentials"):
        google.tokens()()


def test_the_answer_has_to_be_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: HttpServer
) -> None:
    def refusing(_: Request) -> tuple[int, bytes]:
        return 400, b'{"error": "invalid_grant"}'

    with HttpServer(refusing) as server:
        credentials(tmp_path / "c", monkeypatch, type="authorized_user", token_uri=f"{server.url}/token")
        with pytest.raises(Unavailable, match=r"400 Bad Request - .*invalid_grant"):
            google.tokens()()
