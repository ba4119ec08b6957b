"""Wrong requests get the status and the words that docker users know, change nothing, and leave the engine serving."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from docker.errors import NotFound

from tests.clients.engine import Engine
from tests.clients.registry import broken_registry

# Debian's dockerd is so old that it calls some bad requests its own fault.
BAD_REQUEST = {"mobyd": 400, "dockerd": 500}


@pytest.fixture(autouse=True)
def nothing_is_made(engine: Engine) -> Iterator[None]:
    """Images, containers, volumes and devices are afterwards what they were before."""
    before = held(engine)
    yield
    engine.docker_quietly("ps", "-aq", then=("rm", "-fv"))
    assert held(engine) == before


def held(engine: Engine) -> tuple[str, ...]:
    """What the engine holds, and its devices."""
    return (
        engine.ok("images", "-aq"),
        engine.ok("volume", "ls", "-q"),
        " ".join(sorted(engine.leftovers().links)),
    )


def call(
    engine: Engine, method: str, path: str, body: bytes = b"", kind: str = "application/json"
) -> tuple[int, str]:
    """A request as no client would make it: the status, and the error's message."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = engine.raw(head.encode() + body)
    header, _, rest = answer.partition(b"\r\n\r\n")
    if b"chunked" in header.lower():
        rest = rest.split(b"\r\n")[1]
    status = int(header.split()[1])
    if b"application/json" not in header or not rest.strip():
        return status, rest.decode(errors="replace").strip()
    return status, json.loads(rest).get("message", "")


def test_unknown_image(engine: Engine) -> None:
    status, said = call(engine, "POST", "/v1.41/containers/create", b'{"Image": "nosuch:1"}')
    assert (status, said) == (404, "No such image: nosuch:1")


def test_unknown_container(engine: Engine) -> None:
    for method, path in (
        ("GET", "/containers/nosuch/json"), ("POST", "/containers/nosuch/start"), ("DELETE", "/containers/nosuch"),
        ("POST", "/containers/nosuch/kill"), ("GET", "/containers/nosuch/logs?stdout=1"), ("POST", "/containers/nosuch/stop"),
    ):  # fmt: skip
        status, said = call(engine, method, path)
        assert status == 404, path
        assert said.endswith("No such container: nosuch"), path


def test_name_in_use(engine: Engine) -> None:
    identifier = engine.ok("create", "--name", "taken", "busybox")
    said = engine.fails("create", "--name", "taken", "busybox")
    assert f'Conflict. The container name "/taken" is already in use by container "{identifier}"' in said
    assert "You have to remove (or rename) that container to be able to reuse that name." in said
    assert engine.ok("ps", "-aq", "--no-trunc") == identifier


@pytest.mark.parametrize("name", ["a", "-x", "a/b", "a b", "ü"])
def test_bad_name(engine: Engine, name: str) -> None:
    said = engine.fails("create", f"--name={name}", "busybox")
    assert f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" in said


def test_bad_json(engine: Engine) -> None:
    status, said = call(engine, "POST", "/containers/create", b'{"Image": ')
    assert status == BAD_REQUEST[engine.kind]
    assert said


def test_wrong_type(engine: Engine) -> None:
    status, said = call(engine, "POST", "/containers/create", b'{"Image": 5}')
    assert status in {400, 500}
    assert said


def test_not_json_at_all(engine: Engine) -> None:
    status, said = call(engine, "POST", "/containers/create", b"Image=x", kind="text/plain")
    assert status == 400
    assert "Content-Type" in said


def test_no_command(engine: Engine) -> None:
    said = engine.fails("run", "busybox", "nosuchcommand", code=127)
    assert "executable file not found in $PATH" in said
    engine.fails("run", "--rm", "busybox", "/no/such/file", code=127)


def test_not_executable(engine: Engine) -> None:
    said = engine.fails("run", "busybox", "/etc/passwd", code=126)
    assert "permission denied" in said
    assert engine.ok("ps", "-aq", "-f", "status=created")
    engine.fails("run", "--rm", "busybox", "/etc", code=126)


def test_missing_source_of_a_mount(engine: Engine) -> None:
    said = engine.fails("run", "--mount", "type=bind,source=/no/such,target=/x", "busybox", code=125)
    assert 'invalid mount config for type "bind": bind source path does not exist: /no/such' in said
    assert engine.ok("ps", "-aq") == ""


