"""This file is about `moby cloud`: machines in clouds and other hypervisors than qemu."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any


def add(verbs: Any) -> None:
    """The command and those below it."""
    from moby.machine.clouds.orders import CLOUDS

    parser = verbs.add_parser("cloud", help="machines in clouds and other hypervisors than qemu")
    below = parser.add_subparsers(dest="below", required=True, metavar="COMMAND")
    push = below.add_parser("push", help="make an image there of a disk that was built")
    push.add_argument("cloud", choices=tuple(CLOUDS), help=f"one of {', '.join(CLOUDS)}")
    push.add_argument("file", type=Path, metavar="DISK", help="the disk, in the form that the cloud takes")
    push.add_argument("-n", "--name", help="the image's name (DISK without its ending)")
    push.add_argument("--force", action="store_true", help="replace an image of that name")
    push.add_argument("--platform", metavar="OS/ARCH", help="what the machine runs on (as here)")
    run = below.add_parser("run", help="start a machine of an image there")
    run.add_argument("cloud", choices=tuple(CLOUDS), help=f"one of {', '.join(CLOUDS)}")
    run.add_argument("name", metavar="IMAGE", help="the image's name")
    run.add_argument(
        "--data-file", type=Path, metavar="FILE", help="what the machine is told (a CD for virtualbox)"
    )
    for each in (push, run):
        each.add_argument(
            "-o", "--option", action="append", default=[], metavar="NAME=VALUE", help="one of the cloud's own"
        )
    options = below.add_parser("options", help="list the options of a cloud")
    options.add_argument("cloud", choices=tuple(CLOUDS), help=f"one of {', '.join(CLOUDS)}")


def do(chosen: argparse.Namespace) -> str:
    """Do it; the image's or the machine's ID. Raises MobyError."""
    from moby.machine.clouds.orders import CLOUDS, Request, read_options

    cloud = CLOUDS[chosen.cloud]
    if chosen.below == "options":
        lines = [f"push takes the disk of moby build -f {cloud.disk}"]
        for verb, table in (("push", cloud.push), ("run", cloud.run)):
            for name, words in table.items():
                needed = ", needed" if name.endswith("*") else ""
                lines.append(f"{verb} -o {name.rstrip('*')}=: {words}{needed}")
        return "\n".join(lines)
    options = read_options(chosen.cloud, chosen.below, chosen.option)
    if chosen.below == "push":
        name = chosen.name or chosen.file.name.partition(".")[0]
        request = Request(chosen.cloud, name, file=chosen.file, force=chosen.force, options=options)
    else:
        request = Request(chosen.cloud, chosen.name, data=chosen.data_file, options=options)
    return asyncio.run(_do(chosen, request))


async def _do(chosen: argparse.Namespace, request: Any) -> str:
    from moby.core.errors import NotFound
    from moby.core.platform import host_platform, parse_platform
    from moby.machine.clouds import aws, tools

    def tell(step: str) -> None:
        print(f"moby: {step}", file=sys.stderr)

    for path in (request.file, request.data):
        if path is not None and not path.exists():
            raise NotFound(f"there is no {path}")
    if request.cloud == "aws":
        if chosen.below == "run":
            return await aws.run(request, tell)
        platform = parse_platform(chosen.platform) if chosen.platform else host_platform()
        return await aws.push(request, platform, tell)
    steps = tools.push_steps(request) if chosen.below == "push" else tools.run_steps(request)
    return await tools.carry_out(steps, tell)
