"""This file is about `moby cache`: the images that are kept on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(verbs: Any) -> None:
    """The command and those below it."""
    parser = verbs.add_parser("cache", help="the images that are kept here")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where they are kept (~/.cache/moby)")
    below = parser.add_subparsers(dest="below", required=True, metavar="COMMAND")
    below.add_parser("ls", help="list them")
    below.add_parser("clean", help="remove them all")
    take = below.add_parser("import", help="take the images of an archive or an OCI layout in")
    take.add_argument("path", type=Path)
    remove = below.add_parser("rm", help="remove names")
    remove.add_argument("names", nargs="+", metavar="NAME")


def do(chosen: argparse.Namespace) -> str:
    """Do it; what to print."""
    from moby.core.errors import NotFound
    from moby.core.reference import familiar, parse_reference
    from moby.machine.archives import take_in
    from moby.machine.cache import ImageCache, default_cache, full_name

    cache = ImageCache(chosen.cache or default_cache())
    match chosen.below:
        case "ls":
            return "\n".join(f"{familiar(name)} {target.digest}" for name, target in cache.names().items())
        case "clean":
            cache.clean()
            return ""
        case "rm":
            for name in chosen.names:
                full = full_name(parse_reference(name))
                if full not in cache.names():
                    raise NotFound(f"{name} is not in the cache")
                cache.name(full, None)
            return ""
        case _:
            found = take_in(cache, chosen.path)
            for name, target in found:
                if name:
                    cache.name(name, target)
            return "\n".join(f"{familiar(name) or '-'} {target.digest}" for name, target in found)
