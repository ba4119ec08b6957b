"""This file is about which build of itself this is; only a package that was built knows, not a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

import moby

_FILE = Path(moby.__file__).with_name("build.json")


class Build(msgspec.Struct, frozen=True):
    """The commit that it was made of and when (RFC 3339), both empty where nobody wrote them down."""

    commit: str = ""
    time: str = ""


@cache
def build(path: Path = _FILE) -> Build:
    """What setup.py has written beside the package."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Build)
    except (OSError, msgspec.MsgspecError):
        return Build()
