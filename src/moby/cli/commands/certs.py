"""This file is about `moby certs`: certificates for an engine that listens on TCP, and for its clients."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

_DAYS = 365


def add(verbs: Any) -> None:
    """The command and its flags."""
    parser = verbs.add_parser("certs", help="make certificates for an engine on TCP and its clients")
    parser.add_argument(
        "dir", type=Path, metavar="DIR", help="where they go; docker takes it as DOCKER_CERT_PATH"
    )
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME|ADDRESS", help="one more that the engine has"
    )
    parser.add_argument("--days", type=int, default=_DAYS, help=f"how long they are valid ({_DAYS})")


def do(chosen: argparse.Namespace) -> str:
    """Make them; the paths that were written, one a line."""
    from moby.core.errors import InvalidParameter
    from moby.machine.certificates import make_certificates

    if not 0 < chosen.days < 36500:
        raise InvalidParameter(f"{chosen.days} is no number of days")
    return "\n".join(
        str(path) for path in asyncio.run(make_certificates(chosen.dir, chosen.host, chosen.days))
    )
