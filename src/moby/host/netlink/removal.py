"""This file is about removing devices without waiting until the kernel is done with them. It blocks."""

from __future__ import annotations

import socket
import threading

from moby.core.errors import MobyError
from moby.host.netlink.links import Link, delete_link
from moby.host.netlink.routing_socket import RoutingSocket

_LOOK_S = 0.0002
_AT_ONCE = threading.BoundedSemaphore(32)


def remove_link(link: Link) -> None:
    """Delete a device of this namespace; for a veth pair both ends. Returns when nobody finds it any more.

    The kernel takes a device, its addresses and routes away within a millisecond, and says so some 25 ms
    later, when nobody can be using them still. Nothing waits for that but a thread of its own.

    No error if it is gone.
    """
    removal = _Removal(link)
    _AT_ONCE.acquire()
    removal.start()
    while _is_there(link.index):
        if removal.done.wait(_LOOK_S):
            if removal.failure is not None and _is_there(link.index):
                raise removal.failure
            return


class _Removal(threading.Thread):
    """Has one device deleted; the process does not end before."""

    def __init__(self, link: Link) -> None:
        super().__init__(name=f"remove {link.name}")
        self._link = link
        # Of the namespace of whoever asks.
        self._routing = RoutingSocket()
        self.done = threading.Event()
        self.failure: MobyError | None = None

    def run(self) -> None:
        try:
            with self._routing:
                self._routing.change([delete_link(self._link.name, self._link.index)])
        except MobyError as error:
            self.failure = error
        finally:
            self.done.set()
            _AT_ONCE.release()


def _is_there(index: int) -> bool:
    try:
        socket.if_indextoname(index)
    except OSError:
        return False
    return True
