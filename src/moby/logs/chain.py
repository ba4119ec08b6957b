"""This file is about what stands between a container's output and its driver: delivery modes, and a cache.

A driver that cannot read back gets a local log beside it (`container-cached.log`), so that `docker logs`
works whatever the driver.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogInfo, LogWriter, Stream
from moby.logs import local_log
from moby.logs.delivery import Delivery, delivered
from moby.logs.options import ATTRIBUTE_OPTIONS, parse_bool, parse_size

_CACHE = "cache-"
CACHE_OPTIONS = frozenset({f"{_CACHE}{name}" for name in local_log.OPTIONS} | {f"{_CACHE}disabled"})
_OURS = CACHE_OPTIONS | {"mode", "max-buffer-size"}


def check(driver: LogDriver, options: Mapping[str, str]) -> None:
    """Options that every driver has, then the driver's own. Raises InvalidParameter in dockerd's words."""
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidParameter(f"logger: logging mode not supported: {mode}")
    if (size := options.get("max-buffer-size")) is not None:
        if mode != "non-blocking":
            raise InvalidParameter(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
            )
        try:
            parse_size(size)
        except InvalidParameter as error:
            raise InvalidParameter(f"error parsing option max-buffer-size: {error.message}") from error
    if disabled := options.get("cache-disabled"):
        try:
            parse_bool(disabled)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid value for option cache-disabled: {disabled}") from error
    local_log.rotation(cache_options(options))
    driver.check({name: value for name, value in options.items() if name not in _OURS})


def cache_wanted(options: Mapping[str, str]) -> bool:
    """May there be a cache?"""
    disabled = options.get("cache-disabled")
    return not (disabled and parse_bool(disabled))


def open_writer(driver: LogDriver, info: LogInfo, *, cached: bool) -> LogWriter | None:
    """Where a container's output goes; None if nothing is kept. Raises OSError and MobyError."""
    writer = driver.writer(info)
    if writer is None:
        return None
    if info.options.get("mode") == "non-blocking" and not isinstance(writer, Delivery):
        writer = delivered(writer, info.options)
    if not cached:
        return writer
    cache: LogWriter = local_log.LocalLog(cache_path(info), _cache_info(info))
    if info.options.get("mode") == "non-blocking":
        cache = delivered(cache, info.options)
    return Cached(writer, cache)


def delivery_of(writer: LogWriter | None) -> Delivery | None:
    """What may ask to wait, if anything may."""
    # By type: to ask what a protocol's subclass is takes each monitor 50 KB that are shared until then.
    if type(writer) is Cached:
        writer = writer.main
    return writer if type(writer) is Delivery else None


class Cached(LogWriter):
    """Writes to a driver and to the cache."""

    def __init__(self, main: LogWriter, cache: LogWriter) -> None:
        self.main = main
        self._cache = cache

    def write(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """See `LogWriter.write`."""
        self._cache.write(stream, data, time_ns)
        self.main.write(stream, data, time_ns)

    def flush(self) -> None:
        """See `LogWriter.flush`."""
        self._cache.flush()
        self.main.flush()

    def close(self) -> None:
        """See `LogWriter.close`; the cache first, since the other may take its time."""
        self._cache.close()
        self.main.close()


def cache_options(options: Mapping[str, str]) -> dict[str, str]:
    """The cache's own, and what goes along with every entry."""
    found = {name: options[name] for name in ATTRIBUTE_OPTIONS if name in options}
    found.update(
        {name.removeprefix(_CACHE): value for name, value in options.items() if name in CACHE_OPTIONS}
    )
    return found


def _cache_info(info: LogInfo) -> LogInfo:
    return msgspec.structs.replace(info, options=cache_options(info.options))


def cache_path(info: LogInfo) -> str:
    """Where the cache is."""
    return f"{info.directory}/container-cached.log"
