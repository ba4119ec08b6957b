"""This file is about `moby run`: a machine in qemu, its console on this terminal."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from moby.cli.commands.sources import add_source_flags, settings
from moby.core.errors import System


def add_hardware_flags(parser: argparse.ArgumentParser) -> None:
    """What the machine has."""
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB", help="memory (1024)")
    parser.add_argument("--cpus", type=int, default=1, help="processors (1)")
    parser.add_argument(
        "--accel", choices=("auto", "kvm", "tcg"), default="auto", help="how it is run (auto)"
    )


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("run", help="run a machine in qemu")
    parser.add_argument(
        "machine",
        type=Path,
        metavar="FILE|PREFIX",
        help="an assembly, or what was built: a prefix, disk or CD",
    )
    parser.add_argument(
        "-p", "--publish", action="append", default=[], metavar="[ADDR:]HOST:GUEST[/udp]", help="a port of it"
    )
    parser.add_argument("--disk", action="append", default=[], metavar="FILE[,size=1G]", help="a disk for it")
    parser.add_argument(
        "--append", default="", metavar="WORDS", help="more words for the kernel's command line"
    )
    add_hardware_flags(parser)
    add_source_flags(parser)


def do(chosen: argparse.Namespace) -> str:
    """Run it; returns when it has ended."""
    asyncio.run(_run(chosen))
    return ""


async def _run(chosen: argparse.Namespace) -> None:
    from dataclasses import replace

    from moby.core.platform import host_platform
    from moby.host.process import running
    from moby.machine.building import Order, build
    from moby.machine.job import scratch_folder
    from moby.machine.runners.qemu import (
        Hardware,
        boot_of,
        choose_accel,
        command,
        make_disks,
        parse_disk,
        parse_port,
    )

    disks = tuple(parse_disk(text) for text in chosen.disk)
    ports = tuple(parse_port(text) for text in chosen.publish)
    asked = settings(chosen)
    platform = asked.platform or host_platform()
    accel = await choose_accel(chosen.accel, platform)
    hardware = Hardware(chosen.memory, chosen.cpus, ports, accel, platform)
    await make_disks(disks)
    with scratch_folder(asked.cache / "run") as scratch:
        prefix = chosen.machine
        if prefix.suffix in (".yml", ".yaml"):
            prefix = scratch / prefix.stem
            step = lambda text: print(f"moby: {text}", file=sys.stderr)  # noqa: E731
            order = Order(chosen.machine, prefix.name, scratch, ["kernel+initrd"], papers=False)
            await build(order, asked, step)
        boot = boot_of(prefix)
        boot = replace(boot, cmdline=f"{boot.cmdline} {chosen.append}".strip(), disks=boot.disks + disks)
        async with running(command(boot, hardware)) as machine:
            code = await machine.wait()
    if code != 0:
        raise System(f"qemu ended with status {code}")
