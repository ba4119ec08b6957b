"""Authorization plugins, through the docker command and by bytes that no client sends."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import DOCKER, Engine, Network
from tests.clients.test_listeners import certificates
from tests.sample_plugins import Process

DENIED = "authorization denied by plugin guard"


class Guarded:
    """An engine whose every request a plugin is asked about."""

    def __init__(self, engine: Engine, plugin: Process) -> None:
        self.engine, self.plugin = engine, plugin

    def deny(self, **patterns: str) -> None:
        """Nothing that matches these patterns is allowed."""
        (self.plugin.state / "policy.json").write_text(json.dumps(patterns))

    def post(self, path: str, body: bytes, *headers: str) -> bytes:
        """The answer to a request written by hand."""
        head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *headers])
        return self.engine.raw(f"{head}\r\n\r\n".encode() + body, timeout=20)

    def bodies(self) -> list[bytes]:
        """What it was shown of requests."""
        asked = self.plugin.calls("AuthZPlugin.AuthZReq")
        return [base64.b64decode(one["request"].get("RequestBody", "")) for one in asked]


@pytest.fixture(scope="module")
def guarded(place: Path, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One for all tests of this file."""
    with Network(f"mobyt-{uuid.uuid4().hex[:8]}") as network:
        engine = Engine(place / "guarded", network, KIND, ("--authorization-plugin", "guard"))
        with Process(
            "authorization", engine.plugins / "guard.sock", tmp_path_factory.mktemp("guard")
        ) as plugin:
            engine.start()
            try:
                engine.ok("load", "--input", archive)
                yield Guarded(engine, plugin)
                assert engine.stop() == 0
            finally:
                engine.remove()


