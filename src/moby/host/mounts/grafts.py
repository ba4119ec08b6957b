"""This file is about putting a copy of a mount somewhere by descriptors: open_tree(2), mount_setattr(2).

What is put somewhere has its attributes before anybody sees it, and where it goes is a descriptor: no name is
looked up that somebody could exchange.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)

_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 0x1
_FROM_EMPTY, _TO_EMPTY = 0x4, 0x40
_READ_ONLY = 0x1
_PRIVATE = 1 << 18


def graft(source: int, target: int, *, recursive: bool, read_only: bool, deep: bool) -> None:
    """Mount what `source` is over what `target` is (descriptors), and private.

    `recursive`: with what is mounted below it; `deep`: that is read-only as well. Raises OSError, and nothing
    is mounted then.
    """
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    tree = _called(_SYS_OPEN_TREE, source, b"", ctypes.c_uint(flags))
    try:
        _set(tree, 0, _PRIVATE, recursive=recursive)
        if read_only:
            _set(tree, _READ_ONLY, 0, recursive=recursive and deep)
        _called(_SYS_MOVE_MOUNT, tree, b"", target, b"", ctypes.c_uint(_FROM_EMPTY | _TO_EMPTY))
    finally:
        os.close(tree)


def _set(tree: int, attributes: int, propagation: int, *, recursive: bool) -> None:
    # struct mount_attr: attr_set, attr_clr, propagation, userns_fd
    wanted = struct.pack("QQQQ", attributes, 0, propagation, 0)
    flags = ctypes.c_uint(_AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0))
    _called(_SYS_MOUNT_SETATTR, tree, b"", flags, wanted, ctypes.c_size_t(len(wanted)))


def _called(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, "Linux 5.12 is needed" if code == errno.ENOSYS else os.strerror(code))
    return result
