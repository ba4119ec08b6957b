"""This file is about Fluentd: each line a message of its forward protocol, by TCP, TLS or a local socket."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping

import msgspec

from moby.core.durations import parse_duration
from moby.core.errors import InvalidParameter, Unavailable
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter
from moby.logs.delivery import Delivery, delivered
from moby.logs.dialing import Tls, Unreachable, close, dial, dial_unix, gone, host_port, parse_url
from moby.logs.lines import LineWriter, Message, joined
from moby.logs.options import (
    ATTRIBUTE_OPTIONS,
    extra_attributes,
    parse_bool,
    parse_size,
)
from moby.logs.tags import tag_of

_PORT = 24224
_MOST_RETRIES = (1 << 31) - 1
_MOST_WAIT_S = 60.0
_GROWTH = 1.5


class Settings(msgspec.Struct, frozen=True):
    """What the options say; `buffer` counts messages that wait while it is asynchronous."""

    network: str = "tcp"
    host: str = "127.0.0.1"
    port: int = _PORT
    buffer: int = 1 << 20
    retry_wait_s: float = 1.0
    retries: int = _MOST_RETRIES
    asynchronous: bool = False
    reconnect_s: float = 0.0
    precise: bool = False
    acknowledged: bool = False
    write_limit_s: float | None = None
    read_limit_s: float | None = None


class Fluentd(LogDriver):
    """Sends to a Fluentd or Fluent Bit."""

    name = "fluentd"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            if option not in ATTRIBUTE_OPTIONS and option not in _READ:
                raise InvalidParameter(f"unknown log opt '{option}' for fluentd log driver")
        settings(options)

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        chosen = settings(info.options)
        made = FluentdWriter(info, chosen)
        if chosen.asynchronous and info.options.get("mode") != "non-blocking":
            return Delivery(made, chosen.buffer, dropping=True, size=lambda piece: piece.count(b"\n") or 1)
        return delivered(made, info.options)

    def reader(self, info: LogInfo) -> LogReader | None:
        """See `LogDriver.reader`."""
        return None


def settings(options: Mapping[str, str]) -> Settings:
    """Raises InvalidParameter in dockerd's words."""
    found: dict[str, object] = {}
    for option, read in _READ.items():
        if value := options.get(option):
            found.update(read(option, value))
    return msgspec.convert(found, Settings)


def _address(option: str, text: str) -> dict[str, object]:
    try:
        return _parsed(text)
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid fluentd-address ({text}): {error.message}") from error


def _parsed(text: str) -> dict[str, object]:
    url = parse_url(text if "://" in text else f"tcp://{text}")
    if url.scheme == "unix":
        if not url.path.lstrip("/"):
            raise InvalidParameter("path is empty")
        return {"network": "unix", "host": url.path}
    if url.scheme not in ("tcp", "tls"):
        raise InvalidParameter(f"unsupported scheme: '{url.scheme}'")
    if url.path:
        raise InvalidParameter("should not contain a path element")
    host, port = host_port(url.authority, _PORT)
    return {"network": url.scheme, "host": host or "127.0.0.1", "port": port}


def _buffer(option: str, text: str) -> dict[str, object]:
    return {"buffer": parse_size(text)}


def _retry_wait(option: str, text: str) -> dict[str, object]:
    return {"retry_wait_s": max(parse_duration(text), 0.0)}


def _retries(option: str, text: str) -> dict[str, object]:
    if not text.isdigit():
        raise InvalidParameter(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) >= 1 << 32:
        raise InvalidParameter(f'strconv.ParseUint: parsing "{text}": value out of range')
    if int(text) > _MOST_RETRIES:
        raise InvalidParameter("invalid fluentd-max-retries: value out of range")
    # The protocol's library takes none for its own default.
    return {"retries": int(text) or 13}


def _reconnect(option: str, text: str) -> dict[str, object]:
    try:
        interval = parse_duration(text)
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid value for {option}: {error.message}") from error
    if interval and not 0.1 <= interval <= 10:
        raise InvalidParameter(f'invalid value for {option}: value ("{text}") must be between 100ms and 10s')
    return {"reconnect_s": interval}


def _limit(option: str, text: str) -> dict[str, object]:
    try:
        limit = parse_duration(text)
    except InvalidParameter as error:
        raise InvalidParameter(
            f"invalid value for {option}: value must be a duration: {error.message}"
        ) from error
    if limit < 0:
        raise InvalidParameter(f"invalid value for {option}: value must be a duration that is non-negative")
    return {"write_limit_s" if "write" in option else "read_limit_s": limit or None}


