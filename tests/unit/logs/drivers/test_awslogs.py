"""The awslogs driver against a little CloudWatch Logs: streams, events, patterns, tokens, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from moby.core.errors import InvalidParameter, MobyError
from moby.core.logs import LogDriver, LogInfo, LogWriter
from moby.logs.drivers.awslogs import AwsLogs, parts
from tests.log_servers import HttpServer, Request

NOW = 1_700_000_000_123_456_789


class Cloud:
    """Keeps groups, streams and events; `refusals` are given first, by operation."""

    def __init__(self, *groups: str) -> None:
        self.streams: dict[str, set[str]] = {group: set() for group in groups}
        self.events: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.refusals: dict[str, list[dict[str, str]]] = {}
        self.server = HttpServer(self.reply)

    def reply(self, request: Request) -> tuple[int, bytes]:
        """As the service does."""
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        asked = json.loads(request.body)
        assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=mine/")
        if refusals := self.refusals.get(operation):
            return 400, json.dumps(refusals.pop(0)).encode()
        group = self.streams.get(asked["logGroupName"])
        if operation == "CreateLogGroup":
            self.streams[asked["logGroupName"]] = set()
        elif group is None:
            return (
                400,
                b'{"__type": "ResourceNotFoundException", "message": "The specified log group does not exist."}',
            )
        elif operation == "CreateLogStream":
            if asked["logStreamName"] in group:
                return 400, b'{"__type": "ResourceAlreadyExistsException"}'
            group.add(asked["logStreamName"])
        else:
            self.tokens.append(asked.get("sequenceToken"))
            self.events += asked["logEvents"]
            return 200, json.dumps({"nextSequenceToken": f"t{len(self.tokens)}"}).encode()
        return 200, b"{}"

    @property
    def said(self) -> list[str]:
        """The events' texts."""
        return [event["message"] for event in self.events]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """With one group."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    made = Cloud("group")
    with made.server:
        yield made


def about(cloud: Cloud, **options: str) -> LogInfo:
    """A container whose log goes there."""
    found = {"awslogs-endpoint": cloud.server.url, "awslogs-region": "eu-west-1", "awslogs-group": "group"}
    for name, value in options.items():
        name = name.replace("_", "-")
        found[name if name in ("mode", "tag") else f"awslogs-{name}"] = value
    return LogInfo("c" * 64, "web", "/", options=found)


def opened(info: LogInfo) -> LogWriter:
    """A writer."""
    driver: LogDriver = AwsLogs()
    driver.check({name: value for name, value in info.options.items() if name != "mode"})
    writer = driver.writer(info)
    assert writer is not None
    return writer


def test_events(cloud: Cloud) -> None:
    log = opened(about(cloud))
    log.write("stdout", b"hello\n\n", NOW)
    log.write("stderr", b"\xfftrouble", NOW + 1_000_000)
    log.close()
    assert cloud.streams == {"group": {"c" * 64}}
    assert cloud.events == [
        {"message": "hello", "timestamp": 1_700_000_000_123},
        {"message": "\ufffdtrouble", "timestamp": 1_700_000_000_124},
    ]


def test_streams_and_groups_are_made_as_asked(cloud: Cloud) -> None:
    opened(about(cloud, tag="{{.Name}}")).close()
    opened(about(cloud, tag="{{.Name}}")).close()
    opened(about(cloud, stream="named")).close()
    opened(about(cloud, group="new", create_group="true", stream="s")).close()
    opened(about(cloud, stream="absent", create_stream="false")).close()
    assert cloud.streams == {"group": {"web", "named"}, "new": {"s"}}
    with pytest.raises(MobyError) as refused:
        opened(about(cloud, group="none"))
    assert refused.value.message == (
        "failed to create Cloudwatch log stream: operation error CloudWatch Logs: CreateLogStream, "
        "https response error StatusCode: 400, RequestID: , "
        "ResourceNotFoundException: The specified log group does not exist."
    )
    cloud.refusals["CreateLogGroup"] = [{"__type": "AccessDeniedException", "Message": "no"}]
    with pytest.raises(
        MobyError, match=r"^failed to create Cloudwatch log group: .*AccessDeniedException: no"
    ):
        opened(about(cloud, group="none", create_group="true"))


def test_without_blocking_a_group_may_come_later(cloud: Cloud) -> None:
    cloud.refusals["CreateLogStream"] = [{"__type": "ResourceNotFoundException"}]
    log = opened(about(cloud, mode="non-blocking", force_flush_interval_seconds="1"))
    log.write("stdout", b"early\n", NOW)
    cloud.server.wait(lambda: cloud.said == ["early"])
    log.close()


@pytest.mark.parametrize("options", [
    {"multiline_pattern": "^start"}, {"datetime_format": "start %Y-%m-%d"},
])  # fmt: skip
def test_several_lines_are_one_event(cloud: Cloud, options: dict[str, str]) -> None:
    log = opened(about(cloud, **options))
    log.write("stdout", b"rest\nstart 2023-11-14\n one\n two\nstart 2023-11-15\n", NOW)
    log.close()
    assert cloud.said == ["rest\n", "start 2023-11-14\n one\n two\n", "start 2023-11-15\n"]


def test_an_unfinished_event_does_not_wait_for_ever(cloud: Cloud) -> None:
    log = opened(about(cloud, multiline_pattern="^start", force_flush_interval_seconds="1"))
    log.write("stdout", b"start\n more\n", NOW)
    cloud.server.wait(lambda: cloud.said == ["start\n more\n"])
    log.close()


def test_many_events_go_in_several_calls_in_order(cloud: Cloud) -> None:
    log = opened(about(cloud))
    for start in range(0, 25_000, 1000):
        lines = b"".join(b"%d\n" % number for number in range(start, start + 1000))
        log.write("stdout", lines, NOW)
    log.close()
    assert cloud.said == [str(number) for number in range(25_000)]
    assert cloud.tokens == [None, "t1", "t2"]


def test_a_line_longer_than_an_event_may_be_is_cut(cloud: Cloud) -> None:
    log = opened(about(cloud))
    log.write("stdout", "€".encode() * 200_000 + b"\n", NOW)
    log.close()
    assert "".join(cloud.said) == "€" * 200_000
    assert max(len(text.encode()) for text in cloud.said) <= 262_118


def test_tokens_are_corrected_and_what_is_there_already_is_not_sent_again(cloud: Cloud) -> None:
    cloud.refusals["PutLogEvents"] = [
        {"__type": "InvalidSequenceTokenException", "expectedSequenceToken": "right"},
        {"__type": "DataAlreadyAcceptedException", "expectedSequenceToken": "next"},
    ]
    log = opened(about(cloud, force_flush_interval_seconds="1"))
    log.write("stdout", b"there already\n", NOW)
    cloud.server.wait(lambda: not cloud.refusals["PutLogEvents"])
    log.write("stdout", b"more\n", NOW)
    log.close()
    assert cloud.said == ["more"]
    assert cloud.tokens == ["next"]


def test_a_refusal_that_will_not_change_loses_the_events_only(
    cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.refusals["PutLogEvents"] = [{"__type": "AccessDeniedException", "message": "no"}]
    log = opened(about(cloud, force_flush_interval_seconds="1"))
    log.write("stdout", b"lost\n", NOW)
    cloud.server.wait(lambda: not cloud.refusals["PutLogEvents"])
    log.write("stdout", b"kept\n", NOW)
    log.close()
    assert cloud.said == ["kept"]
    assert "AccessDeniedException: no" in capfd.readouterr().err


def test_what_it_writes_has_another_form(cloud: Cloud) -> None:
    log = opened(about(cloud, format="json/emf"))
    log.write("stdout", b"{}\n", NOW)
    log.close()
    assert cloud.server.requests[-1].headers["x-amzn-logs-format"] == "json/emf"


@pytest.mark.parametrize(("options", "words"), [
    ({"group": ""}, "must specify a value for log opt 'awslogs-group'"),
    (
        {"create-group": "maybe"},
        "must specify valid value for log opt 'awslogs-create-group': strconv.ParseBool: parsing \"maybe\": "
        "invalid syntax",
    ),
    (
        {"force-flush-interval-seconds": "0"},
        "must specify a positive integer for log opt 'awslogs-force-flush-interval-seconds': 0",
    ),
    ({"max-buffered-events": "x"}, "must specify a positive integer for log opt 'awslogs-max-buffered-events': x"),
    (
        {"datetime-format": "%Y", "multiline-pattern": "x"},
        "you cannot configure log opt 'awslogs-datetime-format' and 'awslogs-multiline-pattern' at the same time",
    ),
    ({"format": "xml"}, "unsupported log format 'xml'"),
    (
        {"format": "json/emf", "multiline-pattern": "x"},
        "you cannot configure log opt 'awslogs-datetime-format' or 'awslogs-multiline-pattern' when log opt "
        "'awslogs-format' is set to 'json/emf'",
    ),
    ({"nonsense": "1"}, "unknown log opt 'awslogs-nonsense' for awslogs log driver"),
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        AwsLogs().check(
            {"awslogs-group": "g"} | {f"awslogs-{name}": value for name, value in options.items()}
        )
    assert refused.value.message == words


def test_parts_cut_no_character() -> None:
    assert parts("", 10) == []
    assert parts("abc", 3) == ["abc"]
    assert parts("€€€", 4) == ["€", "€", "€"]
