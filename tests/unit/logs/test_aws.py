"""Amazon's services: signatures, where keys and the region come from, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from moby.core.errors import MobyError
from moby.logs import aws
from moby.logs.aws import CallFailed, Keys, Service, keys_from, region, signed
from tests.log_servers import HttpServer, Request, unused_port

KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
VARIABLES = (
    "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)  # fmt: skip


def metadata(request: Request) -> tuple[int, bytes]:
    """A machine's own service, and a container's."""
    if request.path == "/latest/api/token":
        return (200, b"permit") if request.method == "PUT" else (405, b"")
    own = request.headers.get("x-aws-ec2-metadata-token") == "permit"
    roles = "/latest/meta-data/iam/security-credentials/"
    known = {
        "/latest/meta-data/placement/region": b"eu-north-9",
        roles: b"reader",
        f"{roles}reader": b'{"AccessKeyId": "machine", "SecretAccessKey": "s", "Token": "t"}',
        "/task": b'{"AccessKeyId": "task", "SecretAccessKey": "s", "Expiration": "2001-01-01T00:00:00Z"}',
        "/broken": b"<html>",
    }
    if request.path.startswith("/latest") and not own:
        return 401, b""
    return (200, known[request.path]) if request.path in known else (404, b"")


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HttpServer]:
    """Nothing in the environment but this."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with HttpServer(metadata) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        monkeypatch.setattr(aws, "CONTAINER_SERVICE", server.url)
        yield server


def test_the_published_example_is_signed_as_published() -> None:
    now = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    found = signed(KEYS, "us-east-1", "service", "/", {"Host": "example.amazonaws.com"}, b"", now)
    assert found["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
    )


def test_keys_come_from_the_nearest_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: HttpServer
) -> None:
    assert keys_from("")() == Keys("machine", "s", "t")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/task")
    assert keys_from("")().access == "task"
    file = tmp_path / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = shared\naws_secret_access_key = s%\n"
        "[other]\naws_access_key_id = other\naws_secret_access_key = s\naws_session_token = t\n"
    )
    assert keys_from("")() == Keys("shared", "s%")
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert keys_from("")() == Keys("other", "s", "t")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert keys_from("")() == Keys("mine", "s")
    assert keys_from("/task")().access == "task"


def test_keys_that_expire_are_asked_for_again(service: HttpServer) -> None:
    keys = keys_from("/task")
    keys()
    keys()
    assert [request.path for request in service.requests] == ["/task", "/task"]


def test_keys_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MobyError, match="/none: 404 Not Found"):
        keys_from("/none")()
    with pytest.raises(MobyError, match="failed to retrieve credentials"):
        keys_from("/broken")()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(MobyError, match="no EC2 IMDS role found"):
        keys_from("")()


def test_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    assert region("") == "eu-north-9"
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(MobyError, match=r"cannot determine region for awslogs driver: .*connection refused"):
        region("")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert region("") == "us-west-2"
    assert region("eu-west-1") == "eu-west-1"


def test_calls_and_refusals() -> None:
    def reply(request: Request) -> tuple[int, bytes]:
        """By the operation that is asked for."""
        if request.headers["x-amz-target"] == "Logs_20140328.Good":
            return 200, b"{}"
        kind = {"__type": "com.amazonaws#ThrottlingException", "message": "slow down"}
        return 400, json.dumps(kind).encode()

    with HttpServer(reply) as server:
        found = Service("logs", "Logs_20140328", "eu-west-1", server.url, lambda: KEYS)
        assert found.call("Good", {"a": 1}) == b"{}"
        with pytest.raises(CallFailed) as refused:
            found.call("Bad", {})
        found.close()
    assert refused.value.message == (
        "operation error CloudWatch Logs: Bad, https response error StatusCode: 400, RequestID: , "
        "ThrottlingException: slow down"
    )
    assert (refused.value.kind, refused.value.again) == ("ThrottlingException", True)
    assert json.loads(server.requests[0].body) == {"a": 1}
    assert server.requests[0].headers["content-type"] == "application/x-amz-json-1.1"
