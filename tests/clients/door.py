"""A door before a docker-registry: it asks for tokens, breaks off, and writes down who came and what for.

What it does is said by files in its directory: `token` (nobody is let in without one), `halfway` (of large
blobs half is sent, and then nothing more until the file is gone). What it has done is in `log`, a line of
JSON for each answer.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.clients.engine import Network
from tests.clients.registry import PASSWORD, USER, running

LARGE = 1 << 20


class Door(http.server.BaseHTTPRequestHandler):
    """Passes on what may pass."""

    protocol_version = "HTTP/1.1"
    directory: ClassVar[Path]
    upstream: ClassVar[str]
    lock: ClassVar[threading.Lock] = threading.Lock()

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def write_down(self, status: int, sent: int = 0, **more: object) -> None:
        """A line of the log."""
        line = {"method": self.command, "path": self.path, "status": status, "sent": sent, **more}
        line |= {
            "range": self.headers.get("Range", ""),
            "authorization": self.headers.get("Authorization", ""),
        }
        with self.lock, (self.directory / "log").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def handle_any(self) -> None:
        """Every request."""
        body = self.body()
        if urlsplit(self.path).path == "/token":
            self.give_token(body)
            return
        if (self.directory / "token").exists() and not self.may_pass():
            self.refuse()
            return
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        headers = {
            k: v for k, v in self.headers.items() if k.lower() not in ("authorization", "transfer-encoding")
        }
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("date", "server", "connection"):
                self.send_header(name, value)
        self.end_headers()
        self.pass_on(answer)
        connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def pass_on(self, answer: http.client.HTTPResponse) -> None:
        """The body of an answer, or half of it."""
        size = int(answer.getheader("Content-Length") or 0)
        cut = self.command == "GET" and size > LARGE and (self.directory / "halfway").exists()
        sent = 0
        while self.command != "HEAD" and (
            data := answer.read(min(1 << 16, size // 2 - sent if cut else 1 << 16))
        ):
            self.wfile.write(data)
            sent += len(data)
            if cut and sent >= size // 2:
                break
        self.write_down(answer.status, sent, cut=cut)
        while cut and (self.directory / "halfway").exists():
            time.sleep(0.01)
        if cut:
            self.close_connection = True

    def body(self) -> bytes:
        """What came with the request."""
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(data)

    def may_pass(self) -> bool:
        """Has it a token for what it wants?"""
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            scopes = json.loads(base64.urlsafe_b64decode(token)) if kind == "Bearer" else []
        except ValueError:
            return False
        return kind == "Bearer" and (self.scope() in scopes or urlsplit(self.path).path == "/v2/")

    def scope(self) -> str:
        """What is needed for this request."""
        name = (
            urlsplit(self.path).path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
        )
        action = "pull" if self.command in ("GET", "HEAD") else "push"
        return f"{name.removesuffix('/tags/list')}:{action}"

    def refuse(self) -> None:
        """Say where tokens are."""
        host = self.headers["Host"]
        name, _, action = self.scope().rpartition(":")
        wanted = f"repository:{name}:{'pull' if action == 'pull' else 'pull,push'}"
        scope = "" if urlsplit(self.path).path == "/v2/" else f',scope="{wanted}"'
        challenge = f'Bearer realm="http://{host}/token",service="door"{scope}'
        self.write_down(401)
        self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "a token is needed"}]}, challenge)

    def give_token(self, body: bytes) -> None:
        """For whoever knows the password; strangers may pull what begins with `public/`."""
        asked = parse_qs(body.decode() if self.command == "POST" else urlsplit(self.path).query)
        known = (
            self.headers.get("Authorization", "")
            == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        )
        known = known or asked.get("password") == [PASSWORD]
        if not known and ("Authorization" in self.headers or "password" in asked):
            self.write_down(401)
            self.answer(401, {"details": "incorrect username or password"})
            return
        scopes = []
        for scope in " ".join(asked.get("scope", [])).split():
            _, name, actions = scope.split(":")
            scopes += [
                f"{name}:{action}"
                for action in actions.split(",")
                if known or (action == "pull" and name.startswith("public/"))
            ]
        self.write_down(200, scopes=scopes, known=known)
        token = base64.urlsafe_b64encode(json.dumps(scopes).encode()).decode()
        self.answer(200, {"token": token, "access_token": token, "expires_in": 300})

    def answer(self, status: int, body: Any, challenge: str = "") -> None:
        """JSON of our own."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def serve(address: str, directory: str, upstream: str) -> None:
    """Runs a door, for ever."""
    host, _, port = address.rpartition(":")
    Door.directory, Door.upstream = Path(directory), upstream
    http.server.ThreadingHTTPServer((host, int(port)), Door).serve_forever()


@contextlib.contextmanager
def door(network: Network, address: str, directory: Path, upstream: str) -> Iterator[Path]:
    """A door, for the block; its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    root = str(Path(__file__).parents[2])
    call = f"serve({address!r}, {str(directory)!r}, {upstream!r})"
    code = f"import sys; sys.path.insert(0, {root!r}); from tests.clients.door import serve; {call}"
    with running(network, address, sys.executable, "-c", code):
        yield directory


def visits(directory: Path, part: str = "") -> list[dict[str, Any]]:
    """What was answered so far, where the path has `part` in it."""
    log = directory / "log"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line for line in lines if part in line["path"]]
