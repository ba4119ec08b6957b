"""`docker logs`: both streams, following, tails, times, long lines, many lines."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.clients.engine import Engine


def test_streams_are_kept_apart(engine: Engine) -> None:
    engine.ok("run", "--name", "lines", "busybox", "sh", "-c", "echo out; echo err >&2")
    result = engine.docker("logs", "lines")
    assert (result.out, result.err) == ("out\n", "err\n")


def test_following_shows_lines_as_they_come_and_ends_with_the_container(engine: Engine) -> None:
    engine.ok(
        "run", "-d", "--name", "followed", "-i", "busybox", "sh", "-c", "echo first; read go; echo second"
    )
    with engine.spawn("logs", "-f", "followed") as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == "first\n"
        engine.docker("attach", "followed", input="go\n")
        assert logs.stdout.readline() == "second\n"
        assert logs.wait(20) == 0


def test_tail_gives_the_last_lines(engine: Engine) -> None:
    engine.ok("run", "--name", "tailed", "busybox", "seq", "1", "100")
    assert engine.ok("logs", "--tail", "3", "tailed").split() == ["98", "99", "100"]
    assert engine.ok("logs", "--tail", "0", "tailed") == ""
    assert len(engine.ok("logs", "tailed").split()) == 100


def test_timestamps_and_since(engine: Engine) -> None:
    engine.ok("run", "--name", "stamped", "busybox", "sh", "-c", "echo a; sleep 1.2; echo b")
    first, second = engine.ok("logs", "-t", "stamped").split("\n")
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z a", first)
    assert engine.ok("logs", "--since", second.split()[0], "stamped") == "b"


def test_a_line_longer_than_any_buffer_stays_one_line(engine: Engine) -> None:
    engine.ok("run", "--name", "long", "busybox", "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo")
    assert engine.docker("logs", "long").out == "x" * 100000 + "\n"


def test_bytes_that_are_no_text_do_not_stop_the_log(engine: Engine) -> None:
    engine.ok("run", "--name", "binary", "busybox", "sh", "-c", "printf 'a\\001b\\n'; echo end")
    assert engine.docker("logs", "binary").out == "a\x01b\nend\n"


def test_the_last_line_without_an_end_is_kept(engine: Engine) -> None:
    engine.ok("run", "--name", "cut", "busybox", "printf", "one\ntwo")
    assert engine.docker("logs", "cut").out == "one\ntwo"


def test_a_flood_is_complete(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "flood", "busybox", "seq", "1", "300000")
    engine.ok("wait", "flood")
    assert engine.docker("logs", "flood").out == "".join(f"{n}\n" for n in range(1, 300001))


def test_a_terminals_log_is_raw(engine: Engine) -> None:
    engine.ok("run", "-d", "-t", "--name", "tty", "busybox", "echo", "hi")
    engine.ok("wait", "tty")
    assert engine.docker("logs", "tty").out.replace("\r", "") == "hi\n"


def test_the_file_is_in_the_known_format(engine: Engine) -> None:
    engine.ok("run", "--name", "file", "busybox", "sh", "-c", "echo line; echo error >&2")
    path = Path(engine.ok("inspect", "-f", "{{.LogPath}}", "file"))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(record["log"], record["stream"]) for record in records} == {
        ("line\n", "stdout"),
        ("error\n", "stderr"),
    }
    assert all(record["time"].endswith("Z") for record in records)


def test_files_rotate_by_size(engine: Engine) -> None:
    engine.ok(
        "run",
        "--name",
        "turn",
        "--log-opt",
        "max-size=10k",
        "--log-opt",
        "max-file=3",
        "busybox",
        "seq",
        "1",
        "2000",
    )
    path = Path(engine.ok("inspect", "-f", "{{.LogPath}}", "turn"))
    assert len(list(path.parent.glob(path.name + "*"))) == 3
    assert engine.ok("logs", "turn").split()[-1] == "2000"


def test_without_a_log_there_is_nothing_to_read(engine: Engine) -> None:
    engine.ok("run", "--name", "none", "--log-driver", "none", "busybox", "echo", "gone")
    assert "configured logging driver does not support reading" in engine.fails("logs", "none")


def test_a_log_as_json(engine: Engine) -> None:
    engine.ok("run", "--name", "parsed", "busybox", "sh", "-c", "echo out; echo err >&2")
    for query, accept, kind in (
        ("&format=json", "*/*", "application/x-ndjson"),
        ("", "application/jsonl", "application/jsonl"),
        ("", "application/json-seq", "application/json-seq"),
    ):
        answer = engine.raw(
            f"GET /v1.54/containers/parsed/logs?stdout=1&stderr=1{query} HTTP/1.0\r\nAccept: {accept}\r\n\r\n".encode()
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        assert f"Content-Type: {kind}".encode() in head
        lines = [json.loads(line.lstrip(b"\x1e")) for line in body.splitlines()]
        assert {(line["Source"], line["Line"]) for line in lines} == {
            ("stdout", "out\n"),
            ("stderr", "err\n"),
        }
    refused = engine.raw(b"GET /v1.54/containers/parsed/logs?stdout=1&format=xml HTTP/1.0\r\n\r\n")
    assert b"400" in refused.splitlines()[0]
    assert b'{"message":"unsupported log format"}' in refused


def test_the_local_driver_keeps_a_log_of_its_own_form(engine: Engine) -> None:
    options = ("--log-driver", "local", "--log-opt", "tag={{.Name}}", "--log-opt", "max-size=20k")
    script = "echo out; echo err >&2; seq 1 1000; printf cut"
    engine.ok("run", "--name", "compact", *options, "busybox", "sh", "-c", script)
    result = engine.docker("logs", "compact")
    assert result.err == "err\n"
    assert result.out.splitlines()[-2:] == ["1000", "cut"]
    assert engine.ok("logs", "--tail", "1", "compact") == "cut"
    assert engine.ok("logs", "--details", "--tail", "1", "compact") == "tag=compact cut"
    assert re.match(r"\d{4}-\d\d-\d\dT.*Z cut", engine.ok("logs", "-t", "--tail", "1", "compact"))
    assert engine.ok("inspect", "-f", "{{.LogPath}}", "compact") == ""
    assert engine.docker("logs", "--since", "1h", "compact").out == result.out
    assert engine.docker("logs", "--until", "1h", "compact").out == ""


def test_the_local_driver_can_be_followed(engine: Engine) -> None:
    engine.ok(
        *("run", "-d", "-i", "--name", "followed", "--log-driver", "local", "busybox"),
        *("sh", "-c", "echo first; read go; seq 1 5000; echo second"),
    )
    with engine.spawn("logs", "-f", "followed") as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == "first\n"
        engine.docker("attach", "followed", input="go\n")
        assert [logs.stdout.readline() for _ in range(5000)] == [f"{n}\n" for n in range(1, 5001)]
        assert logs.stdout.readline() == "second\n"
        assert logs.wait(20) == 0


def test_a_log_that_never_blocks_is_complete_when_it_is_read(engine: Engine) -> None:
    options = ("--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=64m")
    engine.ok("run", "--name", "lossy", *options, "busybox", "seq", "1", "20000")
    assert engine.docker("logs", "lossy").out == "".join(f"{n}\n" for n in range(1, 20001))


def test_wrong_modes_are_refused(engine: Engine) -> None:
    for option, words in (
        ("mode=sometimes", "logger: logging mode not supported: sometimes"),
        ("max-buffer-size=1m", "max-buffer-size option is only supported with 'mode=non-blocking'"),
        ("cache-disabled=maybe", "invalid value for option cache-disabled: maybe"),
    ):
        refused = engine.fails("run", "--rm", "--log-opt", option, "busybox", "true", code=125)
        assert words in refused