def test_port_in_use(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "first", "-p", "18090:80", "busybox", "sleep", "60")
    said = engine.fails("run", "--name", "second", "-p", "18090:80", "busybox", "true", code=125)
    assert "port is already allocated" in said
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "second") == "created"


def test_port_out_of_range(engine: Engine) -> None:
    body = b'{"Image": "busybox", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "70000"}]}}}'
    status, said = call(engine, "POST", "/containers/create", body)
    assert status == 400
    assert "invalid port" in said.lower()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b'{"Image":"busybox","HostConfig":{"Memory":1}}', "Minimum memory limit", id="memory"),
        pytest.param(b'{"Image":"busybox","HostConfig":{"RestartPolicy":{"Name":"soon"}}}', "restart policy", id="policy"),
        pytest.param(b'{"Image":"busybox","HostConfig":{"Binds":["/a:/b:zz"]}}', "mode", id="bind mode"),
        pytest.param(b'{"Image":"busybox","HostConfig":{"Binds":["relative/x:/b"]}}', "invalid", id="bind source"),
        pytest.param(b'{"Image":"busybox","Env":["=x"]}', "invalid environment variable", id="environment"),
        pytest.param(b'{"Image":"busybox","WorkingDir":"relative"}', "working directory", id="working directory"),
        pytest.param(b'{"Image":"busybox","StopSignal":"NOSUCH"}', "ignal", id="signal"),
        pytest.param(b'{"Image":"BUSYBOX"}', "must be lowercase", id="reference"),
        pytest.param(b'{"Image":"busybox","HostConfig":{"NetworkMode":"container:nosuch"}}', "No such container", id="join"),
        pytest.param(b'{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"nosuch"}}}', "log", id="log driver"),
    ],
)  # fmt: skip
def test_unknown_values_are_refused(engine: Engine, body: bytes, words: str) -> None:
    status, said = call(engine, "POST", "/containers/create?name=refused", body)
    if status == 201:  # some are found out when the container starts
        status, said = call(engine, "POST", "/containers/refused/start")
    assert status in {400, 404, 409, 500}, said
    assert words in said


def test_unknown_network(engine: Engine) -> None:
    said = engine.fails("run", "--network", "nosuch", "busybox", code=125)
    assert "network nosuch not found" in said


@pytest.mark.parametrize(
    ("mode", "words"),
    [("nosuch", "network nosuch not found"), ("container:nosuch", "No such container: nosuch")],
)
def test_a_network_that_is_not_there_is_found_out_at_start(engine: Engine, mode: str, words: str) -> None:
    with engine.client() as client:
        made = client.api.create_container("busybox", "true", host_config={"NetworkMode": mode})
        with pytest.raises(NotFound, match=words):
            client.api.start(made["Id"])


def test_an_image_that_is_here_is_not_looked_for_elsewhere(engine: Engine) -> None:
    # A 404 would have the client pull the image.
    for flags in (["--platform", "bogus"], ["--pid", "container:nosuch"], ["--ipc", "container:nosuch"]):
        assert "Unable to find image" not in engine.fails("run", "--rm", *flags, "busybox", code=125)


@pytest.mark.parametrize("values", ["status=odd", "health=odd", "exited=odd", "publish=odd", "is-task=odd"])
def test_filters_of_a_list_are_looked_at(engine: Engine, values: str) -> None:
    assert "odd" in engine.fails("ps", "--all", "--filter", values)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "invalid port range: value is empty"),
        ("odd/tcp", "invalid start port 'odd': invalid syntax"),
        ("65536", "invalid start port '65536': value out of range"),
        ("1-", "invalid end port '': value is empty"),
        ("1-2-3", "invalid end port '2-3': invalid syntax"),
        ("2-1", "invalid port range: 2-1"),
    ],
)
def test_ports_that_containers_are_looked_for_by(engine: Engine, value: str, words: str) -> None:
    for key in ("publish", "expose"):
        filters = quote(json.dumps({key: [value]}))
        status, said = call(engine, "GET", f"/v1.44/containers/json?filters={filters}")
        assert status == 500
        assert f"error while looking up for {key} {value}: {words}" in said


def test_a_new_name_that_is_none(engine: Engine) -> None:
    engine.ok("create", "--name", "named", "busybox")
    for name, words in (
        ("x/y", "Error when allocating new name: Invalid container name (/x/y)"),
        ("named", "Renaming a container with the same name as its current name"),
    ):
        assert words in engine.fails("rename", "named", name)
    status, said = call(engine, "POST", "/v1.44/containers/nosuch/rename?name=")
    assert status == 400
    assert "Neither old nor new names may be empty" in said


