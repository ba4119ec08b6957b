"""This file is about Linux capabilities: their names, docker's default set, what is added and dropped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from moby.core.errors import InvalidParameter

# In the order of their numbers (linux/capability.h).
ALL = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
        "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
        "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
        "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
        "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
        "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    )
)  # fmt: skip
DEFAULT = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
        "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    )
)  # fmt: skip


@cache
def available() -> tuple[str, ...]:
    """The capabilities that this kernel knows and that we have ourselves: others cannot be given away."""
    try:
        text = Path("/proc/self/status").read_text()
        ours = int(text.partition("\nCapEff:")[2].split(maxsplit=1)[0], 16)
    except (OSError, ValueError, IndexError):
        return ALL
    return tuple(name for number, name in enumerate(ALL) if ours >> number & 1)


def normalize_capabilities(names: Sequence[str]) -> list[str]:
    """`net_admin`, `CAP_NET_ADMIN`, `all` in their full names. Raises InvalidParameter."""
    found = []
    for name in names:
        upper = name.upper()
        if upper == "ALL":
            found.append("ALL")
            continue
        full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
        if full not in ALL:
            raise InvalidParameter(f'unknown capability: "{full}"')
        if full not in available():
            raise InvalidParameter(
                "capability not supported by your kernel or not available in the current environment: "
                f'"{full}"'
            )
        found.append(full)
    return found


def effective(add: Sequence[str], drop: Sequence[str], *, privileged: bool) -> list[str]:
    """What a container may do, after `--privileged`, `--cap-add` and `--cap-drop`."""
    if privileged:
        return list(available())
    added, dropped = normalize_capabilities(add), normalize_capabilities(drop)
    if "ALL" in added:
        return [name for name in available() if name not in dropped]
    kept = [] if "ALL" in dropped else [name for name in DEFAULT if name not in dropped]
    return [*kept, *(name for name in added if name not in kept)]
