"""This file is about `moby component`: the library of images that machines are made of."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any


def add(verbs: Any) -> None:
    """The command and those below it."""
    parser = verbs.add_parser("component", help="the library of images that machines are made of")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where images are kept (~/.cache/moby)")
    parser.add_argument("--components", type=Path, metavar="DIR", help="more components than those that ship")
    parser.add_argument("--platform", metavar="OS/ARCH", help="what they run on (as here)")
    below = parser.add_subparsers(dest="below", required=True, metavar="COMMAND")
    below.add_parser("ls", help="list them, each with its tag and what it is")
    tag = below.add_parser(
        "show-tag", help="print the names of their images, tags being hashes of the recipes"
    )
    tag.add_argument("names", nargs="+", metavar="NAME|DIR")
    build = below.add_parser("build", help="make their images anew")
    build.add_argument("names", nargs="+", metavar="NAME|DIR")
    build.add_argument("--update", action="store_true", help="fetch the lists of packages anew")


def do(chosen: argparse.Namespace) -> str:
    """Do it; what to print."""
    from moby.core.platform import host_platform, parse_platform
    from moby.machine.building import Settings, component_folders
    from moby.machine.cache import ImageCache, default_cache
    from moby.machine.components import Library

    platform = parse_platform(chosen.platform) if chosen.platform else host_platform()
    cache = ImageCache(chosen.cache or default_cache())
    folders = component_folders(Settings(cache.root, components=chosen.components))
    library = Library(cache, platform, folders, lambda step: print(f"moby: {step}", file=sys.stderr))
    if chosen.below == "ls":
        every = [library.component(name) for name in library.names()]
        return "\n".join(f"{each.reference(platform).familiar}  {each.recipe.about}" for each in every)
    named = [library.component(name) for name in chosen.names]
    if chosen.below == "show-tag":
        return "\n".join(each.reference(platform).familiar for each in named)

    async def build() -> list[str]:
        cache.prepare()
        if chosen.update:
            await library.update()
        found = []
        for each in named:
            target = await library.build(each)
            found.append(f"{each.reference(platform).familiar} {target.digest}")
        return found

    return "\n".join(asyncio.run(build()))
