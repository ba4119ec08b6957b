"""The gcplogs driver against a little Cloud Logging and a little machine of Google's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from moby.core.errors import InvalidParameter, Unavailable
from moby.core.logs import LogInfo, LogWriter
from moby.logs.drivers.gcplogs import GcpLogs
from tests.log_servers import HttpServer, Request

NOW = 1_700_000_000_123_456_789
MACHINE = {
    "project/project-id": "proj", "instance/zone": "projects/1/zones/eu-1", "instance/name": "vm", "instance/id": "42",
}  # fmt: skip


class Cloud:
    """Takes entries from whoever has a token; `refusals` are given first."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.refusals: list[int] = []
        self.server = HttpServer(self.reply)

    def reply(self, request: Request) -> tuple[int, bytes]:
        """As the two services do."""
        machine, _, path = request.path.partition("/computeMetadata/v1/")
        if not machine and path:
            if path.startswith("instance/service-accounts/default/token"):
                return 200, b'{"access_token": "open", "expires_in": 3599}'
            return 200, MACHINE[path].encode()
        assert request.path == "/v2/entries:write"
        assert request.headers["authorization"] == "Bearer open"
        if self.refusals:
            return self.refusals.pop(0), b"no"
        self.calls.append(json.loads(request.body))
        return 200, b"{}"

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What containers said."""
        return [
            entry for call in self.calls if not call["logName"].endswith("/ping") for entry in call["entries"]
        ]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Both services at one address."""
    made = Cloud()
    with made.server:
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING", made.server.url)
        monkeypatch.setenv("GCE_METADATA_HOST", made.server.url.removeprefix("http://").rstrip("/"))
        monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        yield made


def opened(**options: str) -> LogWriter:
    """A writer."""
    found = {name.replace("_", "-"): value for name, value in options.items()}
    driver = GcpLogs()
    driver.check({name: value for name, value in found.items() if name != "mode"})
    info = LogInfo(
        "c" * 64,
        "web",
        "/",
        "sha256:1",
        "busybox",
        "sh -c x",
        "2023-01-01T00:00:00Z",
        {"a": "b"},
        ["E=f"],
        found,
    )
    writer = driver.writer(info)
    assert writer is not None
    return writer


def test_entries(cloud: Cloud) -> None:
    log = opened(labels="a", env="E", gcp_log_cmd="true")
    log.write("stdout", b"hello\n", NOW)
    log.write("stderr", b"\xffbye", NOW + 1)
    log.close()
    ping, call = cloud.calls
    assert ping["logName"] == "projects/proj/logs/ping"
    assert ping["entries"] == [
        {"textPayload": "ping", "timestamp": "1970-01-01T00:00:00Z", "insertId": "ping"}
    ]
    assert call["logName"] == "projects/proj/logs/gcplogs-docker-driver"
    assert call["resource"] == {
        "type": "gce_instance", "labels": {"project_id": "proj", "instance_id": "42", "zone": "eu-1"},
    }  # fmt: skip
    first, second = call["entries"]
    assert first["timestamp"] == "2023-11-14T22:13:20.123456789Z"
    assert first["insertId"] != second["insertId"]
    assert first["jsonPayload"] == {
        "instance": {"zone": "eu-1", "name": "vm", "id": "42"},
        "container": {
            "name": "/web", "id": "c" * 64, "imageName": "busybox", "imageId": "sha256:1", "command": "sh -c x",
            "created": "2023-01-01T00:00:00Z", "metadata": {"a": "b", "E": "f"},
        },
        "message": "hello",
    }  # fmt: skip
    assert second["jsonPayload"]["message"] == "\ufffdbye"


def test_what_is_told_elsewhere(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from moby.logs import google

    monkeypatch.setattr(google, "on_google", lambda: False)
    monkeypatch.setattr(google, "tokens", lambda: lambda: "open")
    opened(gcp_project="mine", gcp_meta_zone="z", gcp_meta_id="7").close()
    assert cloud.calls[0]["resource"]["labels"] == {"project_id": "mine", "instance_id": "7", "zone": "z"}
    opened(gcp_project="mine").close()
    assert cloud.calls[1]["resource"] == {"type": "global", "labels": {"project_id": "mine"}}
    with pytest.raises(Unavailable, match="No project was specified and couldn't read project"):
        opened()


def test_many_lines_go_in_several_calls(cloud: Cloud) -> None:
    log = opened()
    log.write("stdout", b"x\n" * 2500, NOW)
    log.close()
    assert [len(call["entries"]) for call in cloud.calls[1:]] == [1000, 1000, 500]


def test_a_service_that_is_away_is_asked_again(cloud: Cloud) -> None:
    log = opened()
    cloud.refusals = [503]
    log.write("stdout", b"x\n", NOW)
    log.close()
    assert [entry["jsonPayload"]["message"] for entry in cloud.entries] == ["x"]


def test_what_is_refused_is_not_sent_again(cloud: Cloud, capfd: pytest.CaptureFixture[str]) -> None:
    log = opened()
    cloud.refusals = [400]
    log.write("stdout", b"x\n", NOW)
    log.close()
    assert cloud.entries == []
    assert "gcplogs: cannot send logs: 400 Bad Request - no" in capfd.readouterr().err


def test_a_container_does_not_start_without_the_right_to_write(cloud: Cloud) -> None:
    cloud.refusals = [403]
    with pytest.raises(Unavailable, match="unable to connect or authenticate with Google Cloud Logging: 403"):
        opened()


def test_options() -> None:
    with pytest.raises(InvalidParameter) as caught:
        GcpLogs().check({"gcp-nonsense": "1"})
    assert caught.value.message == '"gcp-nonsense" is not a valid option for the gcplogs driver'
