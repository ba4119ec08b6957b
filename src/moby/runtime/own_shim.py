"""This file is about the program that containerd calls as the shim of a container that a monitor runs.

containerd runs it to start a shim and to clear up after one. The shim is there already, the container's
monitor, so that `start` only says where it listens. `delete` finds something to do if the monitor was killed.
"""

from __future__ import annotations

import logging
import os
import shlex
import socket
from datetime import UTC, datetime
from pathlib import Path

from moby.core.errors import System
from moby.core.runtime import Status, TaskState
from moby.host.files import write_atomic

log = logging.getLogger(__name__)

NAME = "io.containerd.moby.v1"
_PROGRAM = "containerd-shim-moby-v1"
# unix(7): a socket's path has 107 bytes. A name has so many characters of the container's, and room for the
# sockets at which terminals are handed over.
_SOCKET_PATH_LIMIT, _NAME_LENGTH, _ROOM = 107, 20, 5

# What it costs is the time a container takes longer to start, so that it starts no other program in `start`.
# The files in the bundle, its working directory, are the monitor's (`moby.monitor.shim.task`), but for
# `address`, in which containerd 1.6 looks for the shim after it was started again.
_TEXT = """\
#!/bin/sh
# containerd's shim of containers that mobyd's monitors run.
id=
while [ $# -gt 1 ]; do
  case $1 in
    -id) id=$2; shift 2 ;;
    -namespace | -address | -publish-binary | -bundle) shift 2 ;;
    *) shift ;;
  esac
done
short=${{id%"${{id#{pattern}}}"}}
socket={sockets}/${{short:-$id}}

varint() {{
  number=$1
  while [ "$number" -gt 127 ]; do
    printf "\\\\$(printf %o $((number % 128 + 128)))"
    number=$((number / 128))
  done
  printf "\\\\$(printf %o "$number")"
}}

case $1 in
  start)
    [ -S "$socket" ] || {{ printf 'no monitor waits for container %s' "$id"; exit 1; }}
    printf %s "$TTRPC_ADDRESS" >moby-events
    printf 'unix://%s' "$socket" >address
    printf 'unix://%s' "$socket"
    ;;
  delete)
    [ -e moby-runtime ] || [ -e moby-exit ] || exit 0
    pid=0 status=137 at=
    [ ! -e init.pid ] || read -r pid <init.pid
    [ ! -e moby-exit ] || read -r pid status at <moby-exit
    if [ -e moby-runtime ]; then
      {{ read -r binary; read -r root; }} <moby-runtime
      "$binary" --root "$root" delete --force "$id" >&2
      umount -l rootfs
    fi
    # The socket may be that of a monitor that waits to run the container anew: the daemon removes it if not.
    # It may be away now, and containerd forgets what it is told here.
    at=${{at:-$(date +%s)}}
    printf '%s %s %s\n' "$pid" "$status" "$at" >"$socket.end"
    rm -f moby-runtime moby-exit
    # containerd.task.v2.DeleteResponse: 1 the pid, 2 the exit status, 3 the moment (1 in seconds; 5 bytes).
    printf '\\010'; varint "$pid"
    printf '\\020'; varint "$status"
    printf '\\032\\006\\010'; varint "$at"
    ;;
  *)
    echo "usage: $0 -namespace NAME -address SOCKET -publish-binary PROGRAM -id NAME start | delete" >&2
    exit 2
    ;;
esac
"""


class OwnShim:
    """The program, and where the monitors listen that it names to containerd.

    The program is not among what goes with a machine's start: nothing may be run from there on some.
    """

    def __init__(self, directory: Path, sockets: Path) -> None:
        self._sockets = sockets
        # containerd takes a path for a runtime's name.
        self.program = directory / _PROGRAM

    @property
    def usable(self) -> bool:
        """Are the paths of sockets short enough?"""
        longest = len(os.fsencode(self._sockets)) + 1 + _NAME_LENGTH + _ROOM
        return longest <= _SOCKET_PATH_LIMIT

    def socket(self, task: str) -> Path:
        """Where the task's monitor listens for containerd."""
        return self._sockets / task[:_NAME_LENGTH]

    def last_end(self, task: str) -> TaskState | None:
        """How a task ended that the program has cleared up after. Blocks."""
        try:
            pid, status, at = (int(word) for word in self._end_file(task).read_text().split())
        except (OSError, ValueError):
            return None
        return TaskState(task, pid, Status.STOPPED, status, datetime.fromtimestamp(at, UTC))

    def forget(self, task: str) -> None:
        """Remove what a monitor that was killed has left, and what is known of its end. Blocks."""
        self._end_file(task).unlink(missing_ok=True)
        path = self.socket(task)
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:
                return

    def _end_file(self, task: str) -> Path:
        path = self.socket(task)
        return path.with_name(f"{path.name}.end")

    def install(self) -> None:
        """Write the program. Raises System."""
        text = _TEXT.format(pattern="?" * _NAME_LENGTH, sockets=shlex.quote(str(self._sockets)))
        try:
            for directory in (self._sockets, self.program.parent):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.program.exists() or self.program.read_text() != text:
                write_atomic(self.program, text.encode(), 0o700)
        except OSError as error:
            raise System(f"cannot write {self.program}: {error}") from error
