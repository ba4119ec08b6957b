"""This file is about what every container's spec begins with, as docker has it."""

from __future__ import annotations

import os
from typing import Any

OCI_VERSION = "1.0.2"  # crun 1.8 refuses what it does not know; nothing here needs a newer one.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _thermal() -> tuple[str, ...]:
    """Per-processor heat, from which neighbours can be spied on."""
    paths = (f"/sys/devices/system/cpu/cpu{number}/thermal_throttle" for number in range(os.cpu_count() or 1))
    return tuple(path for path in paths if os.path.exists(path))


DEFAULT_MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    *_thermal(),
)
DEFAULT_READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def default_mounts(*, shm_size: int, cgroup_writable: bool, sys_writable: bool) -> list[dict[str, Any]]:
    """/proc, /dev and their kin; `shm_size` in bytes."""
    sys_mode = "rw" if sys_writable else "ro"
    cgroup_mode = "rw" if cgroup_writable else "ro"
    return [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "devpts",
               "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        _mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", sys_mode),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", cgroup_mode, "nosuid", "noexec", "nodev"),
        _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        _mount("/dev/shm", "tmpfs", "shm",  # noqa: S108 - a mount point
               "nosuid", "noexec", "nodev", "mode=1777", f"size={shm_size}"),
    ]  # fmt: skip


def _mount(target: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}


def _rule(allow: bool, major: int | None = None, minor: int | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": allow, "access": "rwm"}
    if major is not None:
        rule |= {"type": "c", "major": major, "minor": minor}
    return rule


# zero, null, urandom, random, tty, console; and never fuse.
DEFAULT_DEVICE_RULES = (
    _rule(False),
    _rule(True, 1, 5),
    _rule(True, 1, 3),
    _rule(True, 1, 9),
    _rule(True, 1, 8),
    _rule(True, 5, 0),
    _rule(True, 5, 1),
    _rule(False, 10, 229),
)
ALL_DEVICES = (_rule(True),)
