"""This file is about `moby test`: start an assembly's machine and see whether its checks come true."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from moby.cli.commands.run import add_hardware_flags, interruptible
from moby.cli.commands.sources import add_source_flags, settings
from moby.core.errors import InvalidParameter
from moby.machine.checking import Result

_WORDS = 15


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("test", help="run a machine in qemu and wait for its checks")
    parser.add_argument("file", type=Path, metavar="FILE", help="the assembly")
    parser.add_argument("more", type=Path, nargs="*", metavar="FILE", help="what is merged into it")
    parser.add_argument(
        "--disk", action="append", default=[], metavar="FILE[,size=1G][,bus=scsi]", help="a disk for it"
    )
    parser.add_argument("--console", type=Path, metavar="FILE", help="keep what the console shows")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a report as JUnit's XML")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report as text")
    add_hardware_flags(parser)
    add_source_flags(parser)


def do(chosen: argparse.Namespace) -> str:
    """Run the checks; how many there were. Raises CheckFailed."""
    count = asyncio.run(interruptible(_test(chosen)))
    return f"{chosen.file}: {count} checks passed"


async def _test(chosen: argparse.Namespace) -> int:
    from dataclasses import replace

    from moby.core.platform import host_platform
    from moby.machine.building import Order, build, read_machine
    from moby.machine.checking import CheckFailed, run_checks
    from moby.machine.guest_agent import agent_assembly
    from moby.machine.job import scratch_folder
    from moby.machine.probes import console
    from moby.machine.runners.accel import choose_accel
    from moby.machine.runners.boot import boot_of, unpacked
    from moby.machine.runners.hardware import Hardware, make_disks, parse_disk

    def tell(step: str) -> None:
        print(f"moby: {step}", file=sys.stderr)

    assembly = read_machine(chosen.file, *chosen.more)
    checks = assembly.machine.checks
    if not checks:
        raise InvalidParameter(f"{assembly.name}: there are no checks")
    disks = tuple(parse_disk(text) for text in chosen.disk)
    asked = settings(chosen)
    platform = asked.platform or host_platform()
    accel = await choose_accel(chosen.accel, platform)
    await make_disks(disks)
    with scratch_folder(asked.cache / "run") as scratch:
        more = list(chosen.more)
        if any(check.command is not None for check in checks):
            more.append(scratch / "agent.yml")
            more[-1].write_bytes(agent_assembly())
        order = Order(chosen.file, "machine", scratch, ["kernel+initrd"], papers=False, more=more)
        await build(order, asked, tell)
        log = chosen.console or scratch / "console"
        hardware = Hardware(chosen.memory, chosen.cpus, accel=accel, platform=platform)
        boot = replace(boot_of(scratch / "machine"), disks=disks)
        if accel == "tcg":
            boot = unpacked(boot, scratch, hardware.memory)
        results = await run_checks(boot, hardware, checks, log, tell)
        shown = console(log)
    _report(chosen, assembly.name, results, shown)
    failed = [result for result in results if result.why]
    if failed:
        more_failed = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        words = "\n".join(shown.splitlines()[-_WORDS:])
        raise CheckFailed(
            f"{failed[0].name}: {failed[0].why}{more_failed}; the console's last words:\n{words}"
        )
    return len(checks)


def _report(chosen: argparse.Namespace, name: str, results: list[Result], shown: str) -> None:
    from moby.machine.check_reports import as_junit, as_text
    from moby.machine.job import write_chunks, written

    for path, text in (
        (chosen.junit, as_junit(results, shown, name)),
        (chosen.report, as_text(results, shown)),
    ):
        if path is not None:
            with written(path) as unfinished:
                write_chunks(unfinished, [text.encode()])
