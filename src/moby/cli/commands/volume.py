"""This file is about `moby volume`: what our engine can do with volumes and Docker's cannot."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.types.volumes import Volume

SNAPSHOT_OF, SNAPSHOT_AT = "org.mobyproject.snapshot-of", "org.mobyproject.snapshot-at"


def add(verbs: Any) -> None:
    """The command and those below it."""
    parser = verbs.add_parser("volume", help="copy, rename and archive volumes")
    parser.add_argument("-H", "--host", default="", help="the engine (default: as for the docker command)")
    below = parser.add_subparsers(dest="below", required=True, metavar="COMMAND")
    clone = below.add_parser("clone", help="make a volume with all that another one has")
    clone.add_argument("volume", help="the volume to copy")
    clone.add_argument("new", help="the name of the copy")
    snapshot = below.add_parser("snapshot", help="clone a volume, with labels that say of which and when")
    snapshot.add_argument("volume", help="the volume to copy")
    snapshot.add_argument("new", nargs="?", default="", help="the name (default: VOLUME-TIME)")
    rename = below.add_parser("rename", help="give a volume that no container has another name")
    rename.add_argument("volume", help="the volume")
    rename.add_argument("new", help="its new name")
    export = below.add_parser("export", help="write a volume as a tar archive")
    export.add_argument("volume", help="the volume")
    export.add_argument("-o", "--output", type=Path, help="a file (default: standard output)")
    import_ = below.add_parser("import", help="make a volume of a tar archive, compressed or not")
    import_.add_argument("volume", help="the name of the new volume")
    import_.add_argument("file", nargs="?", type=Path, help="the archive (default: standard input)")


def do(chosen: argparse.Namespace) -> str:
    """Do it; what to print."""
    from moby.cli.engine_client import ask

    path = f"/volumes/{quote(chosen.volume, safe='')}"
    match chosen.below:
        case "clone":
            return _name(ask(chosen.host, "POST", f"{path}/clone", body={"Name": chosen.new}))
        case "snapshot":
            return _name(ask(chosen.host, "POST", f"{path}/clone", body=_snapshot(chosen)))
        case "rename":
            return _name(ask(chosen.host, "POST", f"{path}/rename", {"name": chosen.new}))
        case "export":
            return _export(chosen, f"{path}/archive")
        case _:
            return _import(chosen, f"{path}/archive")


def _name(answer: bytes) -> str:
    return msgspec.json.decode(answer, type=Volume).name


def _snapshot(chosen: argparse.Namespace) -> dict[str, object]:
    now = datetime.now(UTC)
    name = chosen.new or f"{chosen.volume}-{now:%Y%m%dT%H%M%SZ}"
    labels = {SNAPSHOT_OF: chosen.volume, SNAPSHOT_AT: f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    return {"Name": name, "Labels": labels}


def _export(chosen: argparse.Namespace, path: str) -> str:
    """To a file that is there only when it is whole."""
    from moby.cli.engine_client import fetch

    if chosen.output is None:
        if sys.stdout.isatty():
            raise InvalidParameter("cannot write an archive to a terminal: use --output, or redirect")
        fetch(chosen.host, path, sys.stdout.buffer)
        return ""
    partial = chosen.output.with_name(f".{chosen.output.name}.part")
    try:
        with _opened(partial, "wb") as file:
            fetch(chosen.host, path, file)
        partial.replace(chosen.output)
    finally:
        partial.unlink(missing_ok=True)
    return ""


def _import(chosen: argparse.Namespace, path: str) -> str:
    from moby.cli.engine_client import send

    if chosen.file is None:
        return _name(send(chosen.host, path, sys.stdin.buffer))
    with _opened(chosen.file, "rb") as file:
        return _name(send(chosen.host, path, file))


def _opened(path: Path, mode: str) -> BinaryIO:
    """Raises InvalidParameter."""
    try:
        return open(path, mode)  # type: ignore[return-value]
    except OSError as error:
        raise InvalidParameter(f"open {path}: {(error.strerror or str(error)).lower()}") from error
