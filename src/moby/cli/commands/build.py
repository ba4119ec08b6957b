"""This file is about `moby build`: an assembly's machine, written out."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from moby.cli.commands.sources import add_source_flags, settings
from moby.core.errors import InvalidParameter


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("build", help="build the machine of an assembly")
    parser.add_argument("file", type=Path, metavar="FILE", help="the assembly; - is standard input")
    parser.add_argument("more", type=Path, nargs="*", metavar="FILE", help="what is merged into it")
    parser.add_argument(
        "-f", "--format", action="append", default=[], help="instead of the assembly's outputs"
    )
    parser.add_argument("-n", "--name", help="what the files are named after (FILE without its ending)")
    parser.add_argument(
        "-o", "--dir", "--output", type=Path, default=Path(), metavar="DIR", help="where they go (here)"
    )
    parser.add_argument("--arch", metavar="ARCH", help="what the machine runs on; short for --platform")
    parser.add_argument("--size", metavar="SIZE", help="how large disks are, as 1G")
    parser.add_argument("--no-sbom", action="store_true", help="no bill of materials and no provenance")
    parser.add_argument("--again", action="store_true", help="even if nothing has changed since it was built")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not tell of the steps")
    add_source_flags(parser)


def do(chosen: argparse.Namespace) -> str:
    """Build; the paths that were written, one a line."""
    from moby.machine.building import Order, build

    def tell(step: str) -> None:
        if not chosen.quiet:
            print(f"moby: {step}", file=sys.stderr)

    if chosen.arch:
        if chosen.platform:
            raise InvalidParameter("--arch and --platform exclude each other")
        chosen.platform = f"linux/{chosen.arch}"
    name = chosen.name or (chosen.file.stem if str(chosen.file) != "-" else "machine")
    order = Order(
        chosen.file,
        name,
        chosen.dir,
        chosen.format,
        papers=not chosen.no_sbom,
        size=chosen.size or "",
        more=chosen.more,
        again=chosen.again,
    )
    return "\n".join(str(path) for path in asyncio.run(build(order, settings(chosen), tell)))
