"""This file is about what daemon, fork server and monitors say to each other.

One message a packet (SOCK_SEQPACKET), MessagePack, with file descriptors beside it (unix(7), SCM_RIGHTS).
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence

import msgspec

from moby.core.logs import LogInfo

PACKET = 1 << 20
# The descriptor that a fork server finds its socket at.
LISTENER = 3
_MANY_FDS = 64
_SO_SNDBUFFORCE = 32  # asm-generic/socket.h; not in the socket module


class AttachOptions(msgspec.Struct, frozen=True):
    """What an attached client gets and gives; `multiplexed` frames its output, empty keys never detach."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    multiplexed: bool = False
    detach_keys: bytes = b""


class MonitorRequest(msgspec.Struct, frozen=True):
    """A monitor to fork; `directory` is where its FIFOs are made; without a `log_driver` nothing is kept.

    With `log_cache` a local log is kept beside what the driver does. With `shim` it runs its container itself
    and serves containerd there, a path, as the shim; it needs no FIFOs.
    """

    id: str
    directory: str
    tty: bool
    stdin: bool
    stdin_once: bool
    log_driver: str
    log_info: LogInfo
    log_cache: bool = False
    shim: str = ""


class Spawn(msgspec.Struct, tag=True, frozen=True):
    """To the fork server; answered by `Spawned` with the monitor's connection."""

    request: MonitorRequest


class Living(msgspec.Struct, tag=True, frozen=True):
    """To the fork server: which monitors live? Answered by `Names`."""


class Hold(msgspec.Struct, tag=True, frozen=True):
    """To the fork server, with listening sockets in the order of `names`: keep these open over my death."""

    names: Sequence[str]


class Held(msgspec.Struct, tag=True, frozen=True):
    """To the fork server: give me the sockets I left. Answered by `Names` with the sockets."""


class Release(msgspec.Struct, tag=True, frozen=True):
    """To the fork server: close the sockets you hold."""


class Stop(msgspec.Struct, tag=True, frozen=True):
    """To the fork server: end as soon as no monitor lives."""


class Names(msgspec.Struct, tag=True, frozen=True):
    """Monitors, or sockets."""

    names: Sequence[str]


class Done(msgspec.Struct, tag=True, frozen=True):
    """It is done."""


class Failed(msgspec.Struct, tag=True, frozen=True):
    """It cannot be done, and why; `stopped` if that is because the container does not run."""

    message: str
    stopped: bool = False


class NoLog(msgspec.Struct, tag=True, frozen=True):
    """From a monitor, instead of `Ready`: its log cannot be opened, and why."""

    message: str


class Spawned(msgspec.Struct, tag=True, frozen=True):
    """A monitor was forked; its first message on its own connection says whether it is ready."""

    pid: int


class Ready(msgspec.Struct, tag=True, frozen=True):
    """From a monitor, first on every connection: who it is, where its FIFOs are; or that it needs none."""

    id: str
    pid: int
    stdin: str
    stdout: str
    stderr: str
    terminal: bool
    runs: bool = False


class Running(msgspec.Struct, tag=True, frozen=True):
    """To a monitor: the runtime has opened the FIFOs; from now on their end is the end."""


class Attach(msgspec.Struct, tag=True, frozen=True):
    """To a monitor, with a client's connection."""

    number: int
    options: AttachOptions


class AttachEnded(msgspec.Struct, tag=True, frozen=True):
    """From a monitor; `how` is `detached`, `closed` or `finished`."""

    number: int
    how: str


class StdinClosed(msgspec.Struct, tag=True, frozen=True):
    """From a monitor: the one client that gave input has ended it."""


class Discard(msgspec.Struct, tag=True, frozen=True):
    """To a monitor: the container did not start; end."""


class Finished(msgspec.Struct, tag=True, frozen=True):
    """From a monitor, last: it has nothing more to say."""


class Execute(msgspec.Struct, tag=True, frozen=True):
    """To the monitor that runs a container, with a connection: one more process, its session on that.

    `process` is the OCI runtime spec's object of that name. Nothing runs before `Go`.
    """

    request: MonitorRequest
    process: bytes


class Go(msgspec.Struct, tag=True, frozen=True):
    """To a session that `Execute` opened: run it. Answered by `Begun`, or `Failed` and the end."""


class Begun(msgspec.Struct, tag=True, frozen=True):
    """It runs."""

    pid: int


class Ended(msgspec.Struct, tag=True, frozen=True):
    """From a monitor that runs its process itself: it has ended."""

    pid: int
    status: int
    at_ns: int


class Delivered(msgspec.Struct, tag=True, frozen=True):
    """From a monitor: everything was read, logged and delivered."""


class Freed(msgspec.Struct, tag=True, frozen=True):
    """From a monitor that runs its container: it has ended, and holds nothing any more."""


class Forget(msgspec.Struct, tag=True, frozen=True):
    """To the monitor that runs a container: how this one of its processes ended is written down."""

    process: str


Message = (
    Spawn | Living | Hold | Held | Release | Stop | Names | Done | Failed | NoLog | Spawned
    | Ready | Running | Attach | AttachEnded | StdinClosed | Discard | Finished
    | Execute | Go | Begun | Ended | Delivered | Freed | Forget
)  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def packet_socket() -> socket.socket:
    """An unconnected socket of the kind we use."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)


@contextlib.contextmanager
def short_path(directory: str, name: str) -> Iterator[str]:
    """A path to `name` in `directory` that fits into a socket's address (108 bytes), however long that is."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def listening(path: str) -> socket.socket:
    """A socket that only its owner can call, and that nobody waits for."""
    listener = packet_socket()
    bind_only_to_owner(listener, path)
    return listener


def bind_only_to_owner(listener: socket.socket, path: str) -> None:
    """Listen at a path, in the place of whoever did before. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with short_path(*os.path.split(path)) as short:
        listener.bind(short)
    os.chmod(path, 0o600)
    listener.listen(8)
    listener.setblocking(False)


def enlarge(connection: socket.socket) -> socket.socket:
    """Make room for a whole packet: the kernel does not cut one in parts."""
    connection.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, PACKET)
    return connection


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """One packet. Raises OSError."""
    beside = []
    if descriptors:
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())]
    connection.sendmsg([_encoder.encode(message)], beside)


def receive(connection: socket.socket) -> tuple[Message | None, list[int]]:
    """One packet and the descriptors beside it; None at the end. Raises OSError."""
    item = array.array("i").itemsize
    data, beside, _, _ = connection.recvmsg(
        PACKET, socket.CMSG_SPACE(_MANY_FDS * item), socket.MSG_CMSG_CLOEXEC
    )
    descriptors: list[int] = []
    for level, kind, raw in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(raw[: len(raw) - len(raw) % item])
            descriptors.extend(numbers)
    return (_decoder.decode(data) if data else None), descriptors
