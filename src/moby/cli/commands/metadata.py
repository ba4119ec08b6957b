"""This file is about `moby metadata`: CDs with what a machine is to know, for the component `metadata`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from moby.core.errors import InvalidParameter
from moby.host.files import translation


def add(verbs: Any) -> None:
    """The command and those below it."""
    parser = verbs.add_parser("metadata", help="CDs with what a machine is to know")
    below = parser.add_subparsers(dest="below", required=True, metavar="COMMAND")
    create = below.add_parser("create", help="write a CD, to be given to a machine as a disk")
    create.add_argument("target", type=Path, metavar="FILE", help="the CD")
    create.add_argument("data", nargs="?", metavar="DATA", help="the user's data")
    create.add_argument(
        "--file", type=Path, metavar="FILE", help="the user's data in a file; - is standard input"
    )
    create.add_argument("--hostname", default="", metavar="NAME", help="the machine's name")
    create.add_argument("--instance-id", default="", metavar="ID", help="what the machine is known by")


def do(chosen: argparse.Namespace) -> str:
    """Write it; its path. Raises MobyError."""
    from moby.machine.data_disc import Data, write_data_disc

    if (chosen.data is None) == (chosen.file is None):
        raise InvalidParameter("the data is either DATA or what --file names")
    if chosen.file is None:
        user = chosen.data.encode()
    elif str(chosen.file) == "-":
        user = sys.stdin.buffer.read()
    else:
        with translation(f"cannot read {chosen.file}"):
            user = chosen.file.read_bytes()
    asyncio.run(write_data_disc(chosen.target, Data(user, chosen.hostname, chosen.instance_id)))
    return str(chosen.target)
