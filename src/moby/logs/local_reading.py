"""This file is about reading back what a `LocalLog` wrote, for the driver or as the cache of another."""

from __future__ import annotations

from collections.abc import Mapping

from moby.core.logs import LogInfo, LogReader
from moby.logs.chain import cache_options, cache_path
from moby.logs.formats import Frames
from moby.logs.local_log import rotation
from moby.logs.reading import FileReader


def local_reader(path: str, options: Mapping[str, str]) -> LogReader:
    """Reads a local log with these options."""
    return FileReader(path, Frames(), files=rotation(options).files)


def cache_reader(info: LogInfo) -> LogReader:
    """Reads the cache beside a driver that cannot read back."""
    return local_reader(cache_path(info), cache_options(info.options))
