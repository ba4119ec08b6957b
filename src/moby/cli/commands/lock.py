"""This file is about `moby lock`: write down which digest each image of an assembly stands for now."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from pathlib import Path
from typing import Any

from moby.cli.commands.sources import add_source_flags, settings


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("lock", help="write moby.lock: pin every image of assemblies by its digest")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="the assemblies")
    add_source_flags(parser)


def do(chosen: argparse.Namespace) -> str:
    """Resolve every image anew; assemblies in one folder share a lock."""
    from moby.machine.building import find_images, read_machine
    from moby.machine.lock import NAME, Locked, write_lock
    from moby.machine.resolving import locks

    found: dict[Path, dict[str, Locked]] = {}
    for path in chosen.files:
        target = chosen.lock or path.resolve().parent / NAME
        # What an old lock says does not count.
        asked = dataclasses.replace(settings(chosen), unlocked=True)
        images = asyncio.run(find_images(path, read_machine(path), asked))[1]
        found.setdefault(target, {}).update(locks(images))
    for target, images_of in found.items():
        write_lock(target, images_of)
    return "\n".join(f"{target}: {len(locked)} images" for target, locked in found.items())