def test_api_versions_outside_the_range(engine: Engine) -> None:
    status, said = call(engine, "GET", "/v1.10/containers/json")
    assert status == 400
    assert "client version 1.10 is too old. Minimum supported API version is" in said
    status, said = call(engine, "GET", "/v9.99/containers/json")
    assert status == 400
    assert "client version 9.99 is too new. Maximum supported API version is" in said


def test_unknown_path_and_method(engine: Engine) -> None:
    assert call(engine, "GET", "/nosuch") == (404, "page not found")


def test_bad_filter(engine: Engine) -> None:
    status, said = call(engine, "GET", "/containers/json?filters=%7Bnonsense")
    assert status == BAD_REQUEST[engine.kind]
    assert said
    status, said = call(engine, "GET", "/containers/json?filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D")
    assert status == 400
    assert "invalid filter" in said.lower()


def test_body_too_large(engine: Engine) -> None:
    if engine.kind == "dockerd":
        pytest.skip("this peer has no limit")
    body = b'{"Image": "busybox", "Labels": {"a": "' + b"x" * (64 << 20) + b'"}}'
    status, _ = call(engine, "POST", "/containers/create", body)
    assert status in {400, 413}


def test_wrong_state(engine: Engine) -> None:
    identifier = engine.ok("create", "--name", "idle", "busybox", "true")
    status, said = call(engine, "POST", "/containers/idle/kill")
    assert status == 409
    assert "is not running" in said
    assert identifier in said
    status, said = call(engine, "POST", "/containers/idle/pause")
    assert status == 409
    assert "is not running" in said
    assert call(engine, "POST", "/containers/idle/stop") == (304, "")


def test_an_archive_that_is_none(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_bytes(b"\x01\x02 rubbish" * 5000)
    assert engine.docker("load", "-i", tmp_path / "rubbish").code == 1


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ("401", ("unauthorized", "no basic auth credentials", "said 401")),
        ("404", ("not found", "manifest unknown", "said 404")),
        ("429", ("toomanyrequests", "said 429")),
        ("500", ("said 500", "500", "unknown")),
        ("garbage", ("manifest", "invalid", "json")),
        ("wrong-digest", ("digest", "verification failed", "unexpected")),
        ("half", ("EOF", "digest", "verification failed", "unexpected", "size", "206")),
    ],
)
def test_a_registry_that_misbehaves(engine: Engine, repository: str, words: tuple[str, ...]) -> None:
    with broken_registry(engine.network, "127.0.0.1:5009") as address:
        said = engine.fails("pull", f"{address}/{repository}:latest", timeout=120)
    assert any(word in said for word in words), said


def test_a_registry_that_is_not_there(engine: Engine) -> None:
    assert "connection refused" in engine.fails("pull", "127.0.0.1:5010/x:1")


def test_there_are_no_plugins_that_an_engine_installs(engine: Engine) -> None:
    assert engine.ok("plugin", "ls", "-q") == ""
    for words in ("rm", "enable", "disable", "inspect", "upgrade"):
        assert 'plugin "nobody" not found' in engine.fails("plugin", words, "nobody")
    assert "nvalid filter 'foo'" in engine.fails("plugin", "ls", "--filter", "foo=bar")


@pytest.mark.parametrize(
    "body",
    [
        b'{"Image": "busybox", "HostConfig": {"PortBindings": {"80-82/tcp": [{"HostPort": "18130"}]}}}',
        b'{"Image": "busybox", "ExposedPorts": {"x/tcp": {}}, "HostConfig": {"PublishAllPorts": true}}',
    ],
)
def test_ports_that_are_none(engine: Engine, body: bytes) -> None:
    status, said = call(engine, "POST", "/v1.41/containers/create", body)
    assert status == 400
    assert "invalid port" in said


def test_a_protocol_in_capitals_is_one(engine: Engine) -> None:
    body = b'{"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": {"PortBindings": {"80/TCP": [{"HostPort": "18131"}]}}}'
    assert call(engine, "POST", "/v1.41/containers/create?name=capital", body)[0] == 201
    engine.ok("start", "capital")
    assert engine.ok("port", "capital", "80").splitlines()[0] == "0.0.0.0:18131"
