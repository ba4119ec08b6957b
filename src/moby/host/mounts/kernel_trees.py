"""This file is about trees that the kernel makes up: /proc, /sys and their like (statfs(2))."""

from __future__ import annotations

import ctypes

_libc = ctypes.CDLL(None, use_errno=True)

_KINDS = frozenset({
    0x9FA0,      # proc
    0x62656572,  # sysfs
    0x27E0EB,    # cgroup
    0x63677270,  # cgroup2
    0x1CD1,      # devpts
    0x19800202,  # mqueue
    0x64626720,  # debugfs
    0x74726163,  # tracefs
    0x73636673,  # securityfs
    0xCAFE4A11,  # bpf
    0x62656570,  # configfs
    0x6165676C,  # pstore
    0xDE5E81E4,  # efivarfs
    0x42494E4D,  # binfmt_misc
    0x65735543,  # fusectl
    0xF97CFF8C,  # selinuxfs
})  # fmt: skip


# A `struct statfs` begins with the kind, and is shorter than this.
_StatFs = ctypes.c_long * 32


def is_made_up(descriptor: int) -> bool:
    """Is this of a tree in which no file is one that somebody has written? Raises OSError."""
    found = _StatFs()
    if _libc.fstatfs(descriptor, ctypes.byref(found)) < 0:
        raise OSError(ctypes.get_errno(), "fstatfs")
    return (found[0] & 0xFFFFFFFF) in _KINDS
