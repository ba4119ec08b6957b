"""This file is about reading systemd's journal (sd-journal(3)) by its own library: its files have many forms.

The library is on every host that has a journal. What is opened by one thread is that thread's to use alone.
"""

from __future__ import annotations

import ctypes
import functools
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from moby.core.errors import System

DIRECTORIES = (Path("/var/log/journal"), Path("/run/log/journal"))
_MACHINE = Path("/etc/machine-id")
_VARLINK = "/run/systemd/journal/io.systemd.journal"
_SYNCHRONIZE = b'{"method":"io.systemd.Journal.Synchronize","parameters":{}}\0'
_LIMIT_S = 2.0


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libsystemd.so.0")
    except OSError:
        return None
    library.sd_journal_close.restype = None
    return library


def readable() -> bool:
    """Is there a journal on this host, and a library to read it with?"""
    try:
        machine = _MACHINE.read_text().strip()
    except OSError:
        return False
    return any((directory / machine).is_dir() for directory in DIRECTORIES) and _library() is not None


def synchronize() -> None:
    """Have everything that was sent so far written; nothing happens if the journal does not answer."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
        asking.settimeout(_LIMIT_S)
        asking.connect(_VARLINK)
        asking.sendall(_SYNCHRONIZE)
        asking.recv(4096)


class Journal:
    """A place in the journal, among the entries that match; raises System. It blocks."""

    def __init__(self) -> None:
        library = _library()
        if library is None:
            raise System("cannot read the journal: there is no libsystemd.so.0")
        self._library = library
        self._handle = ctypes.c_void_p()
        self._check("open", library.sd_journal_open(ctypes.byref(self._handle), 0))
        self._call("set_data_threshold", ctypes.c_size_t(0))

    def close(self) -> None:
        """Close it."""
        handle, self._handle = self._handle, ctypes.c_void_p()
        self._library.sd_journal_close(handle)

    def match(self, field: str, value: str) -> None:
        """Only entries that have this."""
        data = f"{field}={value}".encode()
        self._call("add_match", data, ctypes.c_size_t(len(data)))

    def to_begin(self, time_ns: int | None = None) -> None:
        """Before the first entry, or before the first one of that moment."""
        if time_ns is None:
            self._call("seek_head")
        else:
            self._call("seek_realtime_usec", ctypes.c_uint64(time_ns // 1000))

    def to_end(self, time_ns: int | None = None) -> None:
        """Behind the last entry, or behind the last one before that moment."""
        if time_ns is None:
            self._call("seek_tail")
        else:
            self._call("seek_realtime_usec", ctypes.c_uint64(time_ns // 1000))

    def next(self) -> bool:
        """To the next entry; is there one?"""
        return self._call("next") > 0

    def back(self, count: int) -> int:
        """Back by so many entries; by how many it was."""
        return self._call("previous_skip", ctypes.c_uint64(count))

    def time_ns(self) -> int:
        """When the journal got this entry."""
        moment = ctypes.c_uint64()
        self._call("get_realtime_usec", ctypes.byref(moment))
        return moment.value * 1000

    def fields(self) -> dict[str, bytes]:
        """This entry."""
        found: dict[str, bytes] = {}
        data, length = ctypes.c_void_p(), ctypes.c_size_t()
        self._library.sd_journal_restart_data(self._handle)
        while self._call("enumerate_data", ctypes.byref(data), ctypes.byref(length)) > 0:
            name, _, value = ctypes.string_at(data.value or 0, length.value).partition(b"=")
            found[name.decode("ascii", "replace")] = value
        return found

    def wait(self, seconds: float) -> None:
        """Until there is something new, or for so long."""
        self._call("wait", ctypes.c_uint64(int(seconds * 1e6)))

    def _call(self, name: str, *arguments: Any) -> int:
        return self._check(name, getattr(self._library, f"sd_journal_{name}")(self._handle, *arguments))

    def _check(self, name: str, result: int) -> int:
        if result < 0:
            raise System(f"cannot read the journal: {name}: {os.strerror(-result)}")
        return result
