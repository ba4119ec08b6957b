"""This file is about having large layers unpacked by processes of their own (`moby.images.extractor`).

To unpack takes hundreds of thousands of short calls, for each of which threads of one process wait for each
other. In a process of its own a layer has a processor for itself, and the daemon goes on answering. It gets
the layer by memory that it shares with the daemon, and ends with its layer, or with the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import mmap
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from moby.core.errors import System
from moby.host.threads import Threads
from moby.host.watched import process_is_stopped
from moby.images.extractor import CONTROL, DONE, EDITION, NUMBER, SLOT, SLOTS, TAKEN, Order, Outcome
from moby.images.layer_stream import LayerStream, Unpacked, Unpacking

log = logging.getLogger(__name__)

PROGRAM = "from moby.images.extractor import main; main()"
_ANSWER = 1 << 16
_BEGIN_LIMIT_S = 30.0
# Whoever has not answered for so long may have been stopped.
_PATIENCE_S = 10.0
_THREADS = Threads("extractors", 1)


class Extractors:
    """The process that forks one for each layer; it is there while there is work.

    Life: `held` around the work, any number of times, `begin` inside, and `expect` if that is to come soon.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._starting: asyncio.Future[None] | None = None
        self._control: socket.socket | None = None
        self._pid = 0

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """In this block the process stays once it has been started."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders and (self._control is not None or self._starting is not None):
                self._starting = None
                await _THREADS.finish(self._end)  # after what was begun, in the same thread

    def expect(self) -> None:
        """A layer is about to come: the process can start while its first piece is fetched."""
        if self._starting is None:
            self._starting = _THREADS.begin(self._start_early)

    def begin(self, order: Order, descriptors: Sequence[int]) -> None:
        """Have a layer unpacked: the memory it comes by, the socket, its directory. Raises OSError."""
        message = msgspec.msgpack.encode(order)
        with self._lock:
            if self._control is not None:
                try:
                    socket.send_fds(self._control, [message], descriptors)
                except ConnectionError:
                    log.warning("the process that has layers unpacked has ended; it is started again")
                    self._reap()
                else:
                    return
            self._start()
            assert self._control is not None
            socket.send_fds(self._control, [message], descriptors)

    def drop(self) -> None:
        """It does not do what it is there for: the next layer has another one started."""
        with self._lock:
            self._reap()

    def _start_early(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # who needs it tries again, and is told
            if self._control is None:
                self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, contextlib.ExitStack() as stack:
            stack.callback(ours.close)
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, null)
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-c", PROGRAM, EDITION],
                {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL),
                ],
                setsid=True,
            )  # fmt: skip
            stack.pop_all()
            os.close(null)
        self._control = ours

    def _end(self) -> None:
        with self._lock:
            if not self._holders:
                self._reap()

    def _reap(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            control.close()
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                # It has nothing to lose, and those that it has forked end by themselves.
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)


class Extractor(Unpacking):
    """One layer that a process unpacks, begun when its first piece comes; see `Unpacking`.

    Where no process can be had it is unpacked in this one. A process that is killed, or stopped by somebody,
    fails its layer: System.
    """

    def __init__(self, extractors: Extractors, digest: str, root: int, *, lowest: bool) -> None:
        self._extractors = extractors
        self._order = Order(digest, lowest)
        self._root = os.dup(root)
        self._memory: mmap.mmap | None = None
        self._slot = self._filled = self._waiting = 0
        self._pid, self._process = 0, -1
        self._answers: socket.socket | None = None
        self._received = bytearray()
        self._here: LayerStream | None = None
        self._stopped = False

    def take(self, pieces: Sequence[bytes | memoryview]) -> None:
        """See `Unpacking.take`."""
        if self._stopped:
            return
        if (memory := self._begun()) is None:
            assert self._here is not None
            self._here.take(pieces)
            return
        for piece in pieces:
            left = memoryview(piece)
            while left:
                size = min(len(left), SLOT - self._filled)
                at = self._slot * SLOT + self._filled
                memory[at : at + size] = left[:size]
                self._filled += size
                left = left[size:]
                if self._filled == SLOT:
                    self._hand_over()
        self._hand_over()

    def end(self) -> Unpacked:
        """See `Unpacking.end`."""
        if self._begun() is None:
            assert self._here is not None
            return self._here.end()
        self._tell(0)
        return self._outcome()

    def stop(self) -> None:
        """See `Unpacking.stop`."""
        self._stopped = True
        if self._here is not None:
            self._here.stop()
        self._kill()

    def close(self) -> None:
        """See `Unpacking.close`."""
        self.stop()
        if self._here is not None:
            self._here.close()
        if self._answers is not None:
            while self._heard():
                pass  # its end of the socket is closed when the process ends
            self._answers.close()
            self._answers = None
        if self._memory is not None:
            self._memory.close()
        descriptors, self._root, self._process = (self._root, self._process), -1, -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    def _begun(self) -> mmap.mmap | None:
        """The memory that is shared; None if there is no process."""
        if self._memory is None and self._here is None:
            try:
                self._begin()
            except OSError as error:
                log.warning("no process to unpack a layer", extra={"error": error.strerror})
                self._here = LayerStream(self._order.digest, self._root, lowest=self._order.lowest)
            if self._stopped:
                self.stop()  # which may have come before there was anything to stop
        return self._memory

    def _begin(self) -> None:
        shared = os.memfd_create("layer", os.MFD_CLOEXEC)
        try:
            os.ftruncate(shared, SLOTS * SLOT)
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    self._extractors.begin(self._order, [shared, theirs.fileno(), self._root])
                    theirs.close()
                    self._pid, self._process = _born(ours)
                    self._memory = mmap.mmap(shared, SLOTS * SLOT)
                except OSError:
                    ours.close()
                    self._extractors.drop()
                    raise
            ours.settimeout(_PATIENCE_S)
            self._answers = ours
        finally:
            os.close(shared)

    def _hand_over(self) -> None:
        """Tell of the slot that is filled, and wait until the next one can be."""
        if not self._filled:
            return
        self._tell(self._filled)
        self._slot, self._filled = (self._slot + 1) % SLOTS, 0
        self._waiting += 1
        while self._waiting >= SLOTS:
            if not self._heard():
                raise self._gone()
            taken = len(self._received) - len(self._received.lstrip(TAKEN))
            del self._received[:taken]
            self._waiting -= taken
            if self._received:
                self._outcome()  # before the end there is none that is good

    def _tell(self, length: int) -> None:
        assert self._answers is not None
        try:
            self._answers.sendall(NUMBER.pack(length))
        except ConnectionError:
            self._outcome()
            raise self._gone() from None

    def _outcome(self) -> Unpacked:
        while self._heard():
            pass
        data = self._received.partition(DONE)[2]
        try:
            return msgspec.msgpack.decode(data, type=Outcome).unpacked()
        except msgspec.MsgspecError as error:
            raise self._gone() from error

    def _heard(self) -> bool:
        """Wait for what comes next; False if that is the end."""
        assert self._answers is not None
        while True:
            try:
                data = self._answers.recv(_ANSWER)
            except ConnectionError:
                return False
            except TimeoutError:
                if process_is_stopped(self._pid):
                    self._kill()
                continue
            self._received += data
            return bool(data)

    def _kill(self) -> None:
        """It has nothing to lose."""
        if self._process >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def _gone(self) -> System:
        return System(f"failed to extract layer {self._order.digest}: the process that unpacks it has ended")


def _born(answers: socket.socket) -> tuple[int, int]:
    """Which one a layer's process says it is: pid and descriptor. Raises OSError if there is none."""
    answers.settimeout(_BEGIN_LIMIT_S)
    data, descriptors, _, _ = socket.recv_fds(answers, NUMBER.size, 1)
    if not descriptors:
        raise OSError(errno.ECHILD, os.strerror(errno.ECHILD))
    return NUMBER.unpack(data)[0], descriptors[0]
