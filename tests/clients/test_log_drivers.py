"""`docker run --log-driver ...`: what arrives at servers, what `docker logs` shows meanwhile, servers that fail."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine, setns
from tests.log_servers import HttpServer, Server, tcp, udp, unix

pytestmark = pytest.mark.skipif(KIND != "mobyd", reason="dockerd's own drivers")


def there(engine: Engine, kind: str) -> socket.socket:
    """A listening socket in the engine's network namespace."""
    made: list[socket.socket] = []

    def bind() -> None:
        with engine.network.path.open("rb") as namespace:
            setns(namespace.fileno())
        made.append(udp() if kind == "udp" else tcp())

    thread = threading.Thread(target=bind)
    thread.start()
    thread.join()
    return made[0]


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[Server]:
    """A syslog server at a local socket."""
    with Server(unix(tmp_path / "log")) as server:
        yield server


def options(driver: str, **found: str) -> tuple[str, ...]:
    """For `docker run`."""
    pairs = (("--log-opt", f"{name.replace('_', '-')}={value}") for name, value in found.items())
    return ("--log-driver", driver, *(word for pair in pairs for word in pair))


def test_the_drivers_are_listed(engine: Engine) -> None:
    listed = json.loads(engine.ok("info", "-f", "{{json .Plugins.Log}}"))
    assert {"awslogs", "fluentd", "gelf", "journald", "json-file", "local", "syslog"} <= set(listed)
    # As in dockerd, which has no driver for it.
    assert "none" not in listed


def test_syslog_gets_each_line_and_the_cache_is_read(engine: Engine, tmp_path: Path, syslog: Server) -> None:
    wanted = options("syslog", syslog_address=f"unix://{tmp_path}/log", tag="{{.Name}}", labels="tier")
    script = "seq 1 2000; echo trouble >&2; printf end"
    engine.ok("run", "--name", "sent", "--label", "tier=front", *wanted, "busybox", "sh", "-c", script)
    syslog.wait(lambda server: all(text in server.data for text in (b": 2000\n", b": trouble\n", b": end\n")))
    assert syslog.data.count(b"<30>") == 2001
    assert syslog.data.count(b" sent[") == 2002
    result = engine.docker("logs", "sent")
    assert result.out == "".join(f"{number}\n" for number in range(1, 2001)) + "end"
    assert result.err == "trouble\n"
    assert engine.ok("logs", "--details", "--tail", "1", "sent") == "tag=sent,tier=front end"


def test_without_a_cache_there_is_nothing_to_read(engine: Engine, tmp_path: Path, syslog: Server) -> None:
    wanted = options("syslog", syslog_address=f"unix://{tmp_path}/log", cache_disabled="true")
    engine.ok("run", "--name", "uncached", *wanted, "busybox", "echo", "far")
    syslog.wait_for(b": far\n")
    assert "configured logging driver does not support reading" in engine.fails("logs", "uncached")


def test_following_a_log_that_goes_elsewhere(engine: Engine, tmp_path: Path, syslog: Server) -> None:
    wanted = options("syslog", syslog_address=f"unix://{tmp_path}/log")
    script = "echo first; read go; echo second"
    engine.ok("run", "-d", "-i", "--name", "followed", *wanted, "busybox", "sh", "-c", script)
    with engine.spawn("logs", "-f", "followed") as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == "first\n"
        engine.docker("attach", "followed", input="go\n")
        assert logs.stdout.readline() == "second\n"
        assert logs.wait(20) == 0


def test_a_server_that_is_not_there_fails_the_start(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    wanted = options("syslog", syslog_address=f"unix://{tmp_path}/log")
    refused = engine.fails("run", "--name", "refused", *wanted, "busybox", "true", code=125)
    assert (
        "failed to create task for container: failed to initialize logging driver: "
        f"dial unix {tmp_path}/log: connect: connection refused" in refused
    )
    assert engine.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "refused") == "created 128"


def test_a_server_that_dies_does_not_take_the_container_along(
    engine: Engine, tmp_path: Path, syslog: Server
) -> None:
    wanted = options("syslog", syslog_address=f"unix://{tmp_path}/log")
    script = "echo first; read go; seq 1 1000; echo second"
    engine.ok("run", "-d", "-i", "--name", "left", *wanted, "busybox", "sh", "-c", script)
    syslog.wait_for(b": first\n")
    syslog.__exit__()
    engine.docker("attach", "left", input="go\n")
    assert engine.ok("wait", "left") == "0"
    assert engine.ok("logs", "--tail", "1", "left") == "second"
    assert engine.ok("ps", "-q") is not None


def test_a_server_that_does_not_read_holds_up_nothing_without_blocking(
    engine: Engine, tmp_path: Path
) -> None:
    with unix(tmp_path / "log"):
        wanted = options(
            "syslog", syslog_address=f"unix://{tmp_path}/log", mode="non-blocking", max_buffer_size="100k"
        )
        script = "seq 1 300000; echo done"
        engine.ok("run", "-d", "--name", "deaf", *wanted, "busybox", "sh", "-c", script)
        assert engine.ok("wait", "deaf") == "0"
        engine.ok("rm", "deaf")


