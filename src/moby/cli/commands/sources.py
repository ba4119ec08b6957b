"""This file is about the flags that say where images come from; every command that needs images has them."""

from __future__ import annotations

import argparse
from pathlib import Path

from moby.core.errors import InvalidParameter
from moby.machine.building import Settings


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where images are kept (~/.cache/moby)")
    parser.add_argument("--lock", type=Path, metavar="FILE", help="the lock (moby.lock beside the assembly)")
    parser.add_argument("--locked", action="store_true", help="fail if an image is not in the lock")
    parser.add_argument("--pull", action="store_true", help="ask registries even for images that are here")
    parser.add_argument("--offline", action="store_true", help="ask no registry")
    parser.add_argument("--components", type=Path, metavar="DIR", help="more components than those that ship")
    parser.add_argument(
        "--map", action="append", default=[], metavar="FILE|linuxkit",
        help="other images than are named, by a map: linuxkit has ours; of several a later one counts",
    )  # fmt: skip
    parser.add_argument("--platform", metavar="OS/ARCH", help="what the machine runs on (as here)")
    parser.add_argument(
        "--insecure-registry", action="append", default=[], metavar="HOST", help="a registry without TLS"
    )


def settings(chosen: argparse.Namespace) -> Settings:
    """What was chosen. Raises InvalidParameter."""
    from moby.core.platform import parse_platform
    from moby.machine.cache import default_cache

    if chosen.pull and chosen.offline:
        raise InvalidParameter("--pull and --offline exclude each other")
    from moby.machine.image_maps import read_map

    return Settings(
        cache=chosen.cache or default_cache(),
        lock=chosen.lock,
        pull=chosen.pull,
        offline=chosen.offline,
        locked_only=chosen.locked,
        platform=parse_platform(chosen.platform) if chosen.platform else None,
        components=chosen.components,
        insecure_registries=tuple(chosen.insecure_registry),
        image_map={key: other for name in chosen.map for key, other in read_map(name).items()},
    )
