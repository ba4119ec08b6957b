"""`python -m bench.machines [PART …]`: how long machines take to build and start, and where their bytes are.

Needs neither root nor a peer. Images come from the cache; the first run fills it. Limits stand beside the
numbers. On a busy host the seconds of its processors say more than those of the clock.
"""

from __future__ import annotations

import argparse
import collections
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ASSEMBLIES = Path(__file__).resolve().parents[1] / "assemblies"
MINIMAL, ORIGIN = ASSEMBLIES / "minimal.yml", ASSEMBLIES / "origin.yml"
DISKS = (
    "kernel+squashfs", "kernel+erofs", "kernel+iso", "iso-bios", "iso-efi", "raw-bios", "raw-efi",
    "qcow2-bios", "qcow2-efi", "vmdk", "vhd", "dynamic-vhd",
)  # fmt: skip
BUILD_S, UNCHANGED_S, DISK_MORE_S, MEMORY_MIB, BOOT_S = 3.0, 1.0, 3.0, 150, 6.0
MINIMAL_MIB, ORIGIN_MIB = 45, 160
_BOOT_LIMIT_S = 300
_ROWS = 12


def say(what: str, value: float, unit: str, limit: float, *, processor: float | None = None) -> None:
    """A line of the table."""
    beside = "" if processor is None else f", {processor:.2f} of processors"
    print(
        f"{what:34} {value:8.2f} {unit}{beside}  (at most {limit:g}: {'yes' if value <= limit else 'NO'})",
        flush=True,
    )


class Cost(NamedTuple):
    """What a build takes: seconds of the clock and of processors; MiB, with its largest child's."""

    seconds: float
    processor: float
    memory: float


def build(assembly: Path, folder: Path, *words: str) -> Cost:
    """Build a machine."""
    argv = [sys.executable, "-m", "moby.cli.moby", "build", str(assembly), "-q", "-o", str(folder), *words]
    began = time.perf_counter()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(child.returncode)
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(rounds: int, *words: str, folder: Path) -> Cost:
    """The middle of several builds of the minimal machine; the most memory."""
    found = [build(MINIMAL, folder, *words) for _ in range(rounds)]
    seconds, processor = (statistics.median(each[field] for each in found) for field in (0, 1))
    return Cost(seconds, processor, max(each.memory for each in found))


def builds(folder: Path, rounds: int) -> None:
    """The minimal machine, over and over."""
    build(MINIMAL, folder, "--again")
    base = median(rounds, "--again", folder=folder)
    say("build kernel+initrd", base.seconds, "s", BUILD_S, processor=base.processor)
    say("its memory", base.memory, "MiB", MEMORY_MIB)
    build(MINIMAL, folder)
    same = median(rounds, folder=folder)
    say("nothing has changed", same.seconds, "s", UNCHANGED_S, processor=same.processor)


def forms(folder: Path, rounds: int) -> None:
    """What each form of it takes beside kernel and RAM disk."""
    build(MINIMAL, folder, "--again")
    base = median(rounds, "--again", folder=folder)
    for form in DISKS:
        found = median(rounds, "--again", "-f", "kernel+initrd", "-f", form, folder=folder)
        more = found.seconds - base.seconds
        say(f"  and {form}, more", more, "s", DISK_MORE_S, processor=found.processor - base.processor)
        if found.memory > MEMORY_MIB:
            say("  its memory", found.memory, "MiB", MEMORY_MIB)


def sizes(folder: Path, _rounds: int) -> None:
    """How large RAM disks are, and of which images and files."""
    build(MINIMAL, folder, "--no-sbom")
    say("minimal's RAM disk", (folder / "minimal-initrd.img").stat().st_size / 2**20, "MiB", MINIMAL_MIB)
    build(ORIGIN, folder, "--no-sbom")
    whole = sum((folder / f"origin-{end}").stat().st_size for end in ("kernel", "initrd.img"))
    say("Origin, kernel and RAM disk", whole / 2**20, "MiB", ORIGIN_MIB)
    for assembly in (MINIMAL, ORIGIN):
        print(f"\nWhere the bytes of {assembly.stem} are, before compression:")
        for name, size in contents(assembly, folder):
            print(f"{size / 2**20:10.1f} MiB  {name}")


def contents(assembly: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """The largest images of a machine, and the largest directories and files."""
    import tarfile

    build(assembly, folder, "--no-sbom", "-f", "tar")
    images: collections.Counter[str] = collections.Counter()
    places: collections.Counter[str] = collections.Counter()
    with tarfile.open(folder / f"{assembly.stem}.tar") as archive:
        for member in archive:
            parts = member.name.split("/")
            # A container's root stands below the digest of its image.
            depth = 3 if parts[0] == "containers" else 1
            images["/".join(parts[:depth])] += member.size
            places["/".join(parts[: depth + 3])] += member.size
    yield from images.most_common(_ROWS)
    yield from places.most_common(_ROWS)


@contextmanager
def running(folder: Path, port: int) -> Iterator[list[float]]:
    """The minimal machine, by emulation; at the end the list holds what its processors took, in seconds."""
    argv = [
        sys.executable,
        "-m",
        "moby.cli.moby",
        "run",
        "--accel",
        "tcg",
        "-p",
        f"{port}:80",
        str(folder / "minimal"),
    ]
    with (folder / "console").open("wb") as console:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
    taken: list[float] = []
    try:
        yield taken
    finally:
        child.terminate()
        _pid, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        taken.append(usage.ru_utime + usage.ru_stime)


def boots(folder: Path, rounds: int) -> None:
    """From the call of moby to the service's first answer."""
    build(MINIMAL, folder, "--no-sbom")
    found, processor = [], []
    for _ in range(rounds):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        began = time.perf_counter()
        with running(folder, port) as taken:
            while not answers(port):
                if time.perf_counter() - began > _BOOT_LIMIT_S:
                    raise SystemExit(f"the machine does not answer; see {folder / 'console'}")
                time.sleep(0.05)
            found.append(time.perf_counter() - began)
        processor += taken
    median_s, processor_s = statistics.median(found), statistics.median(processor)
    say("boot to the first answer, emulated", median_s, "s", BOOT_S, processor=processor_s)


def answers(port: int) -> bool:
    """Does the service answer? Who asks before the network is there is never told, and has to ask again."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=0.3) as page:
            return bool(page.read())
    except OSError:
        return False


PARTS = {"builds": builds, "forms": forms, "boots": boots, "sizes": sizes}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.machines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("parts", nargs="*", metavar="|".join(PARTS), help="what is measured (all)")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="moby-bench-", dir="/var/tmp") as made:
        for part in chosen.parts or PARTS:
            PARTS[part](Path(made), chosen.rounds)


if __name__ == "__main__":
    main()