def test_a_server_that_does_not_read_makes_the_container_wait_and_can_be_stopped(
    engine: Engine, tmp_path: Path
) -> None:
    with unix(tmp_path / "log") as listener:
        wanted = options("syslog", syslog_address=f"unix://{tmp_path}/log")
        script = "seq 1 2000000; echo done; sleep 3600"
        engine.ok("run", "-d", "--name", "waiting", *wanted, "busybox", "sh", "-c", script)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(4, socket.MSG_PEEK) == b"<30>"
            # The daemon and the monitor go on serving meanwhile.
            with engine.spawn("attach", "--no-stdin", "waiting"):
                assert engine.ok("exec", "waiting", "echo", "here") == "here"
            assert "done" not in engine.docker("logs", "--tail", "1", "waiting").out
            engine.ok("stop", "-t", "0", "waiting")
            assert engine.ok("inspect", "-f", "{{.State.Status}}", "waiting") == "exited"


def test_a_log_goes_on_over_the_daemon_s_death(
    make_engine: Callable[..., Engine], tmp_path: Path, syslog: Server
) -> None:
    engine = make_engine()
    wanted = options("syslog", syslog_address=f"unix://{tmp_path}/log")
    script = "echo first; while [ ! -e /go ]; do sleep 0.1; done; echo second"
    engine.ok("run", "-d", "--name", "lasting", *wanted, "busybox", "sh", "-c", script)
    syslog.wait_for(b": first\n")
    engine.kill()
    engine.start()
    engine.ok("exec", "lasting", "touch", "/go")
    syslog.wait_for(b": second\n")
    assert engine.ok("wait", "lasting") == "0"
    assert engine.ok("logs", "lasting") == "first\nsecond"
    engine.ok("rm", "lasting")


def test_gelf_by_udp(engine: Engine) -> None:
    with Server(there(engine, "udp")) as server:
        wanted = options("gelf", gelf_address=f"udp://127.0.0.1:{server.port}", env="WHERE")
        engine.ok("run", "--name", "grey", "-e", "WHERE=here", *wanted, "busybox", "echo", "hello")
        server.wait(lambda found: bool(found.packets))
    found = json.loads(gzip.decompress(server.packets[0]))
    assert (found["short_message"], found["_container_name"], found["_WHERE"]) == ("hello", "grey", "here")
    assert (found["_image_name"], found["_command"], found["version"]) == ("busybox", "echo hello", "1.1")
    assert found["_created"].endswith("Z")
    assert engine.ok("logs", "grey") == "hello"


def test_gelf_by_tcp(engine: Engine) -> None:
    with Server(there(engine, "tcp")) as server:
        wanted = options("gelf", gelf_address=f"tcp://127.0.0.1:{server.port}")
        engine.ok("run", "--name", "grey", *wanted, "busybox", "seq", "1", "100")
        server.wait(lambda found: found.data.count(b"\0") == 100)
    messages = [json.loads(part)["short_message"] for part in server.data.split(b"\0")[:-1]]
    assert messages == [str(number) for number in range(1, 101)]


@pytest.mark.parametrize(("driver", "wrong", "words"), [
    ("syslog", {"nonsense": "1"}, "unknown log opt 'nonsense' for syslog log driver"),
    ("syslog", {"syslog_facility": "x"}, "invalid syslog facility"),
    ("gelf", {}, "gelf-address is a required parameter"),
    ("journald", {"max_size": "1"}, "unknown log opt 'max-size' for journald log driver"),
    ("nonsense", {}, 'error looking up logging plugin nonsense: plugin "nonsense" not found'),
])  # fmt: skip
def test_wrong_options_are_refused_at_create(
    engine: Engine, driver: str, wrong: dict[str, str], words: str
) -> None:
    assert words in engine.fails("create", *options(driver, **wrong), "busybox", "true")


def test_fluentd(engine: Engine, tmp_path: Path) -> None:
    with Server(unix(tmp_path / "fluent")) as server:
        wanted = options("fluentd", fluentd_address=f"unix://{tmp_path}/fluent", tag="app.{{.Name}}")
        engine.ok("run", "--name", "fluent", *wanted, "busybox", "seq", "1", "1000")
        server.wait(lambda found: found.data.count(b"container_name\xa7/fluent") == 1000)
        assert server.data.count(b"\x94\xaaapp.fluent") == 1000
    assert engine.docker("logs", "fluent").out == "".join(f"{number}\n" for number in range(1, 1001))


