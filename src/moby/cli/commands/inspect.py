"""This file is about `moby inspect`: what is in a machine or an image, and how large each part is."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from moby.cli.commands.sources import add_source_flags, settings


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("inspect", help="what is in a machine or an image, by part and by size")
    parser.add_argument("what", metavar="FILE|IMAGE", help="an assembly, an archive of a root, or an image")
    parser.add_argument("--json", action="store_true", help="print all that is known, as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="draw a picture of the sizes (a tree map)")
    add_source_flags(parser)


def do(chosen: argparse.Namespace) -> str:
    """Look; what to print. Raises MobyError."""
    import msgspec

    from moby.machine.inspection import as_text, inspect, sizes
    from moby.machine.job import write_chunks, written
    from moby.machine.opening import open_all
    from moby.machine.treemap import page

    tell = lambda step: print(f"moby: {step}", file=sys.stderr)  # noqa: E731
    opened = asyncio.run(open_all(chosen.what, settings(chosen), tell))
    found = inspect(opened)
    if chosen.html is not None:
        with written(chosen.html) as path:
            write_chunks(path, [page(found, sizes(opened)).encode()])
    return msgspec.json.format(msgspec.json.encode(found)).decode() if chosen.json else as_text(found)