_READ: Mapping[str, Callable[[str, str], dict[str, object]]] = {
    "fluentd-address": _address,
    "fluentd-async": lambda _, text: {"asynchronous": parse_bool(text)},
    "fluentd-async-reconnect-interval": _reconnect,
    "fluentd-buffer-limit": _buffer,
    "fluentd-max-retries": _retries,
    "fluentd-request-ack": lambda _, text: {"acknowledged": parse_bool(text)},
    "fluentd-retry-wait": _retry_wait,
    "fluentd-sub-second-precision": lambda _, text: {"precise": parse_bool(text)},
    "fluentd-write-timeout": _limit,
    "fluentd-read-timeout": _limit,
}


class FluentdWriter(LineWriter):
    """One connection; a message that cannot be sent is tried again until there is no sense in it."""

    def __init__(self, info: LogInfo, chosen: Settings) -> None:
        import threading  # in the monitor that needs it, as `Delivery` has it

        super().__init__()
        self._settings = chosen
        self._tag = tag_of(info)
        self._record = {
            "container_id": info.container_id,
            "container_name": f"/{info.container_name}",
        }
        self._extra = extra_attributes(info)
        self._encoder = msgspec.msgpack.Encoder()
        self._hurried = threading.Event()
        self._connected_at = 0.0
        self._connection: socket.socket | None = None
        if not chosen.asynchronous:
            self._connect()

    def hurry(self) -> None:
        """See `LineWriter.hurry`."""
        self._hurried.set()

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`."""
        if self._settings.acknowledged:
            for message in messages:
                token = base64.b64encode(
                    struct.pack("<q", message.time_ns // 1_000_000_000) + os.urandom(8)
                ).decode()
                self._deliver(self._encoded(message, {"chunk": token}), token)
            return
        for data in joined(self._encoded(message, {}) for message in messages):
            self._deliver(data, "")

    def _encoded(self, message: Message, option: Mapping[str, str]) -> bytes:
        record = {
            **self._record,
            "source": message.stream,
            "log": message.line.decode("utf-8", "replace"),
            **self._extra,
        }
        if (part := message.partial) is not None:
            record["partial_message"] = "true"
            record["partial_id"] = part.id
            record["partial_ordinal"] = str(part.ordinal)
            record["partial_last"] = "true" if part.last else "false"
        seconds, nanoseconds = divmod(message.time_ns, 1_000_000_000)
        moment: object = seconds
        if self._settings.precise:
            moment = msgspec.msgpack.Ext(0, struct.pack(">II", seconds & 0xFFFFFFFF, nanoseconds))
        return self._encoder.encode([self._tag, moment, record, option])

    def _deliver(self, data: bytes, token: str) -> None:
        """One that is acknowledged by a token, or any number."""
        for attempt in range(self._settings.retries):
            if attempt and self._hurried.is_set():
                break
            connection = self._connected()
            try:
                self._exchange(connection, data, token)
            except (OSError, Unavailable):
                close(connection)
                self._connection = None
            else:
                return
        raise Unavailable(f"fluent#write: failed to write after {self._settings.retries} attempts")

    def _exchange(self, connection: socket.socket, data: bytes, token: str) -> None:
        connection.settimeout(self._settings.write_limit_s)
        connection.sendall(data)
        if not token:
            return
        connection.settimeout(self._settings.read_limit_s)
        answer = b""
        while True:
            more = connection.recv(4096)
            if not more:
                raise ConnectionResetError
            answer += more
            try:
                found = msgspec.msgpack.decode(answer, type=dict[str, str])
            except msgspec.DecodeError:
                if len(answer) > 4096:
                    raise Unavailable("fluent#write: no acknowledgement") from None
                continue
            if found.get("ack") != token:
                raise Unavailable("fluent#write: message ack doesn't match expected one")
            return

    def _connected(self) -> socket.socket:
        """The connection, or a new one. Raises Unavailable when all retries have failed."""
        chosen = self._settings
        if self._connection is not None:
            old = time.monotonic() - self._connected_at
            stale = chosen.asynchronous and 0 < chosen.reconnect_s < old
            if not stale and not gone(self._connection):
                return self._connection
            close(self._connection)
            self._connection = None
        wait_s = chosen.retry_wait_s / _GROWTH
        for _ in range(chosen.retries):
            try:
                return self._connect()
            except Unreachable as error:
                if self._hurried.wait(min(wait_s, _MOST_WAIT_S)):
                    raise Unavailable(f"fluent#write: {error.message}") from error
                wait_s *= _GROWTH
        raise Unavailable(f"fluent#write: could not connect to fluentd after {chosen.retries} retries")

    def _connect(self) -> socket.socket:
        chosen = self._settings
        if chosen.network == "unix":
            self._connection = dial_unix(chosen.host, stream=True)
        else:
            tls = Tls() if chosen.network == "tls" else None
            self._connection = dial("tcp", chosen.host, chosen.port, tls)
        self._connected_at = time.monotonic()
        return self._connection

    def release(self) -> None:
        """See `LineWriter.release`."""
        close(self._connection)
