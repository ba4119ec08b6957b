"""This file is about `moby test`: start an assembly's machine and see whether its checks come true."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from moby.cli.commands.run import add_hardware_flags
from moby.cli.commands.sources import add_source_flags, settings
from moby.core.errors import InvalidParameter


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("test", help="run a machine in qemu and wait for its checks")
    parser.add_argument("file", type=Path, metavar="FILE", help="the assembly")
    parser.add_argument("--console", type=Path, metavar="FILE", help="keep what the console shows")
    add_hardware_flags(parser)
    add_source_flags(parser)


def do(chosen: argparse.Namespace) -> str:
    """Run the checks; how many there were."""
    count = asyncio.run(_test(chosen))
    return f"{chosen.file}: {count} checks passed"


async def _test(chosen: argparse.Namespace) -> int:
    from moby.core.platform import host_platform
    from moby.machine.building import Order, build, read_machine
    from moby.machine.checking import run_checks
    from moby.machine.job import scratch_folder
    from moby.machine.runners.accel import choose_accel
    from moby.machine.runners.boot import boot_of
    from moby.machine.runners.hardware import Hardware

    def tell(step: str) -> None:
        print(f"moby: {step}", file=sys.stderr)

    assembly = read_machine(chosen.file)
    checks = assembly.machine.checks
    if not checks:
        raise InvalidParameter(f"{assembly.name}: there are no checks")
    asked = settings(chosen)
    platform = asked.platform or host_platform()
    accel = await choose_accel(chosen.accel, platform)
    with scratch_folder(asked.cache / "run") as scratch:
        order = Order(chosen.file, "machine", scratch, ["kernel+initrd"], papers=False)
        await build(order, asked, tell)
        log = chosen.console or scratch / "console"
        hardware = Hardware(chosen.memory, chosen.cpus, accel=accel, platform=platform)
        await run_checks(boot_of(scratch / "machine"), hardware, checks, log, tell)
    return len(checks)
