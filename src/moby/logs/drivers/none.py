"""This file is about keeping no log."""

from __future__ import annotations

from collections.abc import Mapping

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter


class NoLog(LogDriver):
    """Keeps nothing, and reads nothing back."""

    name = "none"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            raise InvalidParameter(f"unknown log opt '{option}' for none log driver")

    def writer(self, info: LogInfo) -> LogWriter | None:
        """See `LogDriver.writer`."""
        return None

    def reader(self, info: LogInfo) -> LogReader | None:
        """See `LogDriver.reader`."""
        return None
