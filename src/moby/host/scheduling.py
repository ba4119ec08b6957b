"""This file is about who is served first when every processor is wanted (sched(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

# The number of sched_setattr(2), which libc has no function for.
_CALL = {"x86_64": 314, "aarch64": 274}
_RESET_ON_FORK = 1
_NICENESS = -10
# From Linux 6.12 on who asks for short turns may interrupt those who have long ones; 0.1 ms is the shortest.
_TURN_NS = 100_000
_ATTRIBUTES = "=IIQiIQQQII"
_SESSION = Path("/proc/self/autogroup")


def come_first() -> bool:
    """Serve the calling thread before others, for it answers somebody; was that possible?

    Threads and programs that it starts are as all others.
    """
    number = _CALL.get(os.uname().machine)
    if number is None:
        return False
    size = struct.calcsize(_ATTRIBUTES)
    attributes = struct.pack(
        _ATTRIBUTES, size, os.SCHED_OTHER, _RESET_ON_FORK, _NICENESS, 0, _TURN_NS, 0, 0, 0, 0
    )
    return bool(ctypes.CDLL(None).syscall(number, 0, attributes, 0) == 0)


def session_comes_first() -> bool:
    """Serve the session that this process leads before others; was that possible?

    Where the kernel gives each session its share (sched(7), autogroup), niceness counts inside one alone. A
    program that is started in a session of its own is as all others; one that leads none may share it with
    somebody's shell.
    """
    if os.getsid(0) != os.getpid():
        return False
    try:
        _SESSION.write_text(str(_NICENESS))
    except OSError:
        return False
    return True
