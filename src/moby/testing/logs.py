"""This file is about what every log driver must do: subclass `LogDriverSuite` and give it a driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogEntry, LogInfo, LogQuery, LogReader

_SECOND = 1_000_000_000
_BEGAN = 1_700_000_000 * _SECOND


async def entries(reader: LogReader, query: LogQuery | None = None) -> list[LogEntry]:
    """Everything that a query finds."""
    return [entry async for batch in reader.read(query or LogQuery(), list) for entry in batch]


class LogDriverSuite:
    """A fixture `driver` gives the driver; what a driver cannot read back is only written."""

    @pytest.fixture
    def info(self, tmp_path: Path) -> LogInfo:
        """A container with a directory of its own."""
        return LogInfo("c" * 64, "web", str(tmp_path))

    async def written(self, driver: LogDriver, info: LogInfo, *chunks: tuple[str, bytes]) -> LogReader | None:
        """Write chunks, a second from each other; a reader of what was written."""
        writer = driver.writer(info)
        if writer is not None:
            for number, (stream, data) in enumerate(chunks):
                writer.write("stderr" if stream == "stderr" else "stdout", data, _BEGAN + number * _SECOND)
            writer.flush()
            writer.close()
        reader = driver.reader(info)
        if reader is not None:
            reader.finished()
        return reader

    def test_it_has_a_name_and_refuses_what_it_does_not_know(self, driver: LogDriver) -> None:
        """An unknown option is an error, none are not."""
        assert driver.name
        driver.check({})
        with pytest.raises(InvalidParameter, match=f"unknown log opt .nonsense. for .*{driver.name}"):
            driver.check({"nonsense": "1"})

    async def test_lines_come_back_in_order(self, driver: LogDriver, info: LogInfo) -> None:
        """With their streams and the times at which they were read."""
        reader = await self.written(driver, info, ("stdout", b"a\nb\n"), ("stderr", b"c\n"), ("stdout", b"d"))
        if reader is None:
            return
        found = await entries(reader)
        assert [(entry.stream, entry.log) for entry in found] == [
            ("stdout", "a\n"), ("stdout", "b\n"), ("stderr", "c\n"), ("stdout", "d"),
        ]  # fmt: skip
        assert found[0].time.startswith("2023-11-14T22:13:20")
        assert [entry.time for entry in found] == sorted(entry.time for entry in found)

    async def test_parts_of_a_line_are_joined_per_stream(self, driver: LogDriver, info: LogInfo) -> None:
        """However the streams' chunks come between each other."""
        reader = await self.written(
            driver, info, ("stdout", b"on"), ("stderr", b"t"), ("stdout", b"e\n"), ("stderr", b"wo\n")
        )
        if reader is not None:
            assert [entry.log for entry in await entries(reader)] == ["one\n", "two\n"]

    async def test_queries_choose(self, driver: LogDriver, info: LogInfo) -> None:
        """By stream and from the end."""
        reader = await self.written(driver, info, ("stdout", b"a\n"), ("stderr", b"b\n"), ("stdout", b"c\n"))
        if reader is None:
            return
        assert [entry.log for entry in await entries(reader, LogQuery(stderr=False))] == ["a\n", "c\n"]
        assert [entry.log for entry in await entries(reader, LogQuery(stdout=False))] == ["b\n"]
        assert [entry.log for entry in await entries(reader, LogQuery(tail=2))] == ["b\n", "c\n"]
        assert await entries(reader, LogQuery(tail=0)) == []

    async def test_following_ends_when_it_is_finished(self, driver: LogDriver, info: LogInfo) -> None:
        """After everything that there is."""
        reader = await self.written(driver, info, ("stdout", b"a\nb\n"))
        if reader is not None:
            assert len(await entries(reader, LogQuery(follow=True))) == 2

    async def test_a_second_writer_goes_on(self, driver: LogDriver, info: LogInfo) -> None:
        """What a container wrote before it was started again stays."""
        await self.written(driver, info, ("stdout", b"a\n"))
        reader = await self.written(driver, info, ("stdout", b"b\n"))
        if reader is not None:
            assert [entry.log for entry in await entries(reader)] == ["a\n", "b\n"]
