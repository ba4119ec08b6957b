"""What a part of an engine can leave in the kernel: mounts, namespaces, devices, tables, processes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import subprocess
from pathlib import Path


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def mounts(below: str = "/") -> frozenset[str]:
    """Mount points at or below a path; not the one that the first `ip netns add` since the boot makes."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return frozenset(point for point in points if point.startswith(below) and point != "/run/netns")


def mounts_of(root: str) -> frozenset[str]:
    """Mount points elsewhere of what lies below a path, which a killed daemon may leave for its next start."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(line.split()[4] for line in lines if f"{root}/" in line.partition(" - ")[2])


def links(enter: tuple[str, ...] = ()) -> frozenset[str]:
    """Network devices other than the loopback; `enter` is a command prefix that enters a namespace."""
    names = re.findall(r"^\d+: ([^:@]+)", _run(*enter, "ip", "-o", "link"), re.MULTILINE)
    return frozenset(names) - {"lo"}


def tables(enter: tuple[str, ...] = ()) -> frozenset[str]:
    """nftables tables."""
    return frozenset(_run(*enter, "nft", "list", "tables").splitlines())


def processes(word: str) -> frozenset[str]:
    """Processes whose arguments contain a word, as `PID: arguments`, without this one."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (
                entry.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            )
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word in arguments and int(entry.name) not in {os.getpid(), os.getppid()}:
            found.add(f"{entry.name}: {arguments}")
    return frozenset(found)


def clear_faketime() -> None:
    """Remove what libfaketime keeps of processes that were killed: who has such a number next could not start."""
    for path in Path("/dev/shm").glob("*faketime_s*_*"):
        if not Path("/proc", path.name.rpartition("_")[2]).exists():
            with contextlib.suppress(OSError):
                path.unlink()


def in_namespace(namespace: Path) -> frozenset[str]:
    """Processes in a network namespace, as `PID: name`."""
    wanted = namespace.stat().st_ino
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.joinpath("ns/net").stat().st_ino == wanted:
                found.add(f"{entry.name}: {entry.joinpath('comm').read_text().strip()}")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return frozenset(found)


@dataclasses.dataclass(frozen=True)
class Leftovers:
    """What stands in the kernel at one moment; the difference of two moments is what was left."""

    mounts: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    processes: frozenset[str] = frozenset()

    @classmethod
    def of_machine(cls) -> Leftovers:
        """What stands in the host's own namespaces."""
        named = Path("/run/netns")
        return cls(
            mounts=mounts(),
            namespaces=frozenset(path.name for path in named.iterdir()) if named.is_dir() else frozenset(),
            links=links(),
            tables=tables(),
            processes=processes("containerd") | processes("moby-monitor"),
        )

    def __sub__(self, before: Leftovers) -> Leftovers:
        pairs = {
            field.name: getattr(self, field.name) - getattr(before, field.name)
            for field in dataclasses.fields(self)
        }
        return Leftovers(**pairs)

    def without(self, pattern: re.Pattern[str]) -> Leftovers:
        """The same without what matches somewhere."""
        return Leftovers(
            **{
                field.name: frozenset(
                    found for found in getattr(self, field.name) if not pattern.search(found)
                )
                for field in dataclasses.fields(self)
            }
        )

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in dataclasses.fields(self))

    def __str__(self) -> str:
        named = ((field.name, sorted(getattr(self, field.name))) for field in dataclasses.fields(self))
        return "; ".join(f"{name} {found}" for name, found in named if found) or "nothing"