@pytest.fixture(autouse=True)
def _allowing(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "guarded" in request.fixturenames:
        guarded = request.getfixturevalue("guarded")
        guarded.deny()
        guarded.plugin.feel()


def test_what_it_allows_is_done_and_what_it_denies_is_not(guarded: Guarded) -> None:
    engine = guarded.engine
    engine.ok("volume", "create", "one")
    guarded.deny(request="POST .*/volumes/create")
    assert (
        engine.fails("volume", "create", "two")
        == f"Error response from daemon: {DENIED}: no request like that"
    )
    assert engine.ok("volume", "ls", "-q") == "one"
    engine.ok("volume", "rm", "one")
    assert json.loads(engine.ok("info", "-f", "{{json .Plugins.Authorization}}")) == ["guard"]


def test_an_answer_can_be_kept_back(guarded: Guarded) -> None:
    engine = guarded.engine
    engine.ok("volume", "create", "secret")
    guarded.deny(response="secret")
    assert f"{DENIED}: no response like that" in engine.fails("volume", "ls")
    guarded.deny()
    engine.ok("volume", "rm", "secret")


@pytest.mark.docker28
def test_errors_reach_the_client(guarded: Guarded) -> None:
    guarded.deny(response=" 404 ")
    assert "no such volume" in guarded.engine.fails("volume", "inspect", "nothing")


@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_that_is_shown_is_the_one_that_counts(guarded: Guarded, chunked: bool) -> None:
    body = b'{"Name": "bad"}'
    guarded.deny(body='"bad"')
    json_type = "Content-Type: application/json"
    if chunked:
        pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        answer = guarded.post("/v1.41/volumes/create", pieces, json_type, "Transfer-Encoding: chunked")
    else:
        answer = guarded.post("/v1.41/volumes/create", body, json_type, f"Content-Length: {len(body)}")
    assert b" 403 " in answer.partition(b"\r\n")[0]
    assert f"{DENIED}: no body like that".encode() in answer
    assert body in guarded.bodies()
    assert guarded.engine.ok("volume", "ls", "-q") == ""


@pytest.mark.parametrize("headers", [
    ("Content-Type: application/json", "Content-Length: 0"),
    ("Content-Type: application/json",),
    ("Content-Type: text/plain", "Content-Length: 15"),
    ("Content-Type: application/json; charset=utf-8", "Content-Length: 15"),
    ("Content-Length: 15",),
    ("Content-Type: APPLICATION/JSON", "content-type: text/plain", "Content-Length: 15"),
])  # fmt: skip
def test_no_body_goes_past_it(guarded: Guarded, headers: tuple[str, ...]) -> None:
    guarded.deny(body='"bad"')
    guarded.post("/v1.41/volumes/create", b'{"Name": "bad"}', *headers)
    names = guarded.engine.ok("volume", "ls", "-q").split()
    assert "bad" not in names
    if names:
        guarded.engine.ok("volume", "rm", *names)


def test_a_body_that_is_too_large_to_be_shown_is_refused(guarded: Guarded) -> None:
    body = b'{"Name": "' + b"x" * (4 << 20) + b'"}'
    answer = guarded.post(
        "/v1.41/volumes/create", body, "Content-Type: application/json", f"Content-Length: {len(body)}"
    )
    assert b" 500 " in answer.partition(b"\r\n")[0]
    assert b"request body too large for authorization plugin: size exceeds 4194304 bytes" in answer


def test_a_commit_s_body_is_shown_whatever_it_is_called(guarded: Guarded) -> None:
    guarded.deny(body="Privileged")
    answer = guarded.post("/v1.41/commit?container=x", b'{"Privileged": 1}', "Content-Length: 17")
    assert f"{DENIED}: no body like that".encode() in answer


def test_passwords_are_not_shown(guarded: Guarded) -> None:
    before = len(guarded.bodies())
    body = b'{"username": "a", "password": "hush", "serveraddress": "127.0.0.1:x"}'
    guarded.post("/v1.41/auth", body, "Content-Type: application/json", f"Content-Length: {len(body)}",
                 "X-Registry-Auth: hush", "Authorization: hush")  # fmt: skip
    assert guarded.bodies()[before:] == [b""]
    assert "hush" not in json.dumps(guarded.plugin.calls()[-2:])


def test_pings_are_asked_about_too(guarded: Guarded) -> None:
    guarded.deny(request="_ping")
    assert b" 403 " in guarded.engine.raw(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[:20]


@pytest.mark.docker28
def test_streams_and_connections_taken_over_go_through_it(guarded: Guarded) -> None:
    engine = guarded.engine
    engine.ok("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo said; sleep 600")
    assert engine.ok("logs", "box") == "said"
    assert engine.ok("exec", "-i", "box", "cat", input="typed") == "typed"
    for pattern, command in (
        ("GET .*/logs", ("logs", "box")), ("POST .*/exec/.*/start", ("exec", "box", "touch", "/mark")),
        ("GET .*/events", ("events",)), ("POST .*/attach", ("attach", "--no-stdin", "box")),
    ):  # fmt: skip
        for key in ("request", "response"):
            guarded.deny(**{key: pattern})
            result = engine.docker(*command)
            # Of a refused upgrade the command tells the status alone.
            words = "received 403" if command[0] in ("exec", "attach") else f"{DENIED}: no {key} like that"
            assert words in result.err, (command, key, result)
    guarded.deny()
    engine.fails("exec", "box", "ls", "/mark")
    engine.ok("rm", "-f", "box")


def test_what_follows_an_upgrade_that_is_denied_is_no_request(guarded: Guarded) -> None:
    guarded.deny(request="POST .*/attach")
    smuggled = b"POST /v1.41/volumes/create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    head = b"POST /v1.41/containers/x/attach?stream=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    answer = guarded.engine.raw(head + smuggled, timeout=5)
    assert answer.count(b"HTTP/1.1") == 1
    assert guarded.engine.ok("volume", "ls", "-q") == ""


def test_one_that_does_not_work_allows_nothing(guarded: Guarded) -> None:
    for mood in ("refuse", "garbage", "die"):
        guarded.plugin.feel(AuthZPlugin_AuthZReq=mood)
        assert "plugin guard failed with error: " in guarded.engine.fails("volume", "ls")


def wait_for_line(engine: Engine, words: str) -> None:
    """Returns when the daemon's log has these words."""
    deadline = time.monotonic() + 20
    while words not in engine.log.read_text():
        assert time.monotonic() < deadline, engine.tail()
        time.sleep(0.01)


def test_plugins_change_while_it_runs_and_know_users_by_their_certificates(
    make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    certificates(tmp_path)
    settings = tmp_path / "daemon.json"
    settings.write_text("{}")

    def keys(name: str) -> list[str]:
        files = (("cacert", "ca.pem"), ("cert", f"{name}.pem"), ("key", f"{name}-key.pem"))
        return ["--tlsverify", *(f"--tls{flag}={tmp_path / file}" for flag, file in files)]

    engine = make_engine(
        "--config-file", str(settings), *keys("server"), "--host", "tcp://127.0.0.1:2376", load=False
    )

    def remotely() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*engine.network.enter, DOCKER, "-H", "tcp://127.0.0.1:2376", *keys("client"), "volume", "ls"],
            capture_output=True, text=True, timeout=60, check=False,
            env=os.environ | {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": ""},
        )  # fmt: skip

    with Process("authorization", engine.plugins / "guard.sock", tmp_path / "guard") as plugin:
        for names, words in (
            (["absent"], "configuration not reloaded"),
            (["guard"], "configuration reloaded"),
        ):
            settings.write_text(json.dumps({"authorization-plugins": names}))
            os.kill(engine.pid, signal.SIGHUP)
            wait_for_line(engine, words)
        assert (
            'Error validating authorization plugin: plugin \\"absent\\" not found' in engine.log.read_text()
        )
        assert plugin.calls() == []
        assert remotely().returncode == 0
        asked = plugin.calls("AuthZPlugin.AuthZReq")[-1]["request"]
        assert (asked["User"], asked["UserAuthNMethod"]) == ("client", "TLS")
        assert base64.b64decode(asked["RequestPeerCertificates"][0]).startswith(
            b"-----BEGIN CERTIFICATE-----\n"
        )
        engine.ok("volume", "ls")
        assert "User" not in plugin.calls("AuthZPlugin.AuthZReq")[-1]["request"]
        (plugin.state / "policy.json").write_text('{"user": "client"}')
        assert DENIED in remotely().stderr
        engine.ok("volume", "ls")
        engine.stop()


def test_a_daemon_does_not_start_without_its_plugin(make_engine: Callable[..., Engine]) -> None:
    with pytest.raises(
        RuntimeError, match='failed to validate authorization plugin: plugin "absent" not found'
    ):
        make_engine("--authorization-plugin", "absent", load=False)
