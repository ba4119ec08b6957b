"""This file is about awslogs: lines, or several that a pattern joins, as events of CloudWatch Logs."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from moby.core.errors import InvalidParameter, MobyError, Unavailable
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter
from moby.logs.delivery import Delivery, delivered
from moby.logs.lines import LineWriter, Message
from moby.logs.options import parse_bool, parse_int
from moby.logs.tags import tag_of

_OPTIONS = frozenset({
    "tag", "awslogs-region", "awslogs-endpoint", "awslogs-group", "awslogs-stream", "awslogs-create-group",
    "awslogs-create-stream", "awslogs-datetime-format", "awslogs-multiline-pattern",
    "awslogs-credentials-endpoint", "awslogs-force-flush-interval-seconds", "awslogs-max-buffered-events",
    "awslogs-format",
})  # fmt: skip
_PER_EVENT = 26
_MOST_BYTES = 1 << 20
_MOST_EVENTS = 10_000
_LONGEST = 262_144 - _PER_EVENT
_TRIES = 3
_LONGEST_WAIT_S = 32.0
_FORMATS = {
    "%a": "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
    "%A": "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)",
    "%w": "[0-6]", "%d": "(?:0[1-9]|[12][0-9]|3[01])",
    "%b": "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    "%B": "(?:January|February|March|April|May|June|July|August|September|October|November|December)",
    "%m": "(?:0[1-9]|1[0-2])", "%Y": r"\d{4}", "%y": r"\d{2}", "%H": "(?:[01][0-9]|2[0-3])",
    "%I": "(?:0[0-9]|1[0-2])", "%p": "[AP]M", "%M": "[0-5][0-9]", "%S": "[0-5][0-9]", "%f": r"\d{6}",
    "%z": r"[+-]\d{4}", "%Z": "[A-Z]{1,4}T", "%j": r"(?:[0-2]\d{2}|3[0-5]\d|36[0-6])", "%L": r"\.\d{3}",
}  # fmt: skip


class AwsLogs(LogDriver):
    """Sends to CloudWatch Logs, or to what `awslogs-endpoint` names."""

    name = "awslogs"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            if option not in _OPTIONS:
                raise InvalidParameter(f"unknown log opt '{option}' for awslogs log driver")
        if not options.get("awslogs-group"):
            raise InvalidParameter("must specify a value for log opt 'awslogs-group'")
        for name in ("awslogs-create-group", "awslogs-create-stream"):
            try:
                parse_bool(options.get(name) or "true")
            except InvalidParameter as error:
                raise InvalidParameter(
                    f"must specify valid value for log opt '{name}': {error.message}"
                ) from error
        for name in ("awslogs-force-flush-interval-seconds", "awslogs-max-buffered-events"):
            if (text := options.get(name)) and (not text.isdigit() or not int(text)):
                raise InvalidParameter(f"must specify a positive integer for log opt '{name}': {text}")
        _check_form(options)

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        made = AwsLogsWriter(info)
        if info.options.get("mode") == "non-blocking":
            return delivered(made, info.options)
        most = parse_int(info.options.get("awslogs-max-buffered-events") or "4096")
        return Delivery(made, most, dropping=False, size=lambda piece: piece.count(b"\n") or 1)

    def reader(self, info: LogInfo) -> LogReader | None:
        """See `LogDriver.reader`."""
        return None


def _check_form(options: Mapping[str, str]) -> None:
    moments, pattern, form = "awslogs-datetime-format", "awslogs-multiline-pattern", "awslogs-format"
    if moments in options and pattern in options:
        raise InvalidParameter(f"you cannot configure log opt '{moments}' and '{pattern}' at the same time")
    if text := options.get(form):
        if text != "json/emf":
            raise InvalidParameter(f"unsupported log format '{text}'")
        if moments in options or pattern in options:
            raise InvalidParameter(
                f"you cannot configure log opt '{moments}' or '{pattern}' when log opt '{form}' is set to "
                "'json/emf'"
            )


def _pattern(options: Mapping[str, str]) -> re.Pattern[str] | None:
    """What the first line of an event looks like. Raises InvalidParameter."""
    text = options.get("awslogs-multiline-pattern", "")
    if moments := options.get("awslogs-datetime-format"):
        text = re.sub("%.", lambda match: _FORMATS.get(match[0], ""), moments)
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise InvalidParameter(f'awslogs could not parse multiline pattern key "{text}": {error}') from error


class _Event(NamedTuple):
    text: str
    time_ms: int
    size: int


class AwsLogsWriter(LineWriter):
    """Gathers events for some seconds, or until they are as many as one call may carry."""

    line_limit = _LONGEST

    def __init__(self, info: LogInfo) -> None:
        import threading  # in the monitor that needs it, as `Delivery` has it

        # Not in every monitor.
        from moby.logs.aws import Service, keys_from, region

        super().__init__()
        options = info.options
        self._group = options.get("awslogs-group", "")
        self._stream = options.get("awslogs-stream") or tag_of(info, "{{.FullID}}")
        self._creates_group = parse_bool(options.get("awslogs-create-group") or "false")
        self._creates_stream = parse_bool(options.get("awslogs-create-stream") or "true")
        self._pattern = _pattern(options)
        form = options.get("awslogs-format")
        self._extra = {"x-amzn-logs-format": form} if form else {}
        self.flush_after_s = float(parse_int(options.get("awslogs-force-flush-interval-seconds") or "5"))
        keys = keys_from(options.get("awslogs-credentials-endpoint", ""))
        place = region(options.get("awslogs-region", ""))
        self._service = Service("logs", "Logs_20140328", place, options.get("awslogs-endpoint", ""), keys)
        self._hurried = threading.Event()
        self._token: str | None = None
        self._events: list[_Event] = []
        self._size = 0
        self._held: list[str] = []
        self._held_ms = 0
        self._first_ns = 0
        self._created = info.options.get("mode") != "non-blocking"
        if self._created:
            try:
                self._create()
            except MobyError:
                self._service.close()
                raise

    def hurry(self) -> None:
        """See `LineWriter.hurry`."""
        self._hurried.set()

    # The group and the stream

    def _create(self) -> None:
        from moby.logs.aws import CallFailed

        what = "stream"
        try:
            try:
                self._make_stream()
            except CallFailed as error:
                if error.kind != "ResourceNotFoundException" or not self._creates_group:
                    raise
                what = "group"
                self._make("CreateLogGroup", {"logGroupName": self._group})
                what = "stream"
                self._make_stream()
        except MobyError as error:
            raise Unavailable(f"failed to create Cloudwatch log {what}: {error.message}") from error

    def _make_stream(self) -> None:
        if self._creates_stream:
            self._make("CreateLogStream", {"logGroupName": self._group, "logStreamName": self._stream})

    def _make(self, operation: str, arguments: Mapping[str, str]) -> None:
        from moby.logs.aws import CallFailed

        try:
            self._service.call(operation, arguments)
        except CallFailed as error:
            if error.kind != "ResourceAlreadyExistsException":
                raise

    def _wait_for_stream(self) -> None:
        """Without blocking the container starts first; its lines wait until there is a stream for them."""
        wait_s = 1.0
        while not self._created:
            try:
                self._create()
                self._created = True
            except MobyError:
                if self._hurried.wait(wait_s):
                    raise
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    # Events

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`."""
        for message in messages:
            text = message.line.decode("utf-8", "replace")
            if not self._first_ns:
                self._first_ns = message.time_ns
            if self._pattern is None:
                self._add(text, message.time_ns // 1_000_000)
            else:
                self._gather(text, message.time_ns // 1_000_000)
        if not messages:
            return
        now, period_ns = messages[-1].time_ns, int((self.flush_after_s or 5) * 1e9)
        if self._held and now - self._held_ms * 1_000_000 >= period_ns:
            self._end_held()
        if now - self._first_ns >= period_ns:
            self._put_all()

    def _gather(self, line: str, time_ms: int) -> None:
        assert self._pattern is not None
        held = sum(len(part.encode()) for part in self._held)
        if self._pattern.search(line) or held + len(line.encode()) > _LONGEST:
            self._end_held()
        if not self._held:
            self._held_ms = time_ms
        self._held.append(f"{line}\n" if len(line.encode()) < _LONGEST else line)

    def _end_held(self) -> None:
        if self._held:
            self._add("".join(self._held), self._held_ms)
            self._held.clear()

    def _add(self, text: str, time_ms: int) -> None:
        for part in parts(text, _LONGEST):
            size = len(part.encode()) + _PER_EVENT
            if len(self._events) >= _MOST_EVENTS or self._size + size > _MOST_BYTES:
                self._put_all()
            self._events.append(_Event(part, time_ms, size))
            self._size += size

    def flush(self) -> None:
        """See `LogWriter.flush`; nothing more has come for as long as an event may stay unfinished."""
        self._end_held()
        self._put_all()

    def release(self) -> None:
        """See `LineWriter.release`."""
        self.flush()
        self._service.close()

    def _put_all(self) -> None:
        events, self._events, self._size, self._first_ns = self._events, [], 0, 0
        if not events:
            return
        self._wait_for_stream()
        events.sort(key=lambda event: event.time_ms)
        listed = [{"message": event.text, "timestamp": event.time_ms} for event in events]
        try:
            self._put(listed)
        except MobyError as error:
            print(f"awslogs: cannot send logs: {error}", file=sys.stderr)  # noqa: T201 - the monitor's log

    def _put(self, events: list[dict[str, object]]) -> None:
        from moby.logs.aws import CallFailed

        for attempt in range(1, _TRIES + 1):
            arguments = {"logEvents": events, "logGroupName": self._group, "logStreamName": self._stream}
            if self._token:
                arguments["sequenceToken"] = self._token
            try:
                self._token = _next(self._service.call("PutLogEvents", arguments, self._extra))
            except CallFailed as error:
                if error.kind == "DataAlreadyAcceptedException":
                    self._token = error.expected
                    return
                if error.kind == "InvalidSequenceTokenException" and attempt < _TRIES:
                    self._token = error.expected
                    continue
                if not error.again or attempt == _TRIES:
                    raise
            except Unavailable:
                if attempt == _TRIES:
                    raise
            else:
                return
            self._hurried.wait(attempt)


class _Put(msgspec.Struct, frozen=True):
    token: str | None = msgspec.field(name="nextSequenceToken", default=None)


def _next(answer: bytes) -> str | None:
    try:
        return msgspec.json.decode(answer, type=_Put).token
    except msgspec.MsgspecError:
        return None


def parts(text: str, most: int) -> list[str]:
    """A text in parts of at most so many bytes, none for an empty one."""
    if not text:
        return []
    data = text.encode()
    if len(data) <= most:
        return [text]
    found, start = [], 0
    while start < len(data):
        end = min(start + most, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        found.append(data[start:end].decode())
        start = end
    return found
