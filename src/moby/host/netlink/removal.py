"""This file is about removing devices without waiting until the kernel is done with them. It blocks."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from moby.core.errors import MobyError, NotFound, Unavailable
from moby.host.netlink.links import Link, delete_group, delete_link, set_group
from moby.host.netlink.routing_socket import RoutingSocket

_LOOK_S, _LOOK_AT_MOST_S, _SLOWER = 0.0002, 0.005, 1.5
_AT_ONCE = 128
# The devices that are about to go, by a number that nobody else has.
_GOING = 0x6D6F6279

_lock = threading.Lock()
_removers: dict[int, _Remover] = {}


def remove_link(link: Link) -> None:
    """Delete a device of this namespace; for a veth pair both ends. Returns when nobody finds it any more.

    The kernel takes a device, its addresses and routes away within a millisecond, and says so some 25 ms
    later, when nobody can be using them still; until then it removes no other. Nothing waits for that but a
    thread, which removes what has come meanwhile in one go: a hundred take no longer than one.

    No error if it is gone.
    """
    removal = _Removal(link)
    _hand_over(removal)
    pause = _LOOK_S
    while _is_there(link.index):
        if removal.done.wait(pause):
            if removal.failure is not None and _is_there(link.index):
                raise removal.failure
            return
        pause = min(pause * _SLOWER, _LOOK_AT_MOST_S)


def _hand_over(removal: _Removal) -> None:
    """To the thread that removes devices of the namespace that we are in."""
    namespace = os.stat("/proc/thread-self/ns/net").st_ino
    with _lock:
        remover = _removers.get(namespace)
        if remover is None:
            remover = _Remover(namespace)
            remover.start()
            _removers[namespace] = remover
        remover.waiting.append(removal)


class _Removal:
    """One device, and what became of it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.done = threading.Event()
        self.failure: MobyError | None = None


class _Remover(threading.Thread):
    """Removes devices of one namespace as long as there are any; the process does not end before."""

    def __init__(self, namespace: int) -> None:
        super().__init__(name="remove devices")
        self.waiting: list[_Removal] = []
        self._namespace = namespace
        # Of the namespace of whoever asks, as the thread is.
        self._routing = RoutingSocket()

    def run(self) -> None:
        with self._routing:
            while batch := self._next():
                try:
                    if len(batch) > 1:
                        self._together(batch)
                    for removal in batch:
                        self._alone(removal)
                finally:
                    for removal in batch:
                        removal.done.set()

    def _next(self) -> Sequence[_Removal]:
        with _lock:
            batch, self.waiting = self.waiting[:_AT_ONCE], self.waiting[_AT_ONCE:]
            if not batch:
                del _removers[self._namespace]
        return batch

    def _together(self, batch: Sequence[_Removal]) -> None:
        """As many as can be; the others are left."""
        with suppress(MobyError, TimeoutError):
            with suppress(NotFound):
                self._routing.change([set_group(removal.link.index, _GOING) for removal in batch])
            self._routing.change([delete_group(_GOING)])

    def _alone(self, removal: _Removal) -> None:
        if not _is_there(removal.link.index):
            return
        try:
            self._routing.change([delete_link(removal.link.name, removal.link.index)])
        except MobyError as error:
            removal.failure = error
            with suppress(MobyError):  # Or nobody could ever be removed together with others.
                self._routing.change([set_group(removal.link.index, 0)])
        except TimeoutError:
            removal.failure = Unavailable(f"the kernel does not delete {removal.link.name}")


def _is_there(index: int) -> bool:
    try:
        socket.if_indextoname(index)
    except OSError:
        return False
    return True
