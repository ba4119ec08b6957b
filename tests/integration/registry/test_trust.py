"""Registries that want a name, a password, or a certificate that is trusted."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from moby.core.errors import MobyError, NotFound, System, Unauthorized
from moby.core.reference import parse_reference
from moby.core.types.registries import AuthConfig
from moby.images.jobs import Report
from moby.images.pull import Puller, PullRequest
from moby.images.registry.client import Registries
from moby.images.registry.login import log_in
from moby.images.registry.settings import RegistryConfig
from moby.testing.images import MemoryImages
from tests.integration.registry.conftest import Made, upload

pytestmark = pytest.mark.registry


def silent(_: object) -> None:
    return


def bcrypt_line(directory: Path) -> Path:
    """A password file; skips where nothing can hash the way registries want it."""
    file = directory / "htpasswd"
    try:
        import crypt

        hashed = crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH))
    except (ImportError, OSError):
        hashed = ""
    if not hashed or not hashed.startswith("$2"):
        pytest.skip("needs bcrypt")
    file.write_text(f"user:{hashed}\n")
    return file


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_name_and_password(start_registry: Callable[..., str], tmp_path: Path) -> None:
    file = bcrypt_line(tmp_path)
    host = start_registry(rest=f"auth: {{htpasswd: {{realm: test, path: {file}}}}}")
    made = Made({"a": b"1"})
    upload(f"http://{host}", "a", "1", made, auth="Basic " + base64.b64encode(b"user:secret").decode())
    config = RegistryConfig(certs_dir=str(tmp_path), retry_delay_s=0.01)
    good, bad = (
        AuthConfig("user", "secret", server_address=host),
        AuthConfig("user", "no", server_address=host),
    )
    reference = parse_reference(f"{host}/a:1")
    async with Registries(lambda: config) as registries:
        store = MemoryImages()
        puller = Puller(store, registries)
        with pytest.raises(System, match="no basic auth credentials"):
            await puller.pull(PullRequest(reference), Report(silent))
        with pytest.raises(NotFound, match="pull access denied"):
            await puller.pull(PullRequest(reference, auth=bad), Report(silent))
        assert (
            await puller.pull(PullRequest(reference, auth=good), Report(silent))
        ).target.digest == made.digest
        assert (await log_in(registries, good)).status == "Login Succeeded"
        with pytest.raises(Unauthorized):
            await log_in(registries, bad)


def openssl(*arguments: str, directory: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


async def test_certificates(start_registry: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "ext").write_text("subjectAltName=DNS:registry.test,IP:127.0.0.1\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=ca", directory=tmp_path)  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "s.key", "-out", "s.csr", "-subj", "/CN=s",
            directory=tmp_path)  # fmt: skip
    openssl("x509", "-req", "-in", "s.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", "s.pem", directory=tmp_path)  # fmt: skip
    host = start_registry(http=f"  tls: {{certificate: {tmp_path}/s.pem, key: {tmp_path}/s.key}}")
    made = Made({"a": b"1"})
    upload(
        f"https://{host}", "a", "1", made, context=ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    )
    certs = tmp_path / "certs.d"
    (certs / host).mkdir(parents=True)
    config = RegistryConfig(certs_dir=str(certs), retry_delay_s=0.01, max_download_attempts=1)
    from moby.images.registry import endpoints

    reference = parse_reference(f"{host}/a:1")
    with pytest.MonkeyPatch.context() as patch:
        # An address of this machine is never verified otherwise.
        patch.setattr(endpoints, "is_insecure", lambda domain, config: False)
        async with Registries(lambda: config) as registries:
            with pytest.raises(MobyError, match=r"failed to verify certificate: x509"):
                await Puller(MemoryImages(), registries).pull(PullRequest(reference), Report(silent))
            (certs / host / "ca.crt").write_bytes((tmp_path / "ca.pem").read_bytes())
            image = await Puller(MemoryImages(), registries).pull(PullRequest(reference), Report(silent))
            assert image.target.digest == made.digest
    async with Registries(lambda: config) as registries:
        image = await Puller(MemoryImages(), registries).pull(PullRequest(reference), Report(silent))
        assert image.target.digest == made.digest
