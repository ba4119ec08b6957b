"""This file is about the processes that unpack large layers, one a layer: what they run.

`main` is a process of its own that forks another one for each layer that it is sent: memory that the layer
comes by, the directory it goes to, and a socket to speak of both. They have nothing else of the daemon's. Who
is left alone ends: a layer whose socket is closed is given up, and without its daemon `main` has no work.

A layer's process begins by saying which it is: its pid, with a descriptor of it. The memory is divided into
`SLOTS`, which are filled in turn. How much there is in one is told by a `NUMBER`, and `TAKEN` is the answer
when it has been used; a length of 0 is the end, and the answer an `Outcome`.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import msgspec

from moby.core.errors import InvalidParameter, MobyError, System
from moby.images.layer_stream import LayerStream, Unpacked

CONTROL = 3
"""The descriptor on which `main` is told of layers."""
SLOTS, SLOT = 2, 3 << 19
NUMBER = struct.Struct("=I")
TAKEN, DONE = b"+", b"="
EDITION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""Daemon and processes have to be of the same: after an upgrade there is another one on disk."""
ORDER_LIMIT = 1 << 12
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 4 << 20
_KINDS: dict[str, type[MobyError]] = {"InvalidParameter": InvalidParameter, "System": System}


class Order(msgspec.Struct, frozen=True, array_like=True):
    """A layer to unpack; the digest is empty while it is not known."""

    digest: str
    lowest: bool


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of a layer: unpacked, or an error's class and words. Paths and words are any bytes."""

    diff_id: str = ""
    implied: dict[int, bytes] = {}
    hides: bool = False
    error: str = ""
    words: bytes = b""

    @classmethod
    def good(cls, found: Unpacked) -> Outcome:
        """It is unpacked."""
        return cls(found.diff_id, {n: os.fsencode(p) for n, p in found.implied.items()}, found.hides)

    @classmethod
    def bad(cls, error: MobyError) -> Outcome:
        """It is not."""
        kind = next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "System")
        return cls(error=kind, words=os.fsencode(error.message))

    def unpacked(self) -> Unpacked:
        """Raises InvalidParameter, System."""
        if self.error:
            raise _KINDS.get(self.error, System)(os.fsdecode(self.words))
        return Unpacked(self.diff_id, {n: os.fsdecode(p) for n, p in self.implied.items()}, self.hides)


class _Layers:
    """The processes that unpack layers now; each of them sees how many there are."""

    def __init__(self) -> None:
        self._count = mmap.mmap(-1, mmap.PAGESIZE)
        self._processors = len(os.sched_getaffinity(0))
        self._pids: dict[int, int] = {}
        self._poll = select.poll()

    def run(self, control: socket.socket) -> None:
        """Fork one for each order, until nobody is there to give any."""
        self._poll.register(control, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != control.fileno():
                    self._ended(descriptor)
                elif not self._order(control):
                    return

    @contextmanager
    def spare(self) -> Iterator[bool]:
        """Is a processor left?"""
        yield self._count[0] < self._processors

    def _order(self, control: socket.socket) -> bool:
        message, given, _, _ = socket.recv_fds(control, ORDER_LIMIT, 3)
        if not message:
            return False
        order = msgspec.msgpack.decode(message, type=Order)
        memory, reply, root = given
        try:
            self._count[0] = min(len(self._pids) + 1, 255)
            pid = os.fork()
            if pid == 0:
                control.close()
                _extract(order, memory, reply, root, self)
            watched = os.pidfd_open(pid)
            self._pids[watched] = pid
            self._poll.register(watched, select.POLLIN)
        except OSError as error:
            print(f"no process for layer {order.digest}: {error.strerror}", file=sys.stderr)  # noqa: T201
        finally:
            for descriptor in given:
                os.close(descriptor)
        return True

    def _ended(self, watched: int) -> None:
        self._poll.unregister(watched)
        os.close(watched)
        os.waitpid(self._pids.pop(watched), 0)
        self._count[0] = min(len(self._pids), 255)


def _extract(order: Order, memory: int, reply: int, root: int, layers: _Layers) -> NoReturn:
    """Unpack a layer, say what became of it, and end."""
    code = 1
    try:
        with socket.socket(fileno=reply) as answers:
            socket.send_fds(answers, [NUMBER.pack(os.getpid())], [os.pidfd_open(os.getpid())])
            stream = LayerStream(order.digest, root, lowest=order.lowest, umask=0, spare=layers.spare)
            try:
                _follow(stream, memoryview(mmap.mmap(memory, SLOTS * SLOT)), answers)
                outcome = Outcome.good(stream.end())
            except MobyError as error:
                outcome = Outcome.bad(error)
            stream.close()
            answers.sendall(DONE + msgspec.msgpack.encode(outcome))
        code = 0
    except (ConnectionError, EOFError):
        code = 0  # nobody wants to know
    except BaseException:  # noqa: BLE001 - what has been forked must not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(code)


def _follow(stream: LayerStream, slots: memoryview, answers: socket.socket) -> None:
    """Take the layer to its end. Raises EOFError if it is given up."""
    at = 0
    while length := _told(answers):
        stream.take([slots[at : at + length]])
        answers.sendall(TAKEN)
        at = (at + SLOT) % len(slots)


def _told(answers: socket.socket) -> int:
    data = answers.recv(NUMBER.size, socket.MSG_WAITALL)
    if len(data) < NUMBER.size:
        raise EOFError
    length: int = NUMBER.unpack(data)[0]
    return length


def _keep_memory() -> None:
    """Have malloc keep what is freed: buffers of these sizes come and go all the time (mallopt(3))."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, _KEPT)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _KEPT)


def main() -> None:
    """Serve one daemon, which says of what edition it is."""
    if sys.argv[1:] != [EDITION]:
        sys.exit("the program has been replaced: the daemon unpacks layers itself until it is started again")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.closerange(CONTROL + 1, os.sysconf("SC_OPEN_MAX"))
    os.umask(0)
    _keep_memory()
    try:
        with socket.socket(fileno=CONTROL) as control:
            _Layers().run(control)
    except ConnectionError:
        sys.exit(0)
