"""Registries for an engine to speak with: Debian's docker-registry, and one that misbehaves on purpose."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from tests.clients.engine import Network

USER, PASSWORD = "ali", "open sesame"
# The bcrypt hash of the password, since the registry takes no other kind and Python makes none.
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n"


def configuration(directory: Path, address: str, auth: bool, tls: bool) -> str:
    """The registry's own YAML."""
    text = f"""\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {directory}/data}}
  delete: {{enabled: true}}
http:
  addr: {address}
  secret: not one
"""
    if tls:
        text += f"  tls: {{certificate: {directory}/registry.crt, key: {directory}/registry.key}}\n"
    if auth:
        text += f"auth:\n  htpasswd: {{realm: test, path: {directory}/htpasswd}}\n"
    return text


def certify(directory: Path, address: str) -> None:
    """Writes a certificate for an IP address that vouches for itself."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
            "-subj", "/CN=registry.test",
            "-addext", f"subjectAltName=IP:{address}",
            "-keyout", f"{directory}/registry.key",
            "-out", f"{directory}/registry.crt",
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def await_port(network: Network, host: str, port: int, process: subprocess.Popen[bytes]) -> None:
    """Returns when somebody listens there."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the registry ended with {process.returncode}"
        with contextlib.suppress(OSError):
            network.connect(port, host).close()
            return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on {host}:{port}")


@contextlib.contextmanager
def running(network: Network, address: str, *command: str) -> Iterator[None]:
    """A server inside the namespace, from when it listens to the end of the block."""
    host, _, port = address.rpartition(":")
    with subprocess.Popen(
        [*network.enter, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            await_port(network, host, int(port), process)
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def registry(
    network: Network, directory: Path, address: str, *, auth: bool = False, tls: bool = False
) -> Iterator[str]:
    """A docker-registry; the block is given its address."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "config.yml"
    config.write_text(configuration(directory, address, auth, tls))
    (directory / "htpasswd").write_text(HTPASSWD)
    if tls:
        certify(directory, address.rpartition(":")[0])
    with running(network, address, "docker-registry", "serve", str(config)):
        yield address


@contextlib.contextmanager
def broken_registry(network: Network, address: str) -> Iterator[str]:
    """A registry whose repositories are named after what is wrong with them; see `Broken`."""
    program = Path(__file__)
    root = str(program.parents[2])
    host, _, port = address.rpartition(":")
    code = f"import sys; sys.path.insert(0, {root!r}); from tests.clients.registry import serve; serve({host!r}, {port})"
    with running(network, address, sys.executable, "-c", code):
        yield address


LAYER = b"no tar at all, but nobody comes so far\n" * 1000
CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(LAYER).hexdigest()]},
    }
).encode()
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    """A digest as registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(CONFIG),
            "digest": digest(CONFIG),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
                "size": len(LAYER),
                "digest": digest(LAYER),
            }
        ],
    }
).encode()


class Broken(http.server.BaseHTTPRequestHandler):
    """`/v2/NAME/...`: a status code as the name answers with it; `garbage`, `wrong-digest` and `half` do what they say."""

    protocol_version = "HTTP/1.1"
    failures: ClassVar[dict[str, str]] = {
        "401": "UNAUTHORIZED",
        "404": "MANIFEST_UNKNOWN",
        "429": "TOOMANYREQUESTS",
        "500": "UNKNOWN",
    }

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """Answers, badly."""
        parts = self.path.strip("/").split("/")
        name = parts[1] if len(parts) > 1 else ""
        if name in self.failures:
            body = json.dumps({"errors": [{"code": self.failures[name], "message": f"said {name}"}]}).encode()
            return self.answer(int(name), body, "application/json")
        if name == "garbage" and "manifests" in parts:
            return self.answer(200, b"\x00\xffthis is no manifest", MANIFEST_TYPE)
        if "manifests" in parts:
            return self.answer(200, MANIFEST, MANIFEST_TYPE)
        if "blobs" in parts:
            return self.blob(name, parts[-1])
        return self.answer(200, b"{}", "application/json")

    do_HEAD = do_GET  # noqa: N815

    def blob(self, name: str, wanted: str) -> None:
        """The configuration as it is; the layer as the repository's name says."""
        if wanted == digest(CONFIG):
            return self.answer(200, CONFIG, "application/octet-stream")
        if name == "half":
            return self.answer(200, LAYER, "application/octet-stream", send=len(LAYER) // 2)
        return self.answer(200, LAYER[::-1], "application/octet-stream")

    def answer(self, status: int, body: bytes, kind: str, send: int | None = None) -> None:
        """A response; with `send`, one that breaks off after so many bytes."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if status == 200 and kind == MANIFEST_TYPE:
            self.send_header("Docker-Content-Digest", digest(body))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="nobody"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:send])
        self.close_connection = send is not None


def serve(host: str, port: int) -> None:
    """Runs the registry that misbehaves, for ever."""
    http.server.ThreadingHTTPServer((host, port), Broken).serve_forever()
