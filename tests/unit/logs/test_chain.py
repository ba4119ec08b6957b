"""What stands before a driver: options that each has, delivery modes, the cache beside drivers that cannot read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter, Stream
from moby.logs import chain
from moby.logs.delivery import Delivery
from moby.logs.drivers.json_file import JsonFile, JsonFileWriter
from moby.logs.drivers.none import NoLog
from moby.logs.local_reading import cache_reader
from moby.testing.logs import entries

NOW = 1_700_000_000_000_000_000


class Far(LogDriver, LogWriter):
    """A driver that cannot read back."""

    name = "far"

    def __init__(self) -> None:
        self.got = b""
        self.closed = False

    def check(self, options: Mapping[str, str]) -> None:
        """Every option but one of its own is unknown."""
        for option in options:
            if option != "far-option":
                raise InvalidParameter(f"unknown log opt '{option}' for far log driver")

    def writer(self, info: LogInfo) -> LogWriter | None:
        """Itself."""
        return self

    def reader(self, info: LogInfo) -> LogReader | None:
        """None."""
        return None

    def write(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """Keep."""
        self.got += data

    def flush(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """No more."""
        self.closed = True


def info(directory: Path, **options: str) -> LogInfo:
    """A container."""
    found = {key.replace("_", "-"): value for key, value in options.items()}
    return LogInfo("c" * 64, "web", str(directory), labels={"a": "1"}, options=found)


@pytest.mark.parametrize("options", [
    {}, {"mode": "blocking"}, {"mode": "non-blocking"}, {"mode": "non-blocking", "max-buffer-size": "4m"},
    {"cache-disabled": "true"}, {"cache-disabled": ""}, {"cache-max-size": "1m", "cache-max-file": "2"},
    {"cache-compress": "false", "cache-max-file": "1"}, {"far-option": "x", "mode": ""},
])  # fmt: skip
def test_options_of_every_driver(options: dict[str, str]) -> None:
    chain.check(Far(), options)


@pytest.mark.parametrize(("options", "words"), [
    ({"mode": "sometimes"}, "logger: logging mode not supported: sometimes"),
    ({"max-buffer-size": "1m"}, "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
    (
        {"mode": "non-blocking", "max-buffer-size": "x"},
        "error parsing option max-buffer-size: invalid size: 'x'",
    ),
    ({"cache-disabled": "maybe"}, "invalid value for option cache-disabled: maybe"),
    ({"cache-max-size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
    ({"nonsense": "x"}, "unknown log opt 'nonsense' for far log driver"),
    ({"cache-nonsense": "x"}, "unknown log opt 'cache-nonsense' for far log driver"),
])  # fmt: skip
def test_wrong_options_are_refused_in_dockerd_s_words(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        chain.check(Far(), options)
    assert refused.value.message == words


async def test_what_goes_far_is_kept_near_too(tmp_path: Path) -> None:
    far, about = Far(), info(tmp_path, labels="a", cache_max_size="1m")
    writer = chain.open_writer(far, about, cached=True)
    assert writer is not None
    writer.write("stdout", b"one\ntwo\n", NOW)
    writer.flush()
    writer.close()
    assert (far.got, far.closed) == (b"one\ntwo\n", True)
    assert (tmp_path / "container-cached.log").exists()
    reader = cache_reader(about)
    reader.finished()
    found = await entries(reader)
    assert [(entry.log, entry.attrs) for entry in found] == [("one\n", {"a": "1"}), ("two\n", {"a": "1"})]


async def test_without_blocking_both_are_delivered(tmp_path: Path) -> None:
    far, about = Far(), info(tmp_path, mode="non-blocking")
    writer = chain.open_writer(far, about, cached=True)
    assert writer is not None
    assert chain.delivery_of(writer) is not None
    writer.write("stdout", b"one\n", NOW)
    writer.close()
    reader = cache_reader(about)
    reader.finished()
    assert far.got == b"one\n"
    assert [entry.log for entry in await entries(reader)] == ["one\n"]


def test_the_usual_way_stays_short(tmp_path: Path) -> None:
    """No thread and nothing in between for files; nothing at all without a log."""
    writer = chain.open_writer(JsonFile(), info(tmp_path), cached=False)
    assert isinstance(writer, JsonFileWriter)
    assert chain.delivery_of(writer) is None
    assert chain.open_writer(NoLog(), info(tmp_path), cached=False) is None
    later = chain.open_writer(JsonFile(), info(tmp_path, mode="non-blocking"), cached=False)
    assert isinstance(later, Delivery)
    later.close()
    writer.close()


@pytest.mark.parametrize(("options", "wanted"), [({}, True), ({"cache-disabled": "true"}, False),
    ({"cache-disabled": "0"}, True)])  # fmt: skip
def test_a_cache_can_be_refused(options: dict[str, str], wanted: bool) -> None:
    assert chain.cache_wanted(options) is wanted
