"""This file is about what clients are told of a path in a container (Engine API, `ContainerArchiveInfo`)."""

from __future__ import annotations

import msgspec


class PathStat(msgspec.Struct, rename="camel"):
    """A path; `mode` in the bits of Go's os.FileMode, `mtime` in RFC 3339."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str
