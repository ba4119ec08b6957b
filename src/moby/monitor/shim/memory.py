"""This file is about hearing that the kernel kills a container's processes for memory (cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from moby.monitor.loop import IN, PRIORITY, Loop

_ROOT = "/sys/fs/cgroup"


def groups_of(pid: int) -> Mapping[str, str]:
    """The directories of a process's groups, by controller; version 2 has the empty name. Raises OSError."""
    found = {}
    with open(f"/proc/{pid}/cgroup") as file:
        for line in file:
            number, names, path = line.rstrip("\n").split(":", 2)
            if number == "0":
                mounted = _ROOT if os.path.exists(f"{_ROOT}/cgroup.controllers") else f"{_ROOT}/unified"
                found[""] = mounted + path
            else:
                found |= {name: f"{_ROOT}/{name.removeprefix('name=')}{path}" for name in names.split(",")}
    return found


def processes_in(groups: Mapping[str, str]) -> list[int]:
    """Every process in a container's group and in those below it."""
    top = next((groups[name] for name in ("memory", "pids", "devices", "") if name in groups), "")
    found = []
    for directory, _, _ in os.walk(top):
        try:
            with open(f"{directory}/cgroup.procs") as file:
                found += [int(line) for line in file]
        except OSError:
            continue
    return sorted(found)


def watch_memory(loop: Loop, pid: int, happened: Callable[[], None]) -> None:
    """Call when one of the processes of `pid`'s group is killed; not at all where that cannot be heard of."""
    try:
        groups = groups_of(pid)
        if "memory" in groups:
            _watch_first_version(loop, groups["memory"], happened)
        elif "" in groups:
            _watch_second_version(loop, groups[""], happened)
    except OSError:
        return


def _watch_first_version(loop: Loop, directory: str, happened: Callable[[], None]) -> None:
    counter = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with open(f"{directory}/cgroup.event_control", "w") as file:
            file.write(f"{counter} {control}")
    except OSError:
        os.close(counter)
        raise
    finally:
        os.close(control)

    def heard(_: int) -> None:
        os.eventfd_read(counter)
        if not os.path.exists(directory):
            # The group's end is told in the same way.
            loop.forget(counter)
            os.close(counter)
        else:
            happened()

    loop.watch(counter, IN, heard)


def _watch_second_version(loop: Loop, directory: str, happened: Callable[[], None]) -> None:
    events = os.open(f"{directory}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
    known = 0

    def heard(_: int) -> None:
        nonlocal known
        try:
            counts = dict(line.split() for line in os.pread(events, 4096, 0).decode().splitlines())
        except OSError:
            # The group is gone.
            loop.forget(events)
            os.close(events)
            return
        kills = int(counts.get("oom_kill", 0))
        if kills > known:
            known = kills
            happened()

    loop.watch(events, PRIORITY, heard)
