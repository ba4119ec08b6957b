"""This file is about network namespaces that belong to a user namespace: whoever is root there rules them.

Both have a path. A process with threads cannot enter a user namespace: a child makes the two and is gone when
they have their paths.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from moby.core.errors import System
from moby.core.idmaps import IdMap, IdRange
from moby.host.files import translation
from moby.host.namespaces import network

_LIMIT_S = 10


def make_owned(path: Path, users: Path, ids: IdMap, function: Callable[[], object], owner: str = "") -> None:
    """A new network namespace at `path`, of a new user namespace at `users`; `function` runs inside.

    With `owner`, the path of a user namespace that is there already, it is that one's, and is at `users` too.
    """
    join = ("nsenter", f"--user={owner}") if owner else ()
    command = [*join, "unshare", *([] if owner else ["--user"]), "--net", "cat"]
    with translation("create network namespace"):
        for one in (path, users):
            os.close(os.open(one, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
            try:
                _place(child, path, users, ids, mapped=not owner)
            finally:
                child.kill()
        network.inside(path, function)
    except BaseException:
        network.remove(path)
        network.remove(users)
        raise


def _place(child: subprocess.Popen[bytes], path: Path, users: Path, ids: IdMap, *, mapped: bool) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    # It answers when it is where it is to be.
    child.stdin.write(b".")
    if child.stdout.read(1) != b".":
        raise System("cannot create a user namespace")
    process = Path("/proc", str(child.pid))
    with translation("create user namespace"):
        if mapped:
            (process / "uid_map").write_text(_lines(ids.users))
            (process / "gid_map").write_text(_lines(ids.groups))
        network.bind(process / "ns/user", users)
        network.bind(process / "ns/net", path)


def _lines(ranges: tuple[IdRange, ...]) -> str:
    return "".join(f"{one.inside} {one.outside} {one.count}\n" for one in ranges)
