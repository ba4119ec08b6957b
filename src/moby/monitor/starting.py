"""This file is about calling a fork server, and starting one: a process of its own."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from moby.monitor.protocol import LISTENER, enlarge, listening, packet_socket, short_path

# msgspec takes from typing_extensions, if that is there, what typing has as well (its _utils.py, in 0.22).
# With all that it imports this would be 1.4 of 9 MB.
PROGRAM = (
    "import sys; name = 'typing_extensions'; sys.modules[name] = None\n"
    "import msgspec; del sys.modules[name]; from moby.monitor.server import main; main(sys.argv[1:])"
)


def dial(path: Path) -> socket.socket:
    """A connection to whoever listens there. Raises OSError."""
    connection = packet_socket()
    try:
        with short_path(str(path.parent), path.name) as short:
            connection.connect(short)
    except OSError:
        connection.close()
        raise
    connection.setblocking(False)
    return enlarge(connection)


def remove_dead(path: Path) -> None:
    """Remove the socket of one that was killed; nothing if somebody listens there, or nobody ever did."""
    try:
        dial(path).close()
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except OSError:
        return


def start_server(path: Path, drivers: Mapping[str, str]) -> socket.socket:
    """Start one that listens at `path`, with these log drivers; a connection to it. Raises OSError.

    Its socket is made here: nobody has to try again and again until it is there. It keeps nothing else of
    ours open, and what it says is in `server.log` beside its socket.
    """
    output = os.open(path.with_name("server.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        with listening(str(path)) as listener:
            connection = dial(path)
            os.posix_spawn(
                sys.executable,
                [
                    sys.executable, "-P", "-c", PROGRAM,
                    str(path),
                    *(f"{name}={target}" for name, target in drivers.items()),
                ],
                {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                    (os.POSIX_SPAWN_DUP2, listener.fileno(), LISTENER),
                ],
                setsid=True,
            )  # fmt: skip
        return connection
    finally:
        os.close(output)
        os.close(null)
