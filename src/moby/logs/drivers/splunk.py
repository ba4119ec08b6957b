"""This file is about Splunk: lines in batches to an HTTP Event Collector."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from moby.core.durations import parse_duration
from moby.core.errors import InvalidParameter, MobyError, Unavailable
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter
from moby.logs.delivery import delivered
from moby.logs.dialing import Tls, Url, parse_url
from moby.logs.lines import LineWriter, Message
from moby.logs.options import ATTRIBUTE_OPTIONS, extra_attributes, parse_bool, parse_int
from moby.logs.tags import tag_of

T = TypeVar("T")

_OPTIONS = ATTRIBUTE_OPTIONS | {
    "splunk-url", "splunk-token", "splunk-source", "splunk-sourcetype", "splunk-index", "splunk-capath",
    "splunk-caname", "splunk-insecureskipverify", "splunk-format", "splunk-verify-connection", "splunk-gzip",
    "splunk-gzip-level", "splunk-index-acknowledgment",
}  # fmt: skip
_PATH = "/services/collector/event/1.0"
_PREFIX = "SPLUNK_LOGGING_DRIVER_"
_BATCH, _PERIOD_S = 1000, 5.0


class Splunk(LogDriver):
    """Sends to Splunk."""

    name = "splunk"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`; values are looked at when a container starts, as dockerd has it."""
        for option in options:
            if option not in _OPTIONS:
                raise InvalidParameter(f"unknown log opt '{option}' for splunk log driver")

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        return delivered(SplunkWriter(info), info.options)

    def reader(self, info: LogInfo) -> LogReader | None:
        """See `LogDriver.reader`."""
        return None


def _url(options: Mapping[str, str]) -> Url:
    text = options.get("splunk-url")
    if text is None:
        raise InvalidParameter("splunk: splunk-url is expected")
    url = parse_url(text)
    plain = url.path in ("", "/") and not set("?#") & set(url.authority)
    if url.scheme not in ("http", "https") or not url.authority or not plain:
        raise InvalidParameter("splunk: expected format scheme://dns_name_or_ip:port for splunk-url")
    return url


def _tls(options: Mapping[str, str]) -> Tls:
    return Tls(
        ca=options.get("splunk-capath", ""),
        verify=not _flag(options, "splunk-insecureskipverify", usual=False),
        name=options.get("splunk-caname", ""),
    )


def _flag(options: Mapping[str, str], name: str, *, usual: bool) -> bool:
    return parse_bool(options[name]) if name in options else usual


def _level(options: Mapping[str, str]) -> int:
    """Of compression; none if it is not asked for."""
    text = options.get("splunk-gzip-level", "-1")
    level = parse_int(text)
    if not -1 <= level <= 9:
        raise InvalidParameter(
            f"not supported level '{text}' for splunk-gzip-level (supported values between -1 and 9)"
        )
    return level


def _advanced(name: str, read: Callable[[str], T], usual: T) -> T:
    """From the daemon's environment."""
    try:
        return read(os.environ[_PREFIX + name])
    except (KeyError, InvalidParameter):
        return usual


