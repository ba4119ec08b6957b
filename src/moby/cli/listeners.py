"""This file is about where the daemon listens: unix sockets, TCP, and sockets that systemd opened."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from moby.core.errors import Conflict, InvalidParameter, System

_FIRST_PASSED = 3
_BACKLOG = 4096


def open_listener(address: str, group: str, *, named: bool) -> dict[str, socket.socket]:
    """The sockets of an address (`fd://` may be several), by a name that tells them apart.

    Raises Conflict if another daemon listens there.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "fd":
        return _passed(rest)
    if scheme == "unix":
        return {address: _unix(Path(rest), group, named=named)}
    host, _, port = rest.rpartition(":")
    return {address: _tcp(host.strip("[]"), int(port), address)}


def _tcp(host: str, port: int, address: str) -> socket.socket:
    listener = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family[0], socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(family[4])
        listener.listen(_BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise Conflict(
            f"failed to load listeners: listen {address}: {(error.strerror or str(error)).lower()}"
        ) from error
    return listener


def _unix(path: Path, group: str, *, named: bool) -> socket.socket:
    if _answers(path):
        raise Conflict(
            f"failed to load listeners: can't create unix socket {path}: another daemon listens there"
        )
    number = _group(group, named=named)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True) if path.parent.exists() else _make(
            path.parent
        )
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise System(
            f"failed to load listeners: can't create unix socket {path}: {error.strerror}"
        ) from error
    finally:
        os.umask(mask)
    os.chown(path, 0, number)
    path.chmod(0o660)
    listener.listen(_BACKLOG)
    return listener


def _make(directory: Path) -> None:
    mask = os.umask(0o022)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(mask)


def _answers(path: Path) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def _group(name: str, *, named: bool) -> int:
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        if named:
            raise InvalidParameter(f"group {name} not found") from error
        return 0


def _passed(which: str) -> dict[str, socket.socket]:
    """sd_listen_fds(3): all of them, or the one with this number or name."""
    count = int(os.environ.get("LISTEN_FDS", "0")) if os.environ.get("LISTEN_PID") == str(os.getpid()) else 0
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found = {}
    for index in range(count):
        name = names[index] if index < len(names) else ""
        number = _FIRST_PASSED + index
        if which in ("", "*", name, str(number)):
            found[f"fd://{number}"] = socket.socket(fileno=number)
    if not found:
        raise System(f"failed to load listeners: no sockets found via socket activation: fd://{which}")
    return found


def remove(listeners: Mapping[str, socket.socket]) -> None:
    """Close, and take away the names in the file system."""
    for address, listener in listeners.items():
        listener.close()
        if address.startswith("unix://"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address.removeprefix("unix://"))
