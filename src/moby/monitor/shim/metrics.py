"""This file is about what a container uses, as containerd's clients get it (`ctr task metrics`)."""

from __future__ import annotations

from collections.abc import Mapping

from moby.monitor.shim.protobuf import message

_FIRST, _SECOND = "io.containerd.cgroups.v1.Metrics", "io.containerd.cgroups.v2.Metrics"


def metrics(groups: Mapping[str, str]) -> tuple[str, bytes]:
    """The message's name and the message; what cannot be read counts as nothing."""
    if "memory" in groups or "cpuacct" in groups:
        return _FIRST, _first_version(groups)
    return _SECOND, _second_version(groups.get("", ""))


def _first_version(groups: Mapping[str, str]) -> bytes:
    memory, cpu, pids = groups.get("memory", ""), groups.get("cpuacct", ""), groups.get("pids", "")
    statistics = _table(f"{memory}/memory.stat")
    usage = message(
        (1, _number(f"{memory}/memory.limit_in_bytes")),
        (2, _number(f"{memory}/memory.usage_in_bytes")),
        (3, _number(f"{memory}/memory.max_usage_in_bytes")),
        (4, _number(f"{memory}/memory.failcnt")),
    )
    return message(
        (2, message((1, _number(f"{pids}/pids.current")), (2, _number(f"{pids}/pids.max")))),
        (3, message((1, message((1, _number(f"{cpu}/cpuacct.usage")))))),
        (4, message((1, statistics.get("cache", 0)), (2, statistics.get("rss", 0)), (33, usage))),
    )


def _second_version(group: str) -> bytes:
    memory, cpu = _table(f"{group}/memory.stat"), _table(f"{group}/cpu.stat")
    return message(
        (1, message((1, _number(f"{group}/pids.current")), (2, _number(f"{group}/pids.max")))),
        (
            2,
            message(
                (1, cpu.get("usage_usec", 0)),
                (2, cpu.get("user_usec", 0)),
                (3, cpu.get("system_usec", 0)),
                (4, cpu.get("nr_periods", 0)),
                (5, cpu.get("nr_throttled", 0)),
                (6, cpu.get("throttled_usec", 0)),
            ),
        ),
        (
            4,
            message(
                (1, memory.get("anon", 0)),
                (2, memory.get("file", 0)),
                (32, _number(f"{group}/memory.current")),
                (33, _number(f"{group}/memory.max")),
                (34, _number(f"{group}/memory.swap.current")),
                (35, _number(f"{group}/memory.swap.max")),
            ),
        ),
    )


def _number(path: str) -> int:
    """0 for `max` and for what is not there."""
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _table(path: str) -> dict[str, int]:
    try:
        with open(path) as file:
            return {name: int(value) for name, value in map(str.split, file)}
    except (OSError, ValueError):
        return {}
