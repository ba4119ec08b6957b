"""This file is about `local`, a log in compact files of its own form, which dockerd's driver reads too."""

from __future__ import annotations

from collections.abc import Mapping

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter
from moby.logs import local_log
from moby.logs.rotation import remove_files


class LocalFile(LogDriver):
    """Keeps a log as `local-logs/container.log`, five files of 20 MiB, the older ones compressed."""

    name = "local"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            if option not in local_log.OPTIONS:
                raise InvalidParameter(f"unknown log opt '{option}' for log driver local")
        local_log.rotation(options)

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        return local_log.LocalLog(_path(info), info)

    def reader(self, info: LogInfo) -> LogReader:
        """See `LogDriver.reader`."""
        from moby.logs.local_reading import local_reader

        return local_reader(_path(info), info.options)

    def empty(self, info: LogInfo) -> bool:
        """See `LogDriver.empty`."""
        remove_files(_path(info))
        return True


def _path(info: LogInfo) -> str:
    return f"{info.directory}/local-logs/container.log"
