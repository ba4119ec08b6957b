"""The json-file driver: what every log driver does, its format, its rotation, what a crash leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogInfo, LogQuery
from moby.logs.drivers.json_file import JsonFile
from moby.testing.logs import LogDriverSuite, entries

NOW = 1_700_000_000_123_456_789


class TestJsonFile(LogDriverSuite):
    """In a directory of its own."""

    @pytest.fixture
    def driver(self) -> LogDriver:
        """The driver."""
        return JsonFile()


def info(directory: Path, **options: str) -> LogInfo:
    """A container whose log goes here."""
    return LogInfo(
        "c" * 64,
        "web",
        str(directory),
        options={key.replace("_", "-"): value for key, value in options.items()},
    )


def log(directory: Path) -> Path:
    """Where docker's clients and log shippers look for it."""
    return directory / f"{'c' * 64}-json.log"


def test_the_format_is_docker_s(tmp_path: Path) -> None:
    writer = JsonFile().writer(info(tmp_path))
    assert writer is not None
    writer.write("stderr", b'say "\xff"\n', NOW)
    writer.close()
    line = json.loads(log(tmp_path).read_text())
    assert line == {"log": 'say "\ufffd"\n', "stream": "stderr", "time": "2023-11-14T22:13:20.123456789Z"}


async def test_rotation_keeps_the_newest_files_and_loses_no_line_between(tmp_path: Path) -> None:
    about = info(tmp_path, max_size="2k", max_file="3")
    writer, reader = JsonFile().writer(about), JsonFile().reader(about)
    assert writer is not None
    assert reader is not None
    for number in range(100):
        writer.write("stdout", f"line {number}\n".encode(), NOW + number)
    writer.close()
    reader.finished()
    found = [entry.log for entry in await entries(reader)]
    first = int(found[0].split()[1])
    assert found == [f"line {number}\n" for number in range(first, 100)]
    assert 0 < first < 80
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        log(tmp_path).name, f"{log(tmp_path).name}.1", f"{log(tmp_path).name}.2",
    ]  # fmt: skip


async def test_compressed_files_are_read_too(tmp_path: Path) -> None:
    about = info(tmp_path, max_size="2k", max_file="4", compress="true")
    writer, reader = JsonFile().writer(about), JsonFile().reader(about)
    assert writer is not None
    assert reader is not None
    for number in range(60):
        writer.write("stdout", f"line {number}\n".encode(), NOW + number)
    writer.close()
    reader.finished()
    assert (tmp_path / f"{log(tmp_path).name}.1.gz").exists()
    assert [entry.log for entry in await entries(reader)][-30:] == [
        f"line {number}\n" for number in range(30, 60)
    ]
    assert next(entry.log for entry in await entries(reader, LogQuery(tail=25))) == "line 35\n"


async def test_a_line_that_a_crash_has_torn_does_not_spoil_the_next(tmp_path: Path) -> None:
    about = info(tmp_path)
    log(tmp_path).write_text('{"log":"whole\\n","stream":"stdout","time":"2023-11-14T22:13:20Z"}\n{"log":"to')
    writer, reader = JsonFile().writer(about), JsonFile().reader(about)
    assert writer is not None
    assert reader is not None
    writer.write("stdout", b"after\n", NOW)
    writer.close()
    reader.finished()
    assert [entry.log for entry in await entries(reader)][-1] == "after\n"
    assert next(entry.log for entry in await entries(reader)) == "whole\n"


async def test_a_log_emptied_by_others_goes_on(tmp_path: Path) -> None:
    about = info(tmp_path)
    writer, reader = JsonFile().writer(about), JsonFile().reader(about)
    assert writer is not None
    assert reader is not None
    writer.write("stdout", b"before\n", NOW)
    writer.flush()
    os.truncate(log(tmp_path), 0)
    writer.write("stdout", b"after\n", NOW)
    writer.close()
    reader.finished()
    assert log(tmp_path).read_bytes().startswith(b'{"log":"after')
    assert [entry.log for entry in await entries(reader)] == ["after\n"]


@pytest.mark.parametrize("options", [
    {"max_size": "x"}, {"max_size": "0"}, {"max_file": "0"}, {"max_file": "x"},
    {"compress": "maybe"}, {"mode": "sometimes"}, {"compress": "true"},
])  # fmt: skip
def test_wrong_values_are_refused(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        JsonFile().check(dict(info(tmp_path, **options).options))
