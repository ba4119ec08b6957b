"""This file is about network namespaces: made, entered and freed by path.

The calling thread goes into the namespace and comes back before the call returns. Everything here blocks, so
that thread is a pool's and never the event loop's.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from moby.host.files import translated, translation

T = TypeVar("T")

log = logging.getLogger(__name__)

_NEWNET = 0x40000000
_BIND, _DETACH, _NOFOLLOW = 0x1000, 0x2, 0x8

_libc = ctypes.CDLL(None, use_errno=True)


def make(path: Path, function: Callable[[], T]) -> T:
    """A new namespace at `path`; `function` runs inside it. Raises Conflict if the path is taken."""

    def body() -> T:
        _call("unshare", _NEWNET)
        _call("mount", b"/proc/thread-self/ns/net", os.fsencode(path), None, _BIND, None)
        return function()

    with translation("create network namespace"):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        return _visit(body)
    except BaseException:
        remove(path)
        raise


def prepare(function: Callable[[], object]) -> int:
    """A new namespace that has no path yet, as a descriptor of the caller's; `function` runs inside it."""

    def body() -> int:
        _call("unshare", _NEWNET)
        function()
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return _visit(body)


def place(descriptor: int, path: Path) -> None:
    """Give a prepared namespace its path. Raises Conflict if that is taken."""
    with translation("create network namespace"):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        source = f"/proc/thread-self/fd/{descriptor}".encode()
        _call("mount", source, os.fsencode(path), None, _BIND, None)
    except BaseException:
        remove(path)
        raise


def bind(source: Path, path: Path) -> None:
    """Have a namespace's file at another path, which is there already."""
    _call("mount", os.fsencode(source), os.fsencode(path), None, _BIND, None)


def inside(path: str | Path, function: Callable[[], T]) -> T:
    """Run `function` in the namespace at `path`. Raises NotFound if there is none."""

    def body() -> T:
        with translation("open network namespace"):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", descriptor, _NEWNET)
        finally:
            os.close(descriptor)
        return function()

    return _visit(body)


def remove(path: Path) -> None:
    """Free the path; no error if nothing is there.

    The kernel ends the namespace, and the devices in it, some time after nobody is in it any more. To delete
    the devices first would take it longer.
    """
    _libc.umount2(os.fsencode(path), _DETACH | _NOFOLLOW)
    path.unlink(missing_ok=True)


def is_namespace(path: str | Path) -> bool:
    """Is there a namespace at `path`, and not an empty file, as after a reboot?"""
    try:
        return os.stat(path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except OSError:
        return False


def _call(name: str, *args: Any) -> None:
    if getattr(_libc, name)(*args) != 0:
        code = ctypes.get_errno()
        raise translated(OSError(code, os.strerror(code)), f"{name} network namespace")


def _visit(body: Callable[[], T]) -> T:
    """Run `body`, which takes this thread into another namespace, and come back."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return body()
    finally:
        if _libc.setns(home, _NEWNET) != 0:
            # What this thread does next would happen in a container. Containers live on without us.
            log.critical("cannot return to the host's network namespace")
            os.abort()
        os.close(home)
