"""This file is about logs that go to a plugin: entries into the FIFO that the plugin reads."""

from __future__ import annotations

import os
from collections.abc import Mapping

from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter
from moby.logs.delivery import delivered
from moby.logs.entries import encode
from moby.logs.lines import LineWriter, Message


class PluginLog(LogDriver):
    """The half of it that is the monitor's; what a plugin is asked, the daemon asks."""

    name = "plugin"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`; only the plugin knows its options, and says so when a container starts."""

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        return delivered(FifoWriter(info.stream), info.options)

    def reader(self, info: LogInfo) -> LogReader | None:
        """See `LogDriver.reader`; the daemon has one of its own."""
        return None


class FifoWriter(LineWriter):
    """Waits while the plugin does not read; opened for reading too, so that a plugin may come and go."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`."""
        data = memoryview(encode(messages, closed=False))
        while data:
            data = data[os.write(self._descriptor, data) :]

    def release(self) -> None:
        """See `LineWriter.release`."""
        os.close(self._descriptor)
