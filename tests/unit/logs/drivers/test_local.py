"""The local driver: what every log driver does, its format, its rotation, what a crash leaves."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogEntry, LogInfo, LogQuery, LogWriter
from moby.logs.drivers.local import LocalFile
from moby.testing.logs import LogDriverSuite, entries

NOW = 1_700_000_000_123_456_789


class TestLocalFile(LogDriverSuite):
    """In a directory of its own."""

    @pytest.fixture
    def driver(self) -> LogDriver:
        """The driver."""
        return LocalFile()


def info(directory: Path, **options: str) -> LogInfo:
    """A container whose log goes here."""
    return LogInfo(
        "c" * 64,
        "web",
        str(directory),
        labels={"tier": "front"},
        options={key.replace("_", "-"): value for key, value in options.items()},
    )


def log(directory: Path) -> Path:
    """Where dockerd has it too."""
    return directory / "local-logs" / "container.log"


def write(about: LogInfo, *lines: bytes) -> None:
    """Each as a chunk of its own."""
    writer: LogWriter | None = LocalFile().writer(about)
    assert writer is not None
    for number, line in enumerate(lines):
        writer.write("stdout", line, NOW + number)
    writer.close()


async def read(about: LogInfo, query: LogQuery | None = None) -> list[LogEntry]:
    """All that a query finds."""
    reader = LocalFile().reader(about)
    assert reader is not None
    reader.finished()
    return await entries(reader, query)


def test_the_format_is_dockerd_s(tmp_path: Path) -> None:
    """The bytes of its messages, as a protobuf library encodes them."""
    write(info(tmp_path, labels="tier"), b"hello\n")
    body = (
        b"\x0a\x06stdout" + b"\x10\x95\x9a\x97\xec\xe3\x9f\xe7\xcb\x17" + b"\x1a\x05hello" + b"\x32\x0d"
        b"\x0a\x04tier\x12\x05front"
    )
    length = len(body).to_bytes(4, "big")
    assert log(tmp_path).read_bytes() == length + body + length


async def test_times_and_attributes_come_back(tmp_path: Path) -> None:
    about = info(tmp_path, labels="tier", tag="{{.Name}}")
    write(about, b"hello\n")
    [entry] = await read(about)
    assert entry == LogEntry("hello\n", "stdout", "2023-11-14T22:13:20.123456789Z", entry.attrs)
    assert entry.attrs == {"tag": "web", "tier": "front"}


async def test_a_long_line_is_kept_in_parts_and_comes_back_as_one(tmp_path: Path) -> None:
    about = info(tmp_path)
    write(about, b"x" * 40_000 + b"\nnext\n")
    found = await read(about)
    assert "".join(entry.log for entry in found) == "x" * 40_000 + "\nnext\n"
    assert [len(entry.log) for entry in found] == [16384, 16384, 7233, 5]


async def test_bytes_that_are_no_text_are_kept_as_they_are(tmp_path: Path) -> None:
    about = info(tmp_path)
    write(about, b"\xff\x00\xfe\n")
    assert [entry.log.encode("utf-8", "surrogateescape") for entry in await read(about)] == [
        b"\xff\x00\xfe\n"
    ]


async def test_rotation_compresses_and_keeps_the_newest_files(tmp_path: Path) -> None:
    about = info(tmp_path, max_size="2k", max_file="3")
    write(about, *(f"line {number}\n".encode() for number in range(200)))
    names = sorted(path.name for path in log(tmp_path).parent.iterdir())
    assert names == ["container.log", "container.log.1.gz", "container.log.2.gz"]
    found = [entry.log for entry in await read(about)]
    first = int(found[0].split()[1])
    assert found == [f"line {number}\n" for number in range(first, 200)]
    assert 0 < first < 160
    assert gzip.decompress((log(tmp_path).parent / names[1]).read_bytes())[:4] == b"\x00\x00\x00\x1c"


@pytest.mark.parametrize("count", [1, 7, 60, 100_000])
async def test_tails_reach_into_compressed_files(tmp_path: Path, count: int) -> None:
    about = info(tmp_path, max_size="2k", max_file="3")
    write(about, *(f"line {number}\n".encode() for number in range(200)))
    whole = [entry.log for entry in await read(about)]
    assert [entry.log for entry in await read(about, LogQuery(tail=count))] == whole[-count:]


async def test_tails_are_found_in_large_files(tmp_path: Path) -> None:
    about = info(tmp_path)
    lines = [b"%d %b\n" % (number, b"x" * (number * 37 % 9000)) for number in range(300)]
    write(about, *lines)
    found = await read(about, LogQuery(tail=100))
    assert [entry.log.encode() for entry in found] == lines[-100:]


@pytest.mark.parametrize("torn", [1, 3, 5, 20, 25])
async def test_an_entry_that_a_crash_has_torn_does_not_hide_the_next(tmp_path: Path, torn: int) -> None:
    about = info(tmp_path)
    write(about, b"whole\n", b"torn\n")
    data = log(tmp_path).read_bytes()
    log(tmp_path).write_bytes(data[:-torn])
    assert [entry.log for entry in await read(about)] == ["whole\n"]
    assert [entry.log for entry in await read(about, LogQuery(tail=1))] == ["whole\n"]
    write(about, b"after\n")
    assert [entry.log for entry in await read(about)] == ["whole\n", "after\n"]


@pytest.mark.parametrize("data", [b"\xff" * 40, b"\0" * 100, b"{}\n", b"\0\0\0\x03\xff\xff\xff\0\0\0\x03"])
async def test_a_file_that_is_no_log_gives_nothing(tmp_path: Path, data: bytes) -> None:
    about = info(tmp_path)
    log(tmp_path).parent.mkdir()
    log(tmp_path).write_bytes(data)
    assert [entry.log for entry in await read(about, LogQuery()) if entry.log.strip()] == []
    assert [entry.log for entry in await read(about, LogQuery(tail=3)) if entry.log.strip()] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
        ({"max_file": "x"}, 'invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax'),
        ({"max_file": "-1"}, "max-file must not be negative"),
        ({"compress": "maybe"}, "invalid boolean value for compress: strconv.ParseBool"),
        ({"max_file": "1"}, "compression cannot be enabled when max file count is 1"),
        ({"nonsense": "1"}, "unknown log opt 'nonsense' for log driver local"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words.replace("(", r"\(")):
        LocalFile().check(dict(info(tmp_path, **options).options))