class SplunkWriter(LineWriter):
    """Holds lines until they are enough or some seconds old; those not taken wait, up to a limit."""

    def __init__(self, info: LogInfo) -> None:
        # Not in every monitor.
        from moby.logs.posting import Client

        super().__init__()
        options = info.options
        self._client = Client(_url(options), _tls(options))
        if "splunk-token" not in options:
            raise InvalidParameter("splunk: splunk-token is expected")
        self._headers = {"Authorization": f"Splunk {options['splunk-token']}"}
        self._packed = _flag(options, "splunk-gzip", usual=False)
        self._level = _level(options)
        if self._packed:
            self._headers["Content-Encoding"] = "gzip"
        self._acknowledged = _flag(options, "splunk-index-acknowledgment", usual=False)
        self._line = _shape(info)
        self._common = {"host": os.uname().nodename}
        for name, option in (("source", "source"), ("sourcetype", "sourcetype"), ("index", "index")):
            if value := options.get(f"splunk-{option}"):
                self._common[name] = value
        self.flush_after_s = _advanced("POST_MESSAGES_FREQUENCY", parse_duration, _PERIOD_S)
        self._batch = max(_advanced("POST_MESSAGES_BATCH_SIZE", parse_int, _BATCH), 1)
        self._most = _advanced("BUFFER_MAX", parse_int, 10 * _BATCH)
        self._waiting: list[bytes] = []
        self._posted_ns = 0
        if _flag(options, "splunk-verify-connection", usual=True):
            self._verify()

    def _verify(self) -> None:
        from moby.logs.posting import said

        answer = self._client.ask("OPTIONS", _PATH)
        if answer.status != 200:
            self._client.close()
            raise Unavailable(f"splunk: failed to verify connection - {said(answer)}")

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`."""
        for message in messages:
            event = self._line(message)
            if event is None:
                continue
            moment = f"{message.time_ns // 1_000_000_000}.{message.time_ns // 1000 % 1_000_000:06d}"
            self._waiting.append(msgspec.json.encode({"event": event, "time": moment, **self._common}))
            if len(self._waiting) % self._batch == 0:
                self._post_all(last=False)
        period_ns = int((self.flush_after_s or _PERIOD_S) * 1e9)
        if messages and messages[-1].time_ns - self._posted_ns >= period_ns:
            self._posted_ns = messages[-1].time_ns
            self._post_all(last=False)

    def flush(self) -> None:
        """See `LogWriter.flush`."""
        self._post_all(last=False)

    def release(self) -> None:
        """See `LineWriter.release`."""
        self._post_all(last=True)
        self._client.close()

    def _post_all(self, *, last: bool) -> None:
        while self._waiting:
            try:
                self._post(self._waiting[: self._batch])
            except (MobyError, OSError) as error:
                print(f"splunk: cannot send logs: {error}", file=sys.stderr)  # noqa: T201 - the monitor's log
                if last:
                    self._waiting.clear()
                elif len(self._waiting) >= self._most:
                    del self._waiting[: self._batch]
                return
            del self._waiting[: self._batch]

    def _post(self, events: list[bytes]) -> None:
        from moby.logs.posting import said

        body, headers = b"".join(events), dict(self._headers)
        if self._packed:
            packer = zlib.compressobj(self._level, wbits=31)
            body = packer.compress(body) + packer.flush()
        if self._acknowledged:
            import uuid

            headers["X-Splunk-Request-Channel"] = str(uuid.uuid4())
        answer = self._client.ask("POST", _PATH, headers, body)
        if answer.status != 200:
            raise Unavailable(f"splunk: failed to send event - {said(answer)}")


def _shape(info: LogInfo) -> Callable[[Message], object]:
    """Makes an event of a line; None of one that the collector would refuse. Raises InvalidParameter."""
    # A tag that is there and empty means none.
    tag = "" if info.options.get("tag") == "" else tag_of(info)
    attributes = extra_attributes(info)
    common: dict[str, object] = {"tag": tag} if tag else {}
    if attributes:
        common["attrs"] = attributes

    def inline(message: Message) -> object:
        return {"line": message.line.decode("utf-8", "replace"), "source": message.stream, **common}

    def parsed(message: Message) -> object:
        try:
            msgspec.json.decode(message.line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return inline(message)
        return {"line": msgspec.Raw(message.line), "source": message.stream, **common}

    prefix = "".join(f"{word} " for word in (tag, *(f"{k}={v}" for k, v in attributes.items())) if word)

    def raw(message: Message) -> object:
        text = message.line.decode("utf-8", "replace")
        return prefix + text if text.strip() else None

    shapes = {"inline": inline, "json": parsed, "raw": raw}
    form = info.options.get("splunk-format", "inline")
    if form not in shapes:
        raise InvalidParameter(f"unknown format specified {form}, supported formats are inline, json and raw")
    return shapes[form]