def test_asynchronously_a_container_starts_without_a_server(engine: Engine, tmp_path: Path) -> None:
    wanted = options("fluentd", fluentd_address=f"unix://{tmp_path}/fluent", fluentd_retry_wait="10ms")
    refused = engine.fails("run", "--rm", *wanted, "busybox", "true", code=127)
    assert (
        f"failed to initialize logging driver: dial unix {tmp_path}/fluent: connect: no such file" in refused
    )
    script = "echo early; read go; echo late"
    later = ("--log-opt", "fluentd-async=true")
    engine.ok("run", "-d", "-i", "--name", "early", *wanted, *later, "busybox", "sh", "-c", script)
    with Server(unix(tmp_path / "fluent")) as server:
        server.wait_for(b"early")
        engine.docker("attach", "early", input="go\n")
        server.wait_for(b"late")
    assert engine.ok("wait", "early") == "0"


def test_splunk(engine: Engine) -> None:
    with HttpServer(lambda _: (200, b"{}"), listener=there(engine, "tcp")) as server:
        wanted = options("splunk", splunk_url=server.url, splunk_token="t", splunk_format="raw")
        engine.ok("run", "--name", "hec", *wanted, "busybox", "echo", "hello")
        server.wait(lambda: len(server.requests) == 2)
    found = json.loads(server.requests[1].body)
    assert found["event"].endswith(" hello")
    assert engine.ok("logs", "hec") == "hello"


def test_awslogs(make_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    engine = make_engine()
    with HttpServer(lambda _: (200, b"{}"), listener=there(engine, "tcp")) as server:
        wanted = options(
            "awslogs", awslogs_endpoint=server.url, awslogs_region="eu-west-1", awslogs_group="group"
        )
        engine.ok("run", "--name", "cloud", *wanted, "busybox", "seq", "1", "3")
        server.wait(lambda: len(server.requests) == 2)
    created, put = (json.loads(request.body) for request in server.requests)
    assert created["logGroupName"] == "group"
    assert put["logStreamName"] == created["logStreamName"] == engine.ok("inspect", "-f", "{{.Id}}", "cloud")
    assert [event["message"] for event in put["logEvents"]] == ["1", "2", "3"]
    assert engine.ok("logs", "cloud") == "1\n2\n3"
    engine.ok("rm", "cloud")


def test_gcplogs(make_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    assert engine.stop() == 0
    answer = b'{"access_token": "open", "expires_in": 3599}'
    with HttpServer(lambda _: (200, answer), listener=there(engine, "tcp")) as server:
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING", server.url)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(engine.root / "account.json"))
        user = {"type": "authorized_user", "token_uri": f"{server.url}/token"}
        (engine.root / "account.json").write_text(json.dumps(user))
        engine.start()
        engine.ok(
            "run", "--name", "cloud", *options("gcplogs", gcp_project="mine"), "busybox", "seq", "1", "3"
        )
        server.wait(lambda: len(server.requests) == 3)
    token, ping, put = server.requests
    assert token.path == "/token"
    assert json.loads(ping.body)["logName"] == "projects/mine/logs/ping"
    assert put.headers["authorization"] == "Bearer open"
    entries = json.loads(put.body)["entries"]
    assert [entry["jsonPayload"]["message"] for entry in entries] == ["1", "2", "3"]
    assert entries[0]["jsonPayload"]["container"]["name"] == "/cloud"
    assert engine.ok("logs", "cloud") == "1\n2\n3"
    engine.ok("rm", "cloud")
    refused = engine.fails("run", "--rm", *options("gcplogs"), "busybox", "true", code=125)
    assert "No project was specified and couldn't read project from the metadata server" in refused


def test_journald(engine: Engine) -> None:
    path = Path("/run/systemd/journal/socket")
    if path.exists():
        pytest.skip("this host has a journal")
    made = [parent for parent in (path.parent, path.parent.parent) if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with Server(unix(path, socket.SOCK_DGRAM)) as server:
            engine.ok("run", "--name", "journal", *options("journald"), "busybox", "echo", "hello")
            server.wait_for(b"MESSAGE=hello\n")
            assert b"CONTAINER_NAME=journal\n" in server.data
            assert b"PRIORITY=6\n" in server.data
        assert engine.ok("logs", "journal") == "hello"
    finally:
        path.unlink()
        for directory in made:
            directory.rmdir()
    refused = engine.fails("run", "--rm", *options("journald"), "busybox", "true", code=125)
    assert "failed to initialize logging driver: journald is not enabled on this host" in refused


def test_the_daemon_s_own_options_are_used_and_checked(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(
        "--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "cache-disabled=true"
    )
    form = "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Config}}"
    engine.ok("create", "--name", "usual", "busybox", "true")
    assert engine.ok("inspect", "-f", form, "usual") == "local map[cache-disabled:true max-size:1m]"
    engine.ok(
        "create", "--name", "same", "--log-driver", "local", "--log-opt", "max-size=2m", "busybox", "true"
    )
    assert engine.ok("inspect", "-f", form, "same") == "local map[cache-disabled:true max-size:2m]"
    engine.ok("create", "--name", "other", "--log-driver", "json-file", "busybox", "true")
    assert engine.ok("inspect", "-f", form, "other") == "json-file map[cache-disabled:true]"
    assert engine.ok("info", "-f", "{{.LoggingDriver}}") == "local"
    engine.ok("rm", "usual", "same", "other")
