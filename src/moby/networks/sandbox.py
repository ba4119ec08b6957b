"""This file is about sandboxes as the kernel sees them: a namespace at a path. Everything here blocks."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from moby.core.errors import MobyError
from moby.core.idmaps import IdMap
from moby.core.networks import Endpoint
from moby.host import namespaces, netlink, sysctl

log = logging.getLogger(__name__)

_LOOPBACK = 1
_USERS = ".users"


class Spares:
    """Makes sandboxes from namespaces that were made before anyone asked: to make one takes a millisecond.

    A thread of our own keeps a few; they have no path, so that nothing is left of them when we end.
    """

    def __init__(self, number: int = 2) -> None:
        self._ready: queue.Queue[int] = queue.Queue(number)
        self._thread = threading.Thread(target=self._keep, name="namespaces", daemon=True)
        self._closed = False

    def start(self) -> None:
        """Begin to make spare ones."""
        self._thread.start()

    def make(self, path: Path) -> None:
        """A namespace whose loopback device is up; what a crash left at the path is removed first."""
        namespaces.remove(path)
        try:
            descriptor = self._ready.get_nowait()
        except queue.Empty:
            descriptor = _prepared()
        try:
            namespaces.place(descriptor, path)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Make no more, and free those that nobody took."""
        self._closed = True
        while self._thread.is_alive():
            with suppress(queue.Empty):
                os.close(self._ready.get(timeout=0.01))
        while not self._ready.empty():
            os.close(self._ready.get_nowait())

    def _keep(self) -> None:
        while not self._closed:
            try:
                self._ready.put(_prepared())
            except MobyError as error:
                # Whoever asks next makes one for itself, and gets the error.
                log.warning("no spare network namespace: %s", error)
                return


def make_owned(path: Path, ids: IdMap, owner: str) -> Path:
    """A namespace that belongs to a user namespace, whose path is returned: `owner`, or a new one."""
    users = users_path(path)
    free(path)
    namespaces.make_owned(path, users, ids, _loopback_up, owner)
    return users


def users_path(path: Path) -> Path:
    """Where the user namespace is that a sandbox belongs to, if it belongs to one."""
    return path.with_name(f"{path.name}{_USERS}")


def _prepared() -> int:
    return namespaces.prepare(_loopback_up)


def _loopback_up() -> None:
    with netlink.RoutingSocket() as routing:
        routing.change([netlink.set_link(index=_LOOPBACK, up=True)])


def configure(path: Path, sysctls: Mapping[str, str]) -> None:
    """Set kernel settings inside. Raises NotFound and InvalidParameter as `sysctl.write` does."""

    def write() -> None:
        for name, value in sysctls.items():
            sysctl.write(name, value)

    namespaces.inside(path, write)


def without_route(path: Path, endpoints: Iterable[Endpoint]) -> set[str]:
    """The IDs of the endpoints that are to give a default route of which there is none."""
    with namespaces.inside(path, netlink.RoutingSocket) as routing:
        have = {
            route.destination.version for route in netlink.routes(routing) if not route.destination.prefixlen
        }
    return {
        one.id
        for one in endpoints
        if (one.default_route and one.gateway and 4 not in have)
        or (one.default_route6 and one.gateway6 and 6 not in have)
    }


def lives(path: Path) -> bool:
    """Is there a namespace at the path?"""
    return namespaces.is_namespace(path)


def free(path: Path) -> None:
    """Let the kernel have it back, with the user namespace it belongs to; no error if it is gone."""
    namespaces.remove(path)
    if (users := users_path(path)).exists():
        namespaces.remove(users)


def sweep(directory: Path, known: frozenset[Path]) -> None:
    """Free what is in the directory and nobody knows of: a crash came before it was written down."""
    for path in directory.iterdir():
        if path.with_name(path.name.removesuffix(_USERS)) not in known:
            namespaces.remove(path)
