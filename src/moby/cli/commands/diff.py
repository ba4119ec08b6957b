"""This file is about `moby diff`: what differs between two machines or images."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from moby.cli.commands.sources import add_source_flags, settings
from moby.core.errors import System


class Differ(System):
    """The two are not the same: the status is 1, as diff's."""


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("diff", help="what differs between two machines or images; 1 if anything does")
    parser.add_argument("one", metavar="FILE|IMAGE", help="an assembly, an archive of a root, or an image")
    parser.add_argument("other", metavar="FILE|IMAGE", help="the other")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    add_source_flags(parser)


def do(chosen: argparse.Namespace) -> str:
    """Compare; empty if they are the same. Raises Differ after printing what differs."""
    import msgspec

    from moby.machine.differences import as_text, differences
    from moby.machine.opening import open_all

    tell = lambda step: print(f"moby: {step}", file=sys.stderr)  # noqa: E731

    async def both() -> Any:
        asked = settings(chosen)
        return [(await open_all(name, asked, tell)).tree for name in (chosen.one, chosen.other)]

    found = differences(*asyncio.run(both()))
    if chosen.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    if not found.changes:
        return ""
    if not chosen.json:
        print(as_text(found))
    raise Differ(f"{chosen.one} and {chosen.other} differ in {len(found.changes)} paths")
