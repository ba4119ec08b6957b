"""This file is about journald: each line an entry of systemd's journal, by its native protocol.

A field is `NAME=value` and a newline, or, if the value has newlines, the name, a newline, the value's length
as a little-endian 64-bit number, the value and a newline. What fits into no datagram goes as a sealed file.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
from collections.abc import Mapping

from moby.core.errors import InvalidParameter, Unavailable
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter
from moby.logs.delivery import delivered
from moby.logs.lines import LineWriter, Message
from moby.logs.moments import timestamp
from moby.logs.options import ATTRIBUTE_OPTIONS, extra_attributes
from moby.logs.tags import tag_of

SOCKET = "/run/systemd/journal/socket"
_ERROR, _INFO = "3", "6"
_SEALS = 0xF  # F_SEAL_SEAL | SHRINK | GROW | WRITE
_F_ADD_SEALS = 1033


class Journald(LogDriver):
    """Sends to the journal of this host."""

    name = "journald"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            if option not in ATTRIBUTE_OPTIONS:
                raise InvalidParameter(f"unknown log opt '{option}' for journald log driver")

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        return delivered(JournaldWriter(info, SOCKET), info.options)

    def reader(self, info: LogInfo) -> LogReader | None:
        """From the journal itself; where there is none to be read, nothing is read back."""
        # Not in every monitor.
        from moby.host.journal import readable
        from moby.logs.journal_reading import JournalReader

        return JournalReader(info.container_id) if readable() else None


class JournaldWriter(LineWriter):
    """Numbers its entries, so that a reader can put them in order."""

    def __init__(self, info: LogInfo, path: str) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise Unavailable("journald is not enabled on this host") from error
        # The journal may be restarted: each entry is sent to the path, not to who was there at the start.
        self._socket.close()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        tag = tag_of(info)
        fields = {
            "CONTAINER_ID": info.container_id[:12],
            "CONTAINER_ID_FULL": info.container_id,
            "CONTAINER_NAME": info.container_name,
            "CONTAINER_TAG": tag,
            "IMAGE_NAME": info.image_name,
            "SYSLOG_IDENTIFIER": tag,
            "CONTAINER_LOG_EPOCH": os.urandom(32).hex(),
        }
        fields.update(extra_attributes(info, field_name))
        self._fields = b"".join(field(name, value.encode()) for name, value in fields.items())
        self._ordinal = 0

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`."""
        failure: OSError | None = None
        for message in messages:
            try:
                self._send(self._entry(message))
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure

    def _entry(self, message: Message) -> bytes:
        self._ordinal += 1
        own = {
            "PRIORITY": _ERROR if message.stream == "stderr" else _INFO,
            "SYSLOG_TIMESTAMP": timestamp(message.time_ns),
            "CONTAINER_LOG_ORDINAL": str(self._ordinal),
        }
        if (part := message.partial) is not None:
            own["CONTAINER_PARTIAL_ID"] = part.id
            own["CONTAINER_PARTIAL_ORDINAL"] = str(part.ordinal)
            own["CONTAINER_PARTIAL_LAST"] = "true" if part.last else "false"
            if not part.last:
                own["CONTAINER_PARTIAL_MESSAGE"] = "true"
        fields = b"".join(field(name, value.encode()) for name, value in own.items())
        return field("MESSAGE", message.line) + fields + self._fields

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, self._path)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_file(entry)

    def _send_file(self, entry: bytes) -> None:
        descriptor = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.write(descriptor, entry)
            fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
            beside = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]).tobytes())
            self._socket.sendmsg([b""], [beside], 0, self._path)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """See `LineWriter.release`."""
        self._socket.close()


def field(name: str, value: bytes) -> bytes:
    """One field of an entry."""
    if b"\n" not in value:
        return b"%b=%b\n" % (name.encode(), value)
    return b"%b\n%b%b\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def field_name(name: str) -> str:
    """A label's or a variable's name as the journal takes it."""
    made = "".join(letter.upper() if letter.isascii() and letter.isalnum() else "_" for letter in name)
    return made.lstrip("_")
