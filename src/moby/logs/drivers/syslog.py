"""This file is about syslog: each line a message (RFC 3164, RFC 5424), by a local socket, UDP, TCP or TLS."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from moby.core.errors import InvalidParameter
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter, Stream
from moby.logs.delivery import delivered
from moby.logs.dialing import (
    Tls,
    Unreachable,
    close,
    dial,
    dial_unix,
    gone,
    host_port,
    parse_url,
)
from moby.logs.lines import LineWriter, Message, joined
from moby.logs.options import ATTRIBUTE_OPTIONS
from moby.logs.tags import tag_of

_OPTIONS = ATTRIBUTE_OPTIONS | {
    "syslog-address", "syslog-facility", "syslog-format",
    "syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify",
}  # fmt: skip
_SECURE = "tcp+tls"
_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
)  # fmt: skip
_ERROR, _INFO = 3, 6
LOCAL_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")


class Syslog(LogDriver):
    """Sends to a syslog server."""

    name = "syslog"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            if option not in _OPTIONS:
                raise InvalidParameter(f"unknown log opt '{option}' for syslog log driver")
        _address(options.get("syslog-address", ""))
        _facility(options.get("syslog-facility", ""))
        _form(options.get("syslog-format", ""))

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        return delivered(SyslogWriter(info), info.options)

    def reader(self, info: LogInfo) -> LogReader | None:
        """See `LogDriver.reader`."""
        return None


def _address(text: str) -> tuple[str, str, int]:
    """The scheme, the host or path, and the port. Raises InvalidParameter."""
    if not text:
        return "", "", 0
    url = parse_url(text)
    if url.scheme in ("unix", "unixgram"):
        try:
            os.stat(url.path)
        except OSError as error:
            words = os.strerror(error.errno or 0).lower()
            raise InvalidParameter(f"stat {url.path}: {words}") from error
        return url.scheme, url.path, 0
    if url.scheme not in ("udp", "tcp", _SECURE):
        raise InvalidParameter(f"unsupported scheme: '{url.scheme}'")
    return url.scheme, *host_port(url.authority, 514)


def _facility(text: str) -> int:
    if not text:
        return _FACILITIES.index("daemon") << 3
    if text in _FACILITIES:
        return _FACILITIES.index(text) << 3
    if text.startswith("local") and text[5:] in tuple("01234567"):
        return 16 + int(text[5:]) << 3
    if text.isdigit() and int(text) <= 23:
        return int(text) << 3
    raise InvalidParameter("invalid syslog facility")


Head = Callable[[int, str, str, int], str]


def _form(name: str) -> Head:
    """Makes what stands before a line of a priority, a host, a tag and a time. Raises InvalidParameter."""
    match name:
        case "":
            return _unix
        case "rfc3164":
            return _rfc3164
        case "rfc5424" | "rfc5424micro":
            return partial(_rfc5424, micro=name == "rfc5424micro")
        case _:
            raise InvalidParameter("Invalid syslog format")


def _unix(priority: int, host: str, tag: str, time_ns: int) -> str:
    return f"<{priority}>{_stamp(time_ns)} {tag}[{os.getpid()}]: "


def _rfc3164(priority: int, host: str, tag: str, time_ns: int) -> str:
    return f"<{priority}>{_stamp(time_ns)} {host} {tag}[{os.getpid()}]: "


def _rfc5424(priority: int, host: str, tag: str, time_ns: int, *, micro: bool) -> str:
    moment = time.localtime(time_ns // 1_000_000_000)
    fraction = f".{time_ns // 1000 % 1_000_000:06d}" if micro else ""
    zone = time.strftime("%z", moment)
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}{fraction}{zone}"
    return f"<{priority}>1 {stamp} {host} {tag} {os.getpid()} {tag} - "


def _stamp(time_ns: int) -> str:
    return time.strftime("%b %e %H:%M:%S", time.localtime(time_ns // 1_000_000_000))


class SyslogWriter(LineWriter):
    """One connection, made anew when it breaks; what cannot be sent then is lost, as with dockerd."""

    def __init__(self, info: LogInfo) -> None:
        super().__init__()
        options = info.options
        self._scheme, self._host, self._port = _address(options.get("syslog-address", ""))
        self._tag = tag_of(info)
        self._facility = _facility(options.get("syslog-facility", ""))
        self._form = _form(options.get("syslog-format", ""))
        # Over TLS, such a message comes after its length (RFC 5425).
        self._counted = self._scheme == _SECURE and options.get("syslog-format", "").startswith("rfc5424")
        self._tls = None
        if self._scheme == _SECURE:
            self._tls = Tls(
                options.get("syslog-tls-ca-cert", ""),
                options.get("syslog-tls-cert", ""),
                options.get("syslog-tls-key", ""),
                "syslog-tls-skip-verify" not in options,
            )
        self._ours = os.uname().nodename
        self._connection: socket.socket | None = None
        self._connect()

    def _connect(self) -> socket.socket:
        close(self._connection)
        self._connection = None
        self._connection = self._dialled()
        # From now on it may take as long as it takes; whoever waits for us has limits of its own.
        self._connection.settimeout(None)
        return self._connection

    def _dialled(self) -> socket.socket:
        match self._scheme:
            case "":
                return _local()
            case "unix" | "unixgram":
                return dial_unix(self._host, stream=self._scheme == "unix")
            case scheme:
                network = "udp" if scheme == "udp" else "tcp"
                return dial(network, self._host, self._port, self._tls)

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`: datagrams one by one, of a stream as many as there are at once."""
        found = self._formatted([message for message in messages if message.line])
        failure: OSError | Unreachable | None = None
        for data in found if self._scheme in ("", "udp", "unixgram") else joined(found):
            try:
                self._send(data)
            except (OSError, Unreachable) as error:
                failure = error
        if failure is not None:
            raise failure

    def _formatted(self, messages: list[Message]) -> Iterator[bytes]:
        known: tuple[Stream, int] | None = None
        head = b""
        for message in messages:
            if known != (message.stream, message.time_ns):
                known = (message.stream, message.time_ns)
                priority = self._facility | (_ERROR if message.stream == "stderr" else _INFO)
                head = self._form(priority, self._ours, self._tag, message.time_ns).encode()
            data = b"%b%b\n" % (head, message.line)
            yield b"%d %b" % (len(data), data) if self._counted else data

    def _send(self, data: bytes) -> None:
        if self._connection is not None and not gone(self._connection):
            try:
                self._connection.sendall(data)
            except OSError:
                close(self._connection)
                self._connection = None
            else:
                return
        self._connect().sendall(data)

    def release(self) -> None:
        """See `LineWriter.release`."""
        close(self._connection)


def _local() -> socket.socket:
    for stream in (False, True):
        for path in LOCAL_SOCKETS:
            try:
                return dial_unix(path, stream=stream)
            except Unreachable:
                continue
    raise Unreachable("Unix syslog delivery error")
