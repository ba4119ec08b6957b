"""The splunk driver against a little collector: events, batches, compression, failures, what is refused."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from moby.core.errors import InvalidParameter, MobyError
from moby.core.logs import LogDriver, LogInfo, LogWriter
from moby.logs.drivers.splunk import Splunk
from tests.log_servers import HttpServer, certificate, unused_port

NOW = 1_700_000_000_123_456_789


def about(address: str = "", **options: str) -> LogInfo:
    """A container whose log goes there."""
    found = {"splunk-token": "secret"}
    found |= {key.replace("_", "-"): value for key, value in options.items()}
    if address:
        found["splunk-url"] = address
    return LogInfo("c" * 64, "web", "/", labels={"tier": "front"}, options=found)


def opened(info: LogInfo) -> LogWriter:
    """A writer."""
    driver: LogDriver = Splunk()
    driver.check(info.options)
    writer = driver.writer(info)
    assert writer is not None
    return writer


@contextmanager
def collector(status: int = 200) -> Iterator[HttpServer]:
    """A collector."""
    with HttpServer(lambda request: (status, b"no room" if status != 200 else b"{}")) as server:
        yield server


def events(server: HttpServer) -> list[dict[str, Any]]:
    """All that were posted."""
    found: list[dict[str, Any]] = []
    for request in server.requests:
        if request.method != "POST":
            continue
        packed = request.headers.get("content-encoding") == "gzip"
        text = (gzip.decompress(request.body) if packed else request.body).decode()
        found += [json.loads(one) for one in re.split(r"(?<=\})(?=\{\"event\")", text)]
    return found


def test_events_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as server:
        log = opened(about(server.url, labels="tier", splunk_index="main", splunk_source="s"))
        log.write("stdout", b"hello\n", NOW)
        log.write("stderr", b"trouble", NOW)
        log.close()
    first, second = events(server)
    assert first.pop("host")
    assert first == {
        "event": {"line": "hello", "source": "stdout", "tag": "c" * 12, "attrs": {"tier": "front"}},
        "time": "1700000000.123456",
        "source": "s",
        "index": "main",
    }
    assert second["event"]["line"] == "trouble"
    assert server.requests[0].method == "OPTIONS"
    assert all(request.path == "/services/collector/event/1.0" for request in server.requests)
    assert server.requests[-1].headers["authorization"] == "Splunk secret"


@pytest.mark.parametrize(("form", "expected"), [
    ("json", [{"line": {"a": 1}, "source": "stdout", "tag": "web"}, {"line": "no json", "source": "stdout", "tag": "web"},
              {"line": "  ", "source": "stdout", "tag": "web"}]),
    ("raw", ['web tier=front {"a": 1}', "web tier=front no json"]),
])  # fmt: skip
def test_other_forms(form: str, expected: list[object]) -> None:
    with collector() as server:
        options = {"splunk_format": form, "tag": "{{.Name}}"}
        log = opened(about(server.url, **options, **({"labels": "tier"} if form == "raw" else {})))
        log.write("stdout", b'{"a": 1}\nno json\n  \n', NOW)
        log.close()
    assert [event["event"] for event in events(server)] == expected


def test_batches_and_compression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLUNK_LOGGING_DRIVER_POST_MESSAGES_BATCH_SIZE", "10")
    with collector() as server:
        log = opened(about(server.url, splunk_gzip="true", splunk_index_acknowledgment="true"))
        log.write("stdout", b"".join(b"%d\n" % number for number in range(25)), NOW)
        log.close()
    assert [event["event"]["line"] for event in events(server)] == [str(number) for number in range(25)]
    posts = [request for request in server.requests if request.method == "POST"]
    assert len(posts) == 3
    assert len({post.headers["x-splunk-request-channel"] for post in posts}) == 3


def test_what_waits_is_sent_when_nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLUNK_LOGGING_DRIVER_POST_MESSAGES_FREQUENCY", "20ms")
    with collector() as server:
        log = opened(about(server.url))
        log.write("stdout", b"first\n", NOW)
        log.write("stdout", b"second\n", NOW)
        server.wait(lambda: len(events(server)) == 2)
        log.close()


def test_what_is_not_taken_waits_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLUNK_LOGGING_DRIVER_POST_MESSAGES_BATCH_SIZE", "5")
    monkeypatch.setenv("SPLUNK_LOGGING_DRIVER_BUFFER_MAX", "10")
    taken = False
    with HttpServer(lambda request: (200 if taken or request.method == "OPTIONS" else 503, b"")) as server:
        log = opened(about(server.url))
        for number in range(20):
            log.write("stdout", b"%d\n" % number, NOW)
        server.wait(lambda: len(server.requests) >= 5)
        taken = True
        log.close()
    found = [event["event"]["line"] for event in events(server)]
    assert found[-1] == "19"
    assert len(set(found)) == 20


def test_a_collector_that_fails_at_the_start_is_said_in_dockerd_s_words() -> None:
    with collector(403) as server, pytest.raises(MobyError) as refused:
        opened(about(server.url))
    assert refused.value.message == "splunk: failed to verify connection - 403 Forbidden - no room"
    port = unused_port()
    with pytest.raises(MobyError) as refused:
        opened(about(f"http://127.0.0.1:{port}"))
    assert refused.value.message == (
        f'Options "http://127.0.0.1:{port}/services/collector/event/1.0": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )
    log = opened(about(f"http://127.0.0.1:{port}", splunk_verify_connection="false"))
    log.write("stdout", b"lost\n", NOW)
    log.close()


def test_tls(tmp_path: Path) -> None:
    with HttpServer(lambda _: (200, b"{}"), tls=certificate(tmp_path)) as server:
        with pytest.raises(MobyError, match="tls: failed to verify certificate"):
            opened(about(server.url))
        with pytest.raises(MobyError, match="tls: failed to verify certificate"):
            opened(about(server.url, splunk_capath=f"{tmp_path}/ca.pem", splunk_caname="other.example"))
        for options in (
            {"splunk_capath": f"{tmp_path}/ca.pem"},
            {"splunk_capath": f"{tmp_path}/ca.pem", "splunk_caname": "logs.example"},
            {"splunk_insecureskipverify": "true"},
        ):
            log = opened(about(server.url, **options))
            log.write("stdout", b"hello\n", NOW)
            log.close()
    assert len(events(server)) == 3


@pytest.mark.parametrize(("options", "words"), [
    ({}, "splunk: splunk-url is expected"),
    ({"splunk_url": "x"}, "splunk: expected format scheme://dns_name_or_ip:port for splunk-url"),
    ({"splunk_url": "http://x/y"}, "splunk: expected format scheme://dns_name_or_ip:port for splunk-url"),
    ({"splunk_url": "http://x", "splunk_gzip": "maybe"}, 'strconv.ParseBool: parsing "maybe": invalid syntax'),
    (
        {"splunk_url": "http://x", "splunk_gzip_level": "10"},
        "not supported level '10' for splunk-gzip-level (supported values between -1 and 9)",
    ),
    (
        {"splunk_url": "http://x", "splunk_format": "xml", "splunk_verify_connection": "false"},
        "unknown format specified xml, supported formats are inline, json and raw",
    ),
    ({"nonsense": "1"}, "unknown log opt 'nonsense' for splunk log driver"),
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        opened(about(**options))
    assert refused.value.message == words


def test_a_token_is_needed() -> None:
    with pytest.raises(InvalidParameter, match="splunk: splunk-token is expected"):
        Splunk().writer(LogInfo("c" * 64, "web", "/", options={"splunk-url": "http://x"}))
