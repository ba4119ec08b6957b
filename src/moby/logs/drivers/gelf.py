"""This file is about GELF: each line a JSON message, for Graylog and its like, by UDP or TCP."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping

import msgspec

from moby.core.errors import InvalidParameter, Unavailable
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter
from moby.logs.delivery import delivered
from moby.logs.dialing import Unreachable, Url, close, dial, gone, host_port, parse_url
from moby.logs.lines import LineWriter, Message, joined
from moby.logs.options import ATTRIBUTE_OPTIONS, extra_attributes, parse_int
from moby.logs.tags import tag_of

_CHUNK = 1420
_HEADER = 12
_MOST_CHUNKS = 128
_ERROR, _INFO = 3, 6


class Gelf(LogDriver):
    """Sends to a GELF input."""

    name = "gelf"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        scheme = _address(options.get("gelf-address", "")).scheme
        for option, value in options.items():
            match option:
                case "gelf-address":
                    continue
                case "gelf-compression-level" | "gelf-compression-type":
                    if scheme != "udp":
                        raise InvalidParameter("compression is only supported on UDP")
                    if not _is_compression(option, value):
                        raise InvalidParameter(
                            f'unknown value "{value}" for log opt "{option}" for gelf log driver'
                        )
                case "gelf-tcp-max-reconnect" | "gelf-tcp-reconnect-delay":
                    if scheme != "tcp":
                        raise InvalidParameter(f'"{option}" is only valid for TCP')
                    if not value.isdigit():
                        raise InvalidParameter(f'"{option}" must be a positive integer')
                case _:
                    if option not in ATTRIBUTE_OPTIONS:
                        raise InvalidParameter(f'unknown log opt "{option}" for gelf log driver')

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        scheme = _address(info.options.get("gelf-address", "")).scheme
        made: LineWriter = UdpGelf(info) if scheme == "udp" else TcpGelf(info)
        return delivered(made, info.options)

    def reader(self, info: LogInfo) -> LogReader | None:
        """See `LogDriver.reader`."""
        return None


def _address(text: str) -> Url:
    if not text:
        raise InvalidParameter("gelf-address is a required parameter")
    url = parse_url(text)
    if url.scheme not in ("udp", "tcp"):
        raise InvalidParameter("gelf: endpoint needs to be TCP or UDP")
    try:
        host_port(url.authority)
    except InvalidParameter as error:
        raise InvalidParameter("gelf: please provide gelf-address as proto://host:port") from error
    return url


def _is_compression(option: str, value: str) -> bool:
    if option == "gelf-compression-type":
        return value in ("gzip", "zlib", "none")
    try:
        return -1 <= parse_int(value) <= 9
    except InvalidParameter:
        return False


class _GelfWriter(LineWriter):
    """What both ways have in common: the message."""

    def __init__(self, info: LogInfo) -> None:
        super().__init__()
        self._shown = _address(info.options.get("gelf-address", "")).authority
        self._host, self._port = host_port(self._shown)
        extra = {
            "_container_id": info.container_id,
            "_container_name": info.container_name,
            "_image_id": info.image_id,
            "_image_name": info.image_name,
            "_command": info.command,
            "_tag": tag_of(info),
            "_created": info.created,
        }
        extra.update(extra_attributes(info, lambda name: name if name.startswith("_") else f"_{name}"))
        self._extra = dict(sorted(extra.items()))
        self._name = os.uname().nodename
        self._encoder = msgspec.json.Encoder()

    def _dial(self, network: str) -> socket.socket:
        try:
            return dial(network, self._host, self._port)
        except Unreachable as error:
            raise Unreachable(
                f"gelf: cannot connect to GELF endpoint: {self._shown} {error.message}"
            ) from error

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`."""
        failure: OSError | Unavailable | None = None
        found = (self._encoder.encode(self._fields(message)) for message in messages if message.line)
        for data in self._packed(found):
            try:
                self._post(data)
            except (OSError, Unavailable) as error:
                failure = error
        if failure is not None:
            raise Unavailable(f"gelf: cannot send GELF message: {failure}") from failure

    def _fields(self, message: Message) -> dict[str, object]:
        return {
            "version": "1.1",
            "host": self._name,
            "short_message": message.line.decode("utf-8", "replace"),
            "timestamp": message.time_ns // 1_000_000 / 1000,
            "level": _ERROR if message.stream == "stderr" else _INFO,
            **self._extra,
        }

    def _packed(self, found: Iterable[bytes]) -> Iterable[bytes]:
        """Messages as they are posted."""
        return found

    def _post(self, data: bytes) -> None:
        raise NotImplementedError


class UdpGelf(_GelfWriter):
    """Compressed, in several datagrams if it is long."""

    def __init__(self, info: LogInfo) -> None:
        super().__init__(info)
        self._kind = info.options.get("gelf-compression-type", "gzip")
        self._level = int(info.options.get("gelf-compression-level", "1"))
        self._connection = self._dial("udp")
        self._connection.settimeout(None)

    def _compressed(self, data: bytes) -> bytes:
        if self._kind == "none":
            return data
        import zlib

        packer = zlib.compressobj(self._level, wbits=31 if self._kind == "gzip" else 15)
        return packer.compress(data) + packer.flush()

    def _post(self, data: bytes) -> None:
        data = self._compressed(data)
        for packet in chunks(data):
            try:
                self._connection.send(packet)
            except ConnectionRefusedError:
                # So it went with the one before: this one has not been tried yet.
                self._connection.send(packet)

    def release(self) -> None:
        """See `LineWriter.release`."""
        close(self._connection)


def chunks(data: bytes) -> list[bytes]:
    """A message in datagrams. Raises Unavailable if it is too long for the protocol."""
    if len(data) <= _CHUNK:
        return [data]
    room = _CHUNK - _HEADER
    count = -(-len(data) // room)
    if count > _MOST_CHUNKS:
        raise Unavailable(f"msg too large, would need {count} chunks")
    head = b"\x1e\x0f" + os.urandom(8)
    return [
        head + bytes((number, count)) + data[number * room : (number + 1) * room] for number in range(count)
    ]


class TcpGelf(_GelfWriter):
    """Ended by a zero byte; a connection that breaks is made anew, as often as the options say."""

    def __init__(self, info: LogInfo) -> None:
        import threading  # in the monitor that needs it, as `Delivery` has it

        super().__init__(info)
        self._tries = int(info.options.get("gelf-tcp-max-reconnect", "3"))
        self._delay_s = int(info.options.get("gelf-tcp-reconnect-delay", "1"))
        self._hurried = threading.Event()
        self._connection: socket.socket | None = self._dial("tcp")
        self._connection.settimeout(None)

    def hurry(self) -> None:
        """See `LineWriter.hurry`."""
        self._hurried.set()

    def _packed(self, found: Iterable[bytes]) -> Iterable[bytes]:
        return joined(data + b"\0" for data in found)

    def _post(self, data: bytes) -> None:
        for attempt in range(self._tries + 1):
            if self._connection is not None and not gone(self._connection):
                try:
                    self._connection.sendall(data)
                except OSError:
                    pass
                else:
                    return
            close(self._connection)
            self._connection = None
            if attempt < self._tries:
                self._hurried.wait(self._delay_s)
                self._connect()
        raise Unavailable("Maximum reconnection attempts was reached; giving up")

    def _connect(self) -> None:
        try:
            self._connection = self._dial("tcp")
            self._connection.settimeout(None)
        except Unreachable:
            self._connection = None

    def release(self) -> None:
        """See `LineWriter.release`."""
        close(self._connection)
